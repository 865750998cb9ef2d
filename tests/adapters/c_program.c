/* Calls every function for matrices, from several threads at once, and prints the results in hexadecimal. Logits are
   read from a file: samples * classes doubles, then as many labels of 64 bits as samples. */
#include <fastsoftmax.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, REPEATS = 20, MOST = 4096 };

struct work {
    size_t samples, classes;
    const double *logits;
    const int64_t *labels;
    double out[7][MOST], loss[2];
    float out32[7][MOST];
    int status;
};

static float single[MOST];
static int32_t labels32[MOST];

static void *work_main(void *argument) {
    struct work *w = (struct work *)argument;
    const size_t m = w->samples, k = w->classes;
    for (int i = 0; i < REPEATS; i++) {
        w->status |= fastsoftmax_softmax_f64(w->logits, m, k, w->out[0]);
        w->status |= fastsoftmax_log_softmax_f64(w->logits, m, k, w->out[1]);
        w->status |= fastsoftmax_logsumexp_f64(w->logits, m, k, w->out[2]);
        w->status |= fastsoftmax_softmax_backward_f64(w->logits, w->out[0], m, k, w->out[3]);
        w->status |= fastsoftmax_log_softmax_backward_f64(w->logits, w->out[1], m, k, w->out[4]);
        w->status |= fastsoftmax_cross_entropy_f64_i64(w->logits, w->labels, m, k, &w->loss[0], w->out[5], w->out[6]);
        w->status |= fastsoftmax_cross_entropy_f64_i32(w->logits, labels32, m, k, &w->loss[0], w->out[5], NULL);
        w->status |= fastsoftmax_softmax_f32(single, m, k, w->out32[0]);
        w->status |= fastsoftmax_log_softmax_f32(single, m, k, w->out32[1]);
        w->status |= fastsoftmax_logsumexp_f32(single, m, k, w->out32[2]);
        w->status |= fastsoftmax_softmax_backward_f32(single, w->out32[0], m, k, w->out32[3]);
        w->status |= fastsoftmax_log_softmax_backward_f32(single, w->out32[1], m, k, w->out32[4]);
        w->status |= fastsoftmax_cross_entropy_f32_i32(single, labels32, m, k, &w->loss[1], w->out32[5], w->out32[6]);
        w->status |= fastsoftmax_cross_entropy_f32_i64(single, w->labels, m, k, &w->loss[1], w->out32[5], NULL);
    }
    return NULL;
}

static void print(const struct work *w) {
    const size_t m = w->samples, k = w->classes;
    const size_t sizes[] = {m * k, m * k, m, m * k, m * k, m * k, k};
    for (int part = 0; part < 7; part++) {
        for (size_t i = 0; i < sizes[part]; i++) printf("%a ", w->out[part][i]);
        printf("\n");
        for (size_t i = 0; i < sizes[part]; i++) printf("%a ", (double)w->out32[part][i]);
        printf("\n");
    }
    printf("%a\n%a\n", w->loss[0], w->loss[1]);
}

static struct work works[THREADS];

int main(int argc, char **argv) {
    static double logits[MOST];
    static int64_t labels[MOST];
    if (argc != 4 || fastsoftmax_abi_version() != FASTSOFTMAX_ABI_VERSION) return 2;
    const size_t samples = (size_t)atoi(argv[2]), classes = (size_t)atoi(argv[3]);
    FILE *file = fopen(argv[1], "rb");
    if (file == NULL || fread(logits, sizeof *logits, samples * classes, file) != samples * classes ||
        fread(labels, sizeof *labels, samples, file) != samples)
        return 2;
    fclose(file);
    for (size_t i = 0; i < samples * classes; i++) single[i] = (float)logits[i];
    for (size_t i = 0; i < samples; i++) labels32[i] = (int32_t)labels[i];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        works[i].samples = samples;
        works[i].classes = classes;
        works[i].logits = logits;
        works[i].labels = labels;
        if (pthread_create(&threads[i], NULL, work_main, &works[i]) != 0) return 2;
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        if (works[i].status != FASTSOFTMAX_OK) {
            fprintf(stderr, "%s\n", fastsoftmax_status_message(works[i].status));
            return 1;
        }
        print(&works[i]);
    }
    fprintf(stderr, "%zu threads, %s\n", fastsoftmax_num_threads(), fastsoftmax_instruction_set());
    return 0;
}
