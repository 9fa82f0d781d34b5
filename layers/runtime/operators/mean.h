/* The mean of rows. */

#ifndef MEAN_H
#define MEAN_H

#include "vectors.h"

static void mean(size_t rows, size_t width, const float *values, float *result) {
    for (size_t i = 0; i < width; i += LANES) {
        floats total = all(0);
        for (size_t row = 0; row < rows; row++) total += load(values + row * width + i, width - i);
        store(result + i, total / (float)rows, width - i);
    }
}

#endif
