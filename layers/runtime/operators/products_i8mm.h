/* Products of bytes with SMMLA (Neoverse V1 and later), which multiplies two rows of eight bytes by two columns of eight bytes and
   adds the results to four numbers. It needs the weights in another order. Repacking them takes too long for few rows, for which
   SDOT is used. */

#ifndef PRODUCTS_I8MM_H
#define PRODUCTS_I8MM_H

#include "products_neon.h"

#define TILE_ROWS 8
#define TILE_PANELS 1
#define REPACKED_ROWS 8
#define COLUMN_PAIRS 4 /* pairs of outputs in half a panel: the registers hold the sums for these and four pairs of rows */

ALWAYS_INLINE size_t repacked_bytes(size_t inputs) { return round_up(inputs, 2 * GROUP) * PANEL; }

/* Combine every two groups of a block and make them signed: eight inputs of one output, then eight of the next. An odd group at the
   end is followed by zeros. */
ALWAYS_INLINE void repack(const uint8_t *weights, size_t inputs, uint8_t *repacked) {
    for (size_t k = 0; k < inputs; k += 2 * GROUP)
        UNROLLED for (size_t q = 0; q < QUARTERS; q++) {
            const uint8_t *from = weights + k * PANEL + q * 16;
            const uint32x4_t first = vreinterpretq_u32_s8(as_signed(from));
            const uint32x4_t second = k + GROUP < inputs ? vreinterpretq_u32_s8(as_signed(from + GROUP * PANEL)) : vdupq_n_u32(0);
            uint8_t *to = repacked + k * PANEL + q * 32;
            vst1q_u8(to, vreinterpretq_u8_u32(vzip1q_u32(first, second)));
            vst1q_u8(to + 16, vreinterpretq_u8_u32(vzip2q_u32(first, second)));
        }
}

/* Compute the sums for all rows with SMMLA, two rows at a time. The last of an odd number of rows is paired with itself. An odd group
   at a block's end is read with the bytes after it, which are multiplied by zero. */
ALWAYS_INLINE void matrix_products(size_t rows, const int8_t *activations, size_t stride, size_t inputs, const uint8_t *weights,
                                   ints sums[TILE_ROWS][TILE_PANELS]) {
    for (size_t half = 0; half < 2; half++) {
        int32x4_t totals[TILE_ROWS / 2][COLUMN_PAIRS] = {0};
        for (size_t k = 0; k < inputs; k += 2 * GROUP) {
            const uint8_t *from = weights + k * PANEL + half * COLUMN_PAIRS * 16;
            int8x16_t w[COLUMN_PAIRS];
            UNROLLED for (size_t c = 0; c < COLUMN_PAIRS; c++) w[c] = vreinterpretq_s8_u8(vld1q_u8(from + c * 16));
            UNROLLED for (size_t row = 0; row < rows; row += 2) {
                const int8_t *row1 = activations + row * stride + k, *row2 = row + 1 < rows ? row1 + stride : row1;
                const int8x16_t a = vcombine_s8(vld1_s8(row1), vld1_s8(row2));
                UNROLLED for (size_t c = 0; c < COLUMN_PAIRS; c++) totals[row / 2][c] = vmmlaq_s32(totals[row / 2][c], a, w[c]);
            }
        }
        UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t c = 0; c < COLUMN_PAIRS; c++) {
            const int32x4_t total = totals[row / 2][c];
            const int32x2_t pair = row % 2 ? vget_high_s32(total) : vget_low_s32(total);
            memcpy((int32_t *)&sums[row][0] + half * 2 * COLUMN_PAIRS + 2 * c, &pair, sizeof pair);
        }
    }
}

ALWAYS_INLINE void products(size_t rows, size_t panels, int is_repacked, int fetches, int fine, const int8_t *activations,
                            size_t stride, size_t inputs, const struct block *blocks[], const uint8_t *weights, size_t panel_bytes,
                            ints sums[TILE_ROWS][TILE_PANELS]) {
    (void)panels, (void)fetches, (void)fine, (void)blocks, (void)panel_bytes;
    if (is_repacked) {
        matrix_products(rows, activations, stride, inputs, weights, sums);
    } else {
        dot_products(least(rows, 4), 0, activations, stride, inputs, weights, sums);
        if (rows > 4) dot_products(rows - 4, 0, activations + 4 * stride, stride, inputs, weights, sums + 4);
    }
}

#endif
