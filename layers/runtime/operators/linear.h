/* Linear layers in bytes: rows are rounded, multiplied and summed exactly, and scaled back. */

#ifndef LINEAR_H
#define LINEAR_H

#include "kernels.h"
#include "products.h"

#define NOTHING 1e-30f    /* a row without larger numbers is taken for zeros: 127 divided by the least of them would be infinite */
#define CHUNK_BYTES 196608 /* of rounded rows at a time: they stay in the second cache, beside some panels of weights */

typedef int8_t bytes __attribute__((ext_vector_type(LANES)));

/* Rows as bytes (rows, blocks * block); for each row's blocks their scale, and what EXCESS makes of the sum of their bytes. */
struct rounded {
    int8_t *bytes;
    float *scales;
    int32_t *excess;
};

ALWAYS_INLINE struct rounded from(const struct linear *layer, const struct rounded *rows, size_t row) {
    const size_t before = row * layer->blocks;
    return (struct rounded){rows->bytes + before * layer->block, rows->scales + before, rows->excess + before};
}

/* A row of inputs, smoothed, as bytes from -127 to 127. */
static void quantize(const struct linear *layer, const float *row, struct rounded result) {
    for (size_t b = 0; b < layer->blocks; b++) {
        const size_t start = b * layer->block, there = least(layer->block, layer->inputs - start);
        const float *values = row + start, *smoothing = layer->smoothing + start;
        int8_t *bytes_of_block = result.bytes + start;
        ints most = (ints)(0); /* of positive floats, whose bits are in the order of the numbers */
        for (size_t k = 0; k < there; k += LANES)
            most = __builtin_elementwise_max(most, (ints)absolute(load(values + k, there - k) * load(smoothing + k, there - k)));
        const float top = largest((floats)most), steps = top > NOTHING ? 127.0f / top : 0;
        result.scales[b] = top / 127.0f;
        ints total = (ints)(0);
        memset(bytes_of_block + there, 0, layer->block - there); /* weights are 0 there, but as bytes 128 */
        for (size_t k = 0; k < there; k += LANES) {
            const floats scaled = load(values + k, there - k) * load(smoothing + k, there - k) * steps;
            const ints whole = __builtin_convertvector(__builtin_elementwise_rint(scaled), ints);
            const bytes narrow = __builtin_convertvector(whole, bytes);
            memcpy(bytes_of_block + k, &narrow, least(LANES, layer->block - k));
            total += whole;
        }
        result.excess[b] = EXCESS * __builtin_reduce_add(total);
    }
}

/* The results of some rows for TILE_VECTORS * LANES outputs. */
ALWAYS_INLINE void tile(const struct linear *layer, size_t rows, struct rounded input, size_t output, float *result) {
    const size_t blocks = layer->blocks, padded = blocks * layer->block;
    const uint8_t *weights = layer->weights + output / PANEL * PANEL * padded + output % PANEL * GROUP;
    floats totals[TILE_ROWS][TILE_VECTORS];
    UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t v = 0; v < TILE_VECTORS; v++) totals[row][v] = all(0);
    for (size_t b = 0; b < blocks; b++) {
        ints sums[TILE_ROWS][TILE_VECTORS];
        products(rows, input.bytes + b * layer->block, padded, weights + b * layer->block * PANEL, layer->block, sums);
        UNROLLED for (size_t row = 0; row < rows; row++) {
            const floats scale = all(input.scales[row * blocks + b]);
            const int32_t excess = input.excess[row * blocks + b];
            UNROLLED for (size_t v = 0; v < TILE_VECTORS; v++)
                totals[row][v] = fma(__builtin_convertvector(sums[row][v] - excess, floats), scale, totals[row][v]);
        }
    }
    UNROLLED for (size_t v = 0; v < TILE_VECTORS; v++) {
        const size_t first = output + v * LANES;
        if (first >= layer->outputs) break;
        const size_t count = layer->outputs - first;
        const floats scale = load(layer->scales + first, count), bias = load(layer->bias + first, count);
        UNROLLED for (size_t row = 0; row < rows; row++) {
            const floats y = fma(totals[row][v], scale, bias);
            store(result + row * layer->outputs + first, layer->gelu ? gelu(y) : y, count);
        }
    }
}

static void linear(const struct linear *layer, size_t rows, const float *input, float *result) {
    const size_t blocks = layer->blocks, padded = blocks * layer->block;
    const size_t fitting = CHUNK_BYTES / padded / TILE_ROWS * TILE_ROWS, chunk = least(rows, fitting ? fitting : TILE_ROWS);
    int8_t bytes_of_rows[chunk * padded] __attribute__((aligned(64)));
    float scales[chunk * blocks];
    int32_t excess[chunk * blocks];
    const struct rounded rounded = {bytes_of_rows, scales, excess};
    for (size_t start = 0; start < rows; start += chunk, input += chunk * layer->inputs, result += chunk * layer->outputs) {
        const size_t here = least(chunk, rows - start);
        for (size_t row = 0; row < here; row++) quantize(layer, input + row * layer->inputs, from(layer, &rounded, row));
        for (size_t output = 0; output < layer->outputs; output += TILE_VECTORS * LANES) {
            size_t row = 0;
#define TILE(rows) tile(layer, rows, from(layer, &rounded, row), output, result + row * layer->outputs)
            for (; row + TILE_ROWS <= here; row += TILE_ROWS) TILE(TILE_ROWS);
            switch (here - row) { /* a constant each, for the compiler to unroll */
            case 1: TILE(1); break;
            case 2: TILE(2); break;
            case 3: TILE(3); break;
            case 4: TILE(4); break;
            case 5: TILE(5); break;
            }
#undef TILE
        }
    }
}

#endif
