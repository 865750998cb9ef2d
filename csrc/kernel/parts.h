/* Long rows along the lanes whose parts several threads do.

   It takes steps. Of a step that goes by parts any thread does any part, in any order; the other steps merge what the
   parts came to and are for one thread. A part is a block of its own, and what is done of it is what is done of a
   row, so that the bits are the same. */

_Static_assert((int)FSM_LONG_ROWS <= (int)WAITING, "all rows at hand may wait to be added to the mean gradient");

/* What is known of a row from one step to the next. */
struct long_row {
    const real *x;
    real *e; /* NULL where no exponentials are kept */
    size_t sample;
    size_t peak_part; /* the first part in which the maximum is */
    real f_label, log_rest;
    struct targets targets;
    struct peaks peaks;
    struct row_results results; /* of softmax, the factors alone */
};

/* What a part of it came to. */
struct part_sums {
    real first, second; /* the two largest values */
    struct fsm_sum sum;
};

/* What the threads share. */
struct long_rows {
    enum fsm_operation operation;
    size_t rows, parts;
    int keeps_exponentials, opens_mean;
    struct long_row *row;
    struct part_sums *part;
    real *blank; /* a part of zeros, which is all that is seen of an ignored row */
    real *e;     /* rows of exponentials for the mean gradient */
    struct loss_sums losses;
    struct mean_sums mean;
};

/* The sizes of the pieces. */
struct long_layout {
    size_t all, rows, parts, blank, exponentials;
};

static inline struct long_layout long_layout(const struct fsm_job *job, size_t rows) {
    const size_t row_bytes = row_pitch(job->classes) * sizeof(real);
    return (struct long_layout){in_lines(sizeof(struct long_rows)), in_lines(rows * sizeof(struct long_row)),
                                in_lines(rows * fsm_count_parts(job->classes) * sizeof(struct part_sums)),
                                FSM_PART * sizeof(real), job->want_mean_grad ? rows * in_lines(row_bytes) : 0};
}

static size_t FSM_NAME(long_rows_size)(const struct fsm_job *job, size_t rows) {
    const struct long_layout n = long_layout(job, rows);
    return n.all + n.rows + n.parts + n.blank + n.exponentials;
}

static ALWAYS_INLINE struct block row_block(const struct fsm_job *job, const struct long_row *row) {
    return (struct block){.x = row->x,
                          .e = row->e,
                          .classes = job->classes,
                          .count = job->classes,
                          .rows = 1,
                          .lanes = 1,
                          .sample = row->sample,
                          .slots = 1};
}

static ALWAYS_INLINE struct block part_block(const struct fsm_job *job, const struct long_rows *all, size_t row,
                                             size_t part) {
    struct block b = row_block(job, &all->row[row]);
    b.first = part * FSM_PART;
    b.classes = b.count = job->classes - b.first < FSM_PART ? job->classes - b.first : FSM_PART;
    b.x = all->row[row].targets.any_ignored ? all->blank : b.x + b.first;
    if (b.e != NULL) b.e += b.first;
    return b;
}

/* Before anything is written, since the output may be the input. */
static inline void read_target(const struct fsm_job *job, struct long_rows *all, struct long_row *row) {
    const struct scratch none = {0}; /* a label needs none */
    struct block b = row_block(job, row);
    read_targets(job, &b, &none, &row->targets);
    row->f_label = row->targets.any_ignored ? 0 : row->x[row->targets.label[0]];
    if (row->targets.any_ignored) memset(all->blank, 0, FSM_PART * sizeof(real));
}

/* Begins with a range of samples, no more than there is memory for; with a mean gradient they are of one chunk. */
static void FSM_NAME(open_long_rows)(const struct fsm_job *job, enum fsm_operation operation, struct fsm_range range,
                                     size_t most, void *memory) {
    const struct long_layout n = long_layout(job, most);
    struct long_rows *all = memory;
    char *rows = (char *)memory + n.all;
    all->operation = operation;
    all->rows = range.end - range.begin;
    all->parts = fsm_count_parts(job->classes);
    all->keeps_exponentials = operation == FSM_OPERATION_softmax ||
                              (operation == FSM_OPERATION_cross_entropy && (job->out.data || job->want_mean_grad));
    all->opens_mean = range.begin % job->chunk_samples == 0;
    all->row = (struct long_row *)rows;
    all->part = (struct part_sums *)(rows + n.rows);
    all->blank = (real *)(rows + n.rows + n.parts);
    all->e = (real *)(rows + n.rows + n.parts + n.blank);
    all->mean.hi = range.mean_hi;
    all->mean.lo = range.mean_lo;
    all->mean.waiting = 0;
    for (size_t i = 0; i < all->rows; i++) {
        struct long_row *row = &all->row[i];
        row->sample = range.begin + i;
        row->x = (const real *)sample_address(job, &job->input, row->sample);
        row->e = job->out.data != NULL ? (real *)sample_address(job, &job->out, row->sample)
                 : job->want_mean_grad ? all->e + i * row_pitch(job->classes)
                                       : NULL;
        row->targets.any_ignored = 0;
        if (operation == FSM_OPERATION_cross_entropy) read_target(job, all, row);
    }
}

/* By parts. For softmax the maximum is enough: its sum leaves no class out. */
static void FSM_NAME(find_long_tops)(const struct fsm_job *job, void *memory, size_t row, size_t part) {
    const struct long_rows *all = memory;
    const struct block b = part_block(job, all, row, part);
    const struct top_two tops = all->operation == FSM_OPERATION_softmax ? row_maxima(&b, 0) : row_maxima(&b, 1);
    struct part_sums *p = &all->part[row * all->parts + part];
    p->first = w_first(tops.first);
    p->second = w_first(tops.second);
}

