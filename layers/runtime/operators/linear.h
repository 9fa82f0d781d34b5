/* Linear layers of bytes: rows are rounded to bytes, multiplied and summed exactly, and scaled back to floats. */

#ifndef LINEAR_H
#define LINEAR_H

#include <stdlib.h>

#include "kernels.h"
#include "products.h"

#define TINY 1e-30f        /* a block without a larger number counts as zeros: one divided by a much smaller step is infinite */
#define CHUNK_BYTES 196608 /* the size of the rounded rows of a chunk, which stay in the second cache together with some panels */

/* How large the inputs of a block are after smoothing: the largest absolute value, and the largest of the sums that an instruction
   set may add in 16 bits. A sum is over eight of sixteen successive inputs, 0, 1, 4, 5, 8, 9, 12 and 13 or the others, or with fine
   steps over each two of them. It is only over positive inputs, or over the absolute values of negative ones. */
struct extent {
    float value, sum;
};

/* Measure a block of inputs. A NaN counts as the largest value: the bits of positive floats, read as whole numbers, are in the order
   of the floats, and those of a NaN come last. */
ALWAYS_INLINE struct extent measure(const float *values, const float *smoothing, size_t inputs, int fine) {
    ints most = (ints)(0);
    quarter sums = (quarter)(0);
    size_t k = 0;
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#define JOINED(a, b) (fine ? LARGER(a, b) : (a) + (b))
#define INCLUDE(lanes)                                                                                                             \
    {                                                                                                                              \
        const floats smoothed = load(values + k, lanes) * load(smoothing + k, lanes);                                              \
        most = __builtin_elementwise_max(most, (ints)absolute(smoothed));                                                          \
        const floats positive = larger(smoothed, all(0)), negative = positive - smoothed;                                          \
        const floats pairs = PAIRS(positive, negative);                                                                            \
        const half fours = JOINED(pairs.lo, pairs.hi);                                                                             \
        const quarter eights = JOINED(fours.lo, fours.hi);                                                                         \
        sums = LARGER(eights, sums);                                                                                               \
    }
    for (; k + LANES <= inputs; k += LANES) INCLUDE(LANES)
    if (k < inputs) INCLUDE(inputs - k)
#undef INCLUDE
    const float sum = LARGER(LARGER(sums[0], sums[1]), LARGER(sums[2], sums[3]));
#undef JOINED
#undef LARGER
    return (struct extent){as_float(__builtin_reduce_max(most)), sum};
}

/* Return the step to which a block is rounded: the smallest one with which every input is at most 127 steps, and the rounded inputs of
   every sum are at most 128. Rounding adds half a step to each of them at most. */
ALWAYS_INLINE float step_of(struct extent extent, int fine) {
    const float summed = fine ? 2 : 8, steps = 128 - summed / 2;
    const float by_value = extent.value / 127.0f;
    const float by_sum = extent.sum <= LARGEST ? extent.sum / steps : extent.value / (steps / summed); /* the sum is infinite */
    return by_sum > by_value ? by_sum : by_value;
}

/* Smooth and scale a block of inputs, and round it to bytes from -127 to 127. Returns the sum of the bytes. */
ALWAYS_INLINE int32_t round_block(const float *values, const float *smoothing, size_t inputs, float steps, int8_t *result) {
    ints total = (ints)(0);
    size_t k = 0;
#define ROUND(lanes)                                                                                                               \
    {                                                                                                                              \
        const ints whole = to_ints(load(values + k, lanes) * load(smoothing + k, lanes) * steps);                                  \
        const bytes narrow = to_bytes(whole);                                                                                      \
        memcpy(result + k, &narrow, least(LANES, lanes));                                                                          \
        total += whole;                                                                                                            \
    }
    for (; k + LANES <= inputs; k += LANES) ROUND(LANES)
    if (k < inputs) ROUND(inputs - k)
#undef ROUND
    return __builtin_reduce_add(total);
}

