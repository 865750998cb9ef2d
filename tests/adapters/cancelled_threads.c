/* Threads that are cancelled in the midst of calls, after each of which the process can fork and call. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fastsoftmax.h"

enum { ROWS = 7000, CLASSES = 40, THREADS = 200 };

static float *x;

static void *call_until_cancelled(void *out) {
    for (;;) {
        if (fastsoftmax_softmax_f32(x, ROWS, CLASSES, out) != FASTSOFTMAX_OK) abort();
        pthread_testcancel();
    }
    return NULL;
}

int main(void) {
    float *out = calloc(ROWS * CLASSES, sizeof *out), *own = calloc(ROWS * CLASSES, sizeof *own);
    x = calloc(ROWS * CLASSES, sizeof *x);
    if (x == NULL || out == NULL || own == NULL) return 1;
    alarm(120); /* ends a process that hangs */
    for (int i = 0; i < THREADS; i++) {
        const struct timespec moment = {0, 500000 + i % 17 * 130000};
        int status;
        pthread_t thread;
        if (pthread_create(&thread, NULL, call_until_cancelled, out) != 0) return 1;
        nanosleep(&moment, NULL);
        pthread_cancel(thread);
        pthread_join(thread, NULL);
        const pid_t child = fork();
        if (child == 0) _exit(0);
        if (waitpid(child, &status, 0) != child || status != 0) return 1;
        if (fastsoftmax_softmax_f32(x, ROWS, CLASSES, own) != FASTSOFTMAX_OK || own[0] != out[0]) return 1;
    }
    puts("done");
    return 0;
}
