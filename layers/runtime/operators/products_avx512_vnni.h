/* Products of bytes with AVX-512 VNNI. Its VPDPBUSD multiplies four unsigned bytes by four signed bytes and sums exactly. */

#ifndef PRODUCTS_AVX512_VNNI_H
#define PRODUCTS_AVX512_VNNI_H

#include <immintrin.h>

#define TILE_ROWS 6
#define TILE_PANELS 4
#define QUERIES 6
#define VECTORS 4
#define COLUMNS 2
#define EXCESS ZERO_WEIGHT
#define REPACKS 0
#define FETCHED_ROWS 1

ALWAYS_INLINE ints to_ints(floats values) { return (ints)_mm512_cvtps_epi32((__m512)values); }

ALWAYS_INLINE bytes to_bytes(ints values) { return (bytes)_mm512_cvtepi32_epi8((__m512i)values); }

ALWAYS_INLINE void products(size_t rows, size_t panels, int is_repacked, int fetches, int fine, const int8_t *activations,
                            size_t stride, size_t inputs, const struct block *blocks[], const uint8_t *weights, size_t panel_bytes,
                            ints sums[TILE_ROWS][TILE_PANELS]) {
    (void)is_repacked, (void)fine;
    UNROLLED for (size_t row = 0; row < rows; row++) {
        const ints start = (ints)(-blocks[row]->excess);
        UNROLLED for (size_t p = 0; p < panels; p++) sums[row][p] = start;
    }
    for (size_t k = 0; k < inputs; k += GROUP) {
        __m512i w[TILE_PANELS];
        UNROLLED for (size_t p = 0; p < panels; p++) {
            const uint8_t *from = weights + p * panel_bytes + k * PANEL;
            w[p] = _mm512_loadu_si512(from);
            __builtin_prefetch(from + AHEAD);
            if (fetches) FETCH(from + panels * panel_bytes);
        }
        UNROLLED for (size_t row = 0; row < rows; row++) {
            int32_t group;
            memcpy(&group, activations + row * stride + k, GROUP);
            const __m512i a = _mm512_set1_epi32(group);
            UNROLLED for (size_t p = 0; p < panels; p++) sums[row][p] = (ints)_mm512_dpbusd_epi32((__m512i)sums[row][p], w[p], a);
        }
    }
}

#endif
