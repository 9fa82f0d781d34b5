/* Products of bytes with SDOT, which all arm64 processors of AWS have. */

#ifndef PRODUCTS_DOTPROD_H
#define PRODUCTS_DOTPROD_H

#include "products_neon.h"

#define TILE_ROWS 4
#define TILE_PANELS 1
#define REPACKED_ROWS 8

ALWAYS_INLINE size_t repacked_bytes(size_t inputs) { return inputs * PANEL; }

/* Make the weights of a block of inputs signed. */
ALWAYS_INLINE void repack(const uint8_t *weights, size_t inputs, uint8_t *repacked) {
    for (size_t i = 0; i < inputs * PANEL; i += 16) vst1q_u8(repacked + i, vreinterpretq_u8_s8(as_signed(weights + i)));
}

ALWAYS_INLINE void products(size_t rows, size_t panels, int is_repacked, int fetches, int fine, const int8_t *activations,
                            size_t stride, size_t inputs, const struct block *blocks[], const uint8_t *weights, size_t panel_bytes,
                            ints sums[TILE_ROWS][TILE_PANELS]) {
    (void)panels, (void)fetches, (void)fine, (void)blocks, (void)panel_bytes;
    dot_products(rows, is_repacked, activations, stride, inputs, weights, sums);
}

#endif
