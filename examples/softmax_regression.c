/* Trains softmax regression in C: softmax_regression [FILE FEATURES CLASSES]. FILE holds a sample a line, its label
   and then its features; without it, the classes are points around as many centres. docs/trainers/c.md says how to
   compile it.
 */
#include <fastsoftmax.h>

#include <stdio.h>
#include <stdlib.h>

enum { EPOCHS = 200, MADE_SAMPLES = 1000, MADE_FEATURES = 8, MADE_CLASSES = 5 };

static const float RATE = 0.5f;

struct data {
    size_t samples, features, classes;
    float *x;
    int32_t *labels;
};

static void *allocate(size_t items, size_t item) {
    void *memory = calloc(items, item);
    if (memory == NULL) {
        fprintf(stderr, "no memory\n");
        exit(1);
    }
    return memory;
}

static float uniform(void) { return (float)rand() / (float)RAND_MAX - 0.5f; }

static void make(struct data *d) {
    *d = (struct data){MADE_SAMPLES, MADE_FEATURES, MADE_CLASSES, NULL, NULL};
    float *centres = allocate(d->classes * d->features, sizeof *centres);
    d->x = allocate(d->samples * d->features, sizeof *d->x);
    d->labels = allocate(d->samples, sizeof *d->labels);
    for (size_t i = 0; i < d->classes * d->features; i++) centres[i] = 2 * uniform();
    for (size_t i = 0; i < d->samples; i++) {
        const size_t class = i % d->classes;
        d->labels[i] = (int32_t)class;
        for (size_t j = 0; j < d->features; j++)
            d->x[i * d->features + j] = centres[class * d->features + j] + uniform();
    }
    free(centres);
}

static void read_file(struct data *d, const char *path) {
    FILE *file = fopen(path, "r");
    size_t room = 0;
    int label;
    while (file != NULL && fscanf(file, "%d", &label) == 1) {
        if (d->samples == room) {
            room = room ? 2 * room : 1024;
            d->x = realloc(d->x, room * d->features * sizeof *d->x);
            d->labels = realloc(d->labels, room * sizeof *d->labels);
            if (d->x == NULL || d->labels == NULL) exit(1);
        }
        d->labels[d->samples] = label;
        for (size_t j = 0; j < d->features; j++)
            if (fscanf(file, "%f", &d->x[d->samples * d->features + j]) != 1) exit(1);
        d->samples++;
    }
    if (d->samples == 0) {
        fprintf(stderr, "%s: no samples\n", path);
        exit(1);
    }
    fclose(file);
}

/* logits = x W + b */
static void predict(const struct data *d, const float *w, const float *b, float *logits) {
    for (size_t i = 0; i < d->samples; i++)
        for (size_t k = 0; k < d->classes; k++) {
            float sum = b[k];
            for (size_t j = 0; j < d->features; j++) sum += d->x[i * d->features + j] * w[j * d->classes + k];
            logits[i * d->classes + k] = sum;
        }
}

/* W -= rate x' grad, and b by its own gradient, which is the mean gradient. */
static void descend(const struct data *d, const float *grad, const float *mean_grad, float *w, float *b) {
    for (size_t i = 0; i < d->samples; i++)
        for (size_t j = 0; j < d->features; j++)
            for (size_t k = 0; k < d->classes; k++)
                w[j * d->classes + k] -= RATE * d->x[i * d->features + j] * grad[i * d->classes + k];
    for (size_t k = 0; k < d->classes; k++) b[k] -= RATE * mean_grad[k];
}

static double accuracy(const struct data *d, const float *logits) {
    size_t right = 0;
    for (size_t i = 0; i < d->samples; i++) {
        size_t best = 0;
        for (size_t k = 1; k < d->classes; k++)
            if (logits[i * d->classes + k] > logits[i * d->classes + best]) best = k;
        right += best == (size_t)d->labels[i];
    }
    return (double)right / (double)d->samples;
}

int main(int argc, char **argv) {
    struct data d = {0, 0, 0, NULL, NULL};
    if (argc == 4) {
        d.features = (size_t)atoi(argv[2]);
        d.classes = (size_t)atoi(argv[3]);
        read_file(&d, argv[1]);
    } else {
        make(&d);
    }
    float *w = allocate(d.features * d.classes, sizeof *w), *b = allocate(d.classes, sizeof *b);
    float *logits = allocate(d.samples * d.classes, sizeof *logits);
    float *grad = allocate(d.samples * d.classes, sizeof *grad), *mean_grad = allocate(d.classes, sizeof *mean_grad);
    for (int epoch = 0; epoch <= EPOCHS; epoch++) {
        double loss;
        predict(&d, w, b, logits);
        const int status =
            fastsoftmax_cross_entropy_f32_i32(logits, d.labels, d.samples, d.classes, &loss, grad, mean_grad);
        if (status != FASTSOFTMAX_OK) {
            fprintf(stderr, "%s\n", fastsoftmax_status_message(status));
            return 1;
        }
        if (epoch % 20 == 0) printf("epoch %3d  loss %.6f  accuracy %.4f\n", epoch, loss, accuracy(&d, logits));
        descend(&d, grad, mean_grad, w, b);
    }
    free(d.x), free(d.labels), free(w), free(b), free(logits), free(grad), free(mean_grad);
    return 0;
}
