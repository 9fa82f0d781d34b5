/* The sum of two tensors, and its LayerNorm (Ba et al. 2016, arXiv:1607.06450). */

#ifndef NORM_H
#define NORM_H

#include "vectors.h"

static void add_norm(size_t rows, size_t width, const float *a, const float *b, size_t b_rows, const float *gamma,
                     const float *beta, float epsilon, float *result) {
    for (size_t row = 0; row < rows; row++, a += width, result += width) {
        const float *other = b + row % b_rows * width;
        floats total = all(0);
        for (size_t i = 0; i < width; i += LANES) {
            const floats added = load(a + i, width - i) + load(other + i, width - i);
            store(result + i, added, width - i);
            total += added;
        }
        const float mean = sum(total) / (float)width;
        floats squares = all(0);
        for (size_t i = 0; i < width; i += LANES) {
            floats away = load(result + i, width - i) - mean;
            for (size_t past = width - i; past < LANES; past++) away[past] = 0;
            squares = fma(away, away, squares);
        }
        const float factor = 1.0f / __builtin_sqrtf(sum(squares) / (float)width + epsilon);
        for (size_t i = 0; i < width; i += LANES) {
            const floats scaled = (load(result + i, width - i) - mean) * factor;
            store(result + i, fma(scaled, load(gamma + i, width - i), load(beta + i, width - i)), width - i);
        }
    }
}

#endif