/* Round a row of inputs to bytes, block by block. */
static void quantize(const struct linear *layer, const float *row, int8_t *result, struct block *blocks) {
    for (size_t b = 0; b < layer->blocks; b++) {
        const size_t start = b * layer->block, inputs = least(layer->block, layer->inputs - start);
        const float *values = row + start, *smoothing = layer->smoothing + start;
        const struct extent extent = layer->fine ? measure(values, smoothing, inputs, 1) : measure(values, smoothing, inputs, 0);
        if (extent.value > TINY && extent.value <= LARGEST) {
            const float step = step_of(extent, layer->fine);
            const int32_t sum = round_block(values, smoothing, inputs, 1 / step, result + start);
            memset(result + start + inputs, 0, layer->block - inputs); /* after the last input, all weights stand for 0 */
            blocks[b] = (struct block){step, EXCESS * sum};
        } else { /* all zeros; or there is a NaN or an infinity: then the scale makes every result NaN */
            memset(result + start, 0, layer->block);
            blocks[b] = (struct block){extent.value <= LARGEST ? 0 : as_float(NAN_BITS), 0};
        }
    }
}

/* Compute the results of some rows for the outputs of some panels. */
ALWAYS_INLINE void tile(const struct linear *layer, size_t rows, size_t panels, int is_repacked, int fetches,
                        const struct rounded *input, size_t first_row, const uint8_t *weights, size_t panel, float *result) {
    const size_t stride = layer->blocks * layer->block, panel_bytes = stride * PANEL;
    const size_t block_bytes = is_repacked ? REPACKED_BYTES(layer->block) : layer->block * PANEL;
    const int8_t *activations = input->bytes + first_row * stride;
    const struct block *blocks[TILE_ROWS];
    floats totals[TILE_ROWS][TILE_PANELS];
    UNROLLED for (size_t row = 0; row < rows; row++) {
        blocks[row] = input->blocks + (first_row + row) * layer->blocks;
        UNROLLED for (size_t p = 0; p < panels; p++) totals[row][p] = all(0);
    }
    for (size_t b = 0; b < layer->blocks; b++, activations += layer->block, weights += block_bytes) {
        ints sums[TILE_ROWS][TILE_PANELS];
        products(rows, panels, is_repacked, fetches, layer->fine, activations, stride, layer->block, blocks, weights, panel_bytes,
                 sums);
        UNROLLED for (size_t row = 0; row < rows; row++) {
            const floats scale = all(blocks[row]->scale);
            UNROLLED for (size_t p = 0; p < panels; p++)
                totals[row][p] = fma(__builtin_convertvector(sums[row][p], floats), scale, totals[row][p]);
            blocks[row]++;
        }
    }
    result += first_row * layer->outputs + panel * PANEL;
    UNROLLED for (size_t p = 0; p < panels; p++) {
        const size_t first = (panel + p) * PANEL, outputs = layer->outputs - first;
        const floats scale = load(layer->scales + first, outputs), bias = load(layer->bias + first, outputs);
        UNROLLED for (size_t row = 0; row < rows; row++) {
            const floats y = fma(totals[row][p], scale, bias);
            store(result + row * layer->outputs + p * PANEL, layer->gelu ? gelu(y) : y, outputs);
        }
    }
}

/* Compute the results of fewer than TILE_ROWS rows for the outputs of some panels. */
ALWAYS_INLINE void few_rows(const struct linear *layer, size_t rows, size_t panels, int is_repacked, int fetches,
                            const struct rounded *rounded, size_t row, const uint8_t *weights, size_t panel, float *result) {
#define TILE(rows)                                                                                                                 \
    case rows: tile(layer, rows, panels, is_repacked, fetches, rounded, row, weights, panel, result); break
    switch (rows) { /* the compiler unrolls each constant number of rows */
        TILE(1);
        TILE(2);
        TILE(3);
#if TILE_ROWS > 4
        TILE(4);
        TILE(5);
#endif
#if TILE_ROWS > 6
        TILE(6);
        TILE(7);
#endif
    }
#undef TILE
}

