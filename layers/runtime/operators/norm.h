/* The sum of two tensors, and its LayerNorm (Ba et al. 2016, arXiv:1607.06450). */

#ifndef NORM_H
#define NORM_H

#include "kernels.h"
#include "vectors.h"

/* Apply `DO(count)` to each vector of a row, from i on. */
#define FOR_EACH_VECTOR(width, DO)                  \
    {                                               \
        size_t i = 0;                               \
        for (; i + LANES <= (width); i += LANES) DO(LANES); \
        if (i < (width)) DO((width)-i);             \
    }

static void add_norm(struct range rows, size_t width, const float *a, const float *b, size_t b_rows, const float *gamma,
                     const float *beta, float epsilon, float *result) {
    for (size_t row = rows.first; row < rows.last; row++) {
        const float *one = a + row * width, *other = b + row % b_rows * width;
        float *to = result + row * width;
        floats total = all(0);
#define ADD(count)                                                      \
    {                                                                   \
        const floats added = load(one + i, count) + load(other + i, count); \
        store(to + i, added, count);                                    \
        total += added;                                                 \
    }
        FOR_EACH_VECTOR(width, ADD)
        const float mean = sum(total) / (float)width;
        floats squares = all(0);
#define SQUARE(count)                                                   \
    {                                                                   \
        floats away = load(to + i, count) - mean;                       \
        for (size_t past = count; past < LANES; past++) away[past] = 0; \
        squares = fma(away, away, squares);                             \
    }
        FOR_EACH_VECTOR(width, SQUARE)
        const float factor = 1.0f / __builtin_sqrtf(sum(squares) / (float)width + epsilon);
#define SCALE(count) \
    store(to + i, fma((load(to + i, count) - mean) * factor, load(gamma + i, count), load(beta + i, count)), count)
        FOR_EACH_VECTOR(width, SCALE)
    }
}

#undef ADD
#undef SQUARE
#undef SCALE
#undef FOR_EACH_VECTOR

#endif
