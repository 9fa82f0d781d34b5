/* The norms of rows: LayerNorm (Ba et al. 2016, arXiv:1607.06450), also of the sum of two tensors, and RMSNorm (Zhang and Sennrich
   2019, arXiv:1910.07467). */

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

#define CHAINS 4 /* the vectors of a sum that do not wait for each other */

/* Return the sum of a row. */
ALWAYS_INLINE float sum_of(const float *values, size_t width) {
    floats totals[CHAINS];
    UNROLLED for (size_t chain = 0; chain < CHAINS; chain++) totals[chain] = all(0);
    size_t i = 0;
    for (; i + CHAINS * LANES <= width; i += CHAINS * LANES)
        UNROLLED for (size_t chain = 0; chain < CHAINS; chain++) totals[chain] += load(values + i + chain * LANES, LANES);
    for (; i < width; i += LANES) totals[0] += load(values + i, width - i);
    return sum((totals[0] + totals[1]) + (totals[2] + totals[3]));
}

/* Return the sum of the squared differences of a row's values from `mean`. */
ALWAYS_INLINE float sum_of_squares(const float *values, size_t width, float mean) {
    floats totals[CHAINS];
    UNROLLED for (size_t chain = 0; chain < CHAINS; chain++) totals[chain] = all(0);
    size_t i = 0;
    for (; i + CHAINS * LANES <= width; i += CHAINS * LANES)
        UNROLLED for (size_t chain = 0; chain < CHAINS; chain++) {
            const floats difference = load(values + i + chain * LANES, LANES) - mean;
            totals[chain] = fma(difference, difference, totals[chain]);
        }
    for (; i < width; i += LANES) {
        floats difference = load(values + i, width - i) - mean;
        for (size_t past = width - i; past < LANES; past++) difference[past] = 0;
        totals[0] = fma(difference, difference, totals[0]);
    }
    return sum((totals[0] + totals[1]) + (totals[2] + totals[3]));
}

/* Return the factor that normalizes a row with this sum of squares. A row with a NaN or an infinity, or whose squares are too large
   for a float, becomes NaN. Without that, its finite values would become 0. */
ALWAYS_INLINE float norm_factor(float squares, size_t width, float epsilon) {
    if (!(squares <= LARGEST)) return as_float(NAN_BITS);
    return 1.0f / __builtin_sqrtf(squares / (float)width + epsilon);
}

ALWAYS_INLINE void norm_rows(struct range rows, const struct norm *norm, int is_centered, int has_beta, const float *values,
                             float *result) {
    const size_t width = norm->width;
    for (size_t row = rows.first; row < rows.last; row++) {
        const float *from = values + row * width;
        float *to = result + row * width;
        const float mean = is_centered ? sum_of(from, width) / (float)width : 0;
        const float factor = norm_factor(sum_of_squares(from, width, mean), width, norm->epsilon);
#define SCALE(lanes)                                                                                  \
    {                                                                                                 \
        const floats scaled = (load(from + i, lanes) - mean) * factor, gamma = load(norm->gamma + i, lanes); \
        store(to + i, has_beta ? fma(scaled, gamma, load(norm->beta + i, lanes)) : scaled * gamma, lanes);   \
    }
        FOR_EACH_VECTOR(width, SCALE)
#undef SCALE
    }
}

static void norm(struct range rows, const struct norm *norm, const float *values, float *result) {
    if (norm->is_centered && norm->beta) norm_rows(rows, norm, 1, 1, values, result);
    else if (norm->is_centered) norm_rows(rows, norm, 1, 0, values, result);
    else if (norm->beta) norm_rows(rows, norm, 0, 1, values, result);
    else norm_rows(rows, norm, 0, 0, values, result);
}

#undef FOR_EACH_VECTOR

#endif