/* Compute the results of a chunk of rows for the outputs of some panels, tile by tile. If there are enough rows, the first tile also
   fetches the weights of the next panels. */
ALWAYS_INLINE void tiles(const struct linear *layer, size_t rows, size_t panels, int is_repacked, const struct rounded *rounded,
                         const uint8_t *weights, size_t panel, float *result) {
    size_t row = 0;
    if (rows >= FETCHED_ROWS && rows < TILE_ROWS) {
        few_rows(layer, rows, panels, is_repacked, 1, rounded, row, weights, panel, result);
        return;
    }
    if (rows >= FETCHED_ROWS) {
        tile(layer, TILE_ROWS, panels, is_repacked, 1, rounded, row, weights, panel, result);
        row = TILE_ROWS;
    }
    for (; row + TILE_ROWS <= rows; row += TILE_ROWS)
        tile(layer, TILE_ROWS, panels, is_repacked, 0, rounded, row, weights, panel, result);
    few_rows(layer, rows - row, panels, is_repacked, 0, rounded, row, weights, panel, result);
}

/* Compute the results of a chunk of rows for the outputs of some panels. `panels` must be a constant where this is inlined, so that
   the compiler keeps the sums of a tile in registers. */
ALWAYS_INLINE void multiply_panels(const struct linear *layer, size_t rows, size_t panels, const struct rounded *rounded,
                                   size_t panel, uint8_t *repacked, float *result) {
    const size_t block_bytes = layer->block * PANEL;
    const uint8_t *weights = layer->weights + panel * layer->blocks * block_bytes;
#if REPACKS
    if (rows >= REPACKED_ROWS) {
        for (size_t b = 0; b < layer->blocks; b++)
            repack(weights + b * block_bytes, layer->block, repacked + b * repacked_bytes(layer->block));
        tiles(layer, rows, panels, 1, rounded, repacked, panel, result);
        return;
    }
#endif
    (void)repacked;
    tiles(layer, rows, panels, 0, rounded, weights, panel, result);
}

static int linear(const struct linear *layer, struct range rows, struct range panels, const float *input, float *result) {
    const size_t blocks = layer->blocks, padded = blocks * layer->block;
    const size_t fitting_rows = CHUNK_BYTES / padded / TILE_ROWS * TILE_ROWS;
    const size_t chunk = least(rows.last - rows.first, fitting_rows ? fitting_rows : TILE_ROWS);
    const size_t row_bytes = round_up(chunk * padded, 64), panel_bytes = REPACKS ? blocks * REPACKED_BYTES(layer->block) : 0;
    const size_t block_bytes = chunk * blocks * sizeof(struct block);
    char *scratch = aligned_alloc(64, round_up(row_bytes + panel_bytes + block_bytes + 1, 64));
    if (!scratch) return 0;
    uint8_t *repacked = (uint8_t *)scratch + row_bytes;
    const struct rounded rounded = {(int8_t *)scratch, (struct block *)(scratch + row_bytes + panel_bytes)};
    for (size_t start = rows.first; start < rows.last; start += chunk) {
        const size_t chunk_rows = least(chunk, rows.last - start);
        for (size_t row = 0; row < chunk_rows; row++)
            quantize(layer, input + (start + row) * layer->inputs, rounded.bytes + row * padded, rounded.blocks + row * blocks);
        size_t panel = panels.first;
        for (; panel + TILE_PANELS <= panels.last; panel += TILE_PANELS)
            multiply_panels(layer, chunk_rows, TILE_PANELS, &rounded, panel, repacked, result + start * layer->outputs);
#if TILE_PANELS > 1
        for (; panel < panels.last; panel++)
            multiply_panels(layer, chunk_rows, 1, &rounded, panel, repacked, result + start * layer->outputs);
#endif
    }
    free(scratch);
    return 1;
}

#endif