static void FSM_NAME(find_long_peaks)(const struct fsm_job *job, void *memory) {
    const struct long_rows *all = memory;
    for (size_t i = 0; i < all->rows; i++) {
        struct long_row *row = &all->row[i];
        const struct part_sums *p = &all->part[i * all->parts];
        const struct block b = row_block(job, row);
        real first = -(real)INFINITY, second = first;
        row->peak_part = 0;
        for (size_t part = 0; part < all->parts; part++) {
            const real less = p[part].first < first ? p[part].first : first;
            second = less > second ? less : second;
            second = p[part].second > second ? p[part].second : second;
            if (p[part].first > first) first = p[part].first, row->peak_part = part;
        }
        if (all->operation == FSM_OPERATION_softmax) second = first;
        set_peaks(&b, (struct top_two){w_set1(first), w_set1(second)}, &row->peaks);
    }
}

/* By parts. But for softmax, the part with the maximum finds its class and leaves it out. */
static void FSM_NAME(sum_long_rows)(const struct fsm_job *job, void *memory, size_t row_number, size_t part) {
    const struct long_rows *all = memory;
    const struct block b = part_block(job, all, row_number, part);
    struct long_row *row = &all->row[row_number];
    struct peaks peaks;
    if (part == row->peak_part && all->operation != FSM_OPERATION_softmax) {
        peaks = row->peaks;
        row_argmaxima(&b, peaks.maximum, peaks.at);
        row->peaks.at[0] = b.first + peaks.at[0];
        sum_rest(&b, &peaks, all->keeps_exponentials);
    } else {
        sum_exponentials(&b, &row->peaks.shift, NULL, all->keeps_exponentials, &peaks.rest);
    }
    all->part[row_number * all->parts + part].sum = row_sum(&peaks.rest, 0);
}

static inline void end_cross_entropy(const struct fsm_job *job, struct long_rows *all, struct long_row *row) {
    const struct block b = row_block(job, row);
    end_rows(job, &b, all->keeps_exponentials, &row->f_label, &row->targets, &row->peaks, NULL, &row->results);
    if (row->sample % job->chunk_samples == 0) all->losses = (struct loss_sums){0};
    if (job->want_loss) keep_losses(job, &b, row->results.loss, &all->losses);
    if ((row->sample + 1) % job->chunk_samples == 0 || row->sample + 1 == job->outer * job->inner)
        job->chunk_loss[row->sample / job->chunk_samples] = close_losses(&all->losses);
    if (job->want_mean_grad) wait_for_more(&b, &row->results, &all->mean);
}

/* The rows' sums, and what they come to. */
static void FSM_NAME(end_long_rows)(const struct fsm_job *job, void *memory) {
    struct long_rows *all = memory;
    for (size_t i = 0; i < all->rows; i++) {
        struct long_row *row = &all->row[i];
        const struct part_sums *p = &all->part[i * all->parts];
        const struct block b = row_block(job, row);
        struct fsm_sum total = p[0].sum;
        for (size_t part = 1; part < all->parts; part++) total = sum_plus(total, p[part].sum);
        set_row_sum(&row->peaks.rest, 0, total);
        if (all->operation == FSM_OPERATION_softmax)
            softmax_factors(1, row->peaks.maximum, &row->peaks.rest, &row->results.probability);
        else if (all->operation == FSM_OPERATION_log_softmax)
            row->log_rest = (real)log_of_rest(&row->peaks, 0);
        else if (all->operation == FSM_OPERATION_logsumexp)
            store_logsumexp(job, &b, &row->peaks);
        else
            end_cross_entropy(job, all, row);
    }
}

/* By parts: the output, where there is one. It is not streamed. */
static void FSM_NAME(write_long_rows)(const struct fsm_job *job, void *memory, size_t row_number, size_t part) {
    const struct long_rows *all = memory;
    const struct long_row *row = &all->row[row_number];
    const struct block b = part_block(job, all, row_number, part);
    if (all->operation == FSM_OPERATION_log_softmax) {
        write_logs(job, &b, row->peaks.maximum, &row->log_rest);
        return;
    }
    scale_rows(job, &b, &row->results.probability);
    if (all->operation == FSM_OPERATION_softmax) return;
    const size_t at = row->results.at[0] - b.first;
    if (at < b.classes) put_apart(job, &job->out, &b, &at, row->results.apart, b.e);
}

/* By parts, of which each does its classes of all rows in their order: adds to the mean gradient of the chunk. */
static void FSM_NAME(add_long_rows_to_mean)(const struct fsm_job *job, void *memory, size_t part) {
    const struct long_rows *all = memory;
    const struct mean_sums *m = &all->mean;
    const size_t begin = part * FSM_PART, left = job->classes - begin, padded = fsm_mean_pitch(job->classes) - begin;
    const size_t bytes = (padded < FSM_PART ? padded : FSM_PART) * sizeof(double);
    if (all->opens_mean) {
        memset(m->hi + begin, 0, bytes);
        memset(m->lo + begin, 0, bytes);
    }
#if FSM_REAL_BITS == 64
    for (size_t i = 0; i < all->rows; i++) {
        const struct block b = part_block(job, all, i, part);
        take_powers(&b, &all->row[i].results.probability);
    }
#endif
    add_waiting_classes(m, begin, begin + (left < FSM_PART ? left : FSM_PART));
}
