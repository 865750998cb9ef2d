/* Arrays as a caller may have them: rows, columns, backwards, with gaps, at any alignment. */
#ifndef FSM_TEST_LAYOUTS_H
#define FSM_TEST_LAYOUTS_H

#include "format.h"

enum { LAYOUTS = 9 };

/* A view of samples by classes in memory of its own, of which it need not use all. */
struct placed {
    struct fsm_view view;
    char *memory;
    size_t bytes;   /* of the memory */
    size_t element; /* bytes of an element */
    size_t outer, inner, classes;
};

const char *layout_name(size_t layout);

/* Number of outer samples in a layout: 2 in some of them where `samples` is even, else 1. */
size_t layout_outer(size_t layout, size_t samples);

/* The bytes from an array's lowest address to its highest, where in them its first element lies, and its strides in
   bytes. */
struct extent {
    size_t bytes, first;
    ptrdiff_t outer, inner, classes;
};
struct extent find_extent(size_t layout, size_t element, size_t outer, size_t inner, size_t classes);
struct fsm_view view_at(const struct extent *extent, char *lowest);

/* An array of `samples` (split in two axes as given) by `classes` elements in a layout, the first of them `shift`
   elements on, filled with MARK. 0, or -1 where there is no memory. */
int place(size_t layout, size_t shift, size_t element, size_t outer, size_t inner, size_t classes,
          struct placed *array);
void free_placed(struct placed *array);

char *placed_element(const struct placed *array, size_t sample, size_t k);

void put_numbers(struct placed *array, const struct format *format, const double *values);
void get_numbers(const struct placed *array, const struct format *format, double *values);

/* Whether anything but the array's own elements was written to. Marks the elements too. */
int strays(struct placed *array);

#endif
