/* The LayerNorm of the sum of two tensors (Ba et al. 2016, arXiv:1607.06450). */

#ifndef NORM_H
#define NORM_H

#include "kernels.h"
#include "vectors.h"

/* Apply `DO(lanes)` to each vector of a row; i is the index of its first value. */
#define FOR_EACH_VECTOR(width, DO)                  \
    {                                               \
        size_t i = 0;                               \
        for (; i + LANES <= (width); i += LANES) DO(LANES); \
        if (i < (width)) DO((width)-i);             \
    }

static void add_norm(struct range rows, size_t width, const float *a, const float *b, size_t b_rows, const float *gamma,
                     const float *beta, float epsilon, float *result) {
    for (size_t row = rows.first; row < rows.last; row++) {
        const float *a_row = a + row * width, *b_row = b + row % b_rows * width;
        float *to = result + row * width;
        floats total = all(0);
#define ADD(lanes)                                                      \
    {                                                                   \
        const floats added = load(a_row + i, lanes) + load(b_row + i, lanes); \
        store(to + i, added, lanes);                                    \
        total += added;                                                 \
    }
        FOR_EACH_VECTOR(width, ADD)
        const float mean = sum(total) / (float)width;
        floats squares = all(0);
#define SQUARE(lanes)                                                   \
    {                                                                   \
        floats difference = load(to + i, lanes) - mean;                 \
        for (size_t past = lanes; past < LANES; past++) difference[past] = 0; \
        squares = fma(difference, difference, squares);                 \
    }
        FOR_EACH_VECTOR(width, SQUARE)
        const float factor = 1.0f / __builtin_sqrtf(sum(squares) / (float)width + epsilon);
#define SCALE(lanes) \
    store(to + i, fma((load(to + i, lanes) - mean) * factor, load(gamma + i, lanes), load(beta + i, lanes)), lanes)
        FOR_EACH_VECTOR(width, SCALE)
    }
}

#undef ADD
#undef SQUARE
#undef SCALE
#undef FOR_EACH_VECTOR

#endif
