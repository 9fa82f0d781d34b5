/* Sums of products of bytes, exact in 32 bits: the one place that knows what kind of processor it is compiled for. */

#ifndef PRODUCTS_H
#define PRODUCTS_H

#include "vectors.h"

#define PANEL 64   /* outputs whose weights lie together */
#define GROUP 4    /* inputs of each of them that lie together */
#define AHEAD 2048 /* so many bytes on, weights are asked for before they are needed: a model is larger than the caches */

/* So many rows times so many vectors of outputs are computed at a time: as there are registers for. */
#if defined(__AVX512VNNI__)
#include <immintrin.h>
#define TILE_ROWS 6
#define TILE_VECTORS 4
#elif defined(__AVX2__)
#include <immintrin.h>
#define TILE_ROWS 4
#define TILE_VECTORS 1
#else
#include <arm_neon.h>
#define TILE_ROWS 4
#define TILE_VECTORS 1
#endif

/* sums[row][output]: the products of a row's `inputs` activations and the weights of TILE_VECTORS * LANES outputs, which are 128
   more than they stand for. `stride` lies between rows. */
ALWAYS_INLINE void products(size_t rows, const int8_t *activations, size_t stride, const uint8_t *weights, size_t inputs,
                            ints sums[TILE_ROWS][TILE_VECTORS]) {
    UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t v = 0; v < TILE_VECTORS; v++) sums[row][v] = (ints)(0);
#if defined(__AVX512VNNI__)
    for (size_t k = 0; k < inputs; k += GROUP, weights += PANEL * GROUP) {
        __m512i w[TILE_VECTORS];
        UNROLLED for (size_t v = 0; v < TILE_VECTORS; v++) {
            w[v] = _mm512_loadu_si512(weights + v * LANES * GROUP);
            __builtin_prefetch(weights + AHEAD + v * LANES * GROUP);
        }
        UNROLLED for (size_t row = 0; row < rows; row++) {
            int32_t group;
            memcpy(&group, activations + row * stride + k, GROUP);
            const __m512i a = _mm512_set1_epi32(group);
            UNROLLED for (size_t v = 0; v < TILE_VECTORS; v++)
                sums[row][v] = (ints)_mm512_dpbusd_epi32((__m512i)sums[row][v], w[v], a);
        }
    }
#elif defined(__AVX2__)
    /* The instruction multiplies bytes without a sign by bytes with one, and sums two in 16 bits: 2 * 127 * 127 is within. */
    __m256i eights[TILE_ROWS][2] = {0};
    for (size_t k = 0; k < inputs; k += GROUP, weights += PANEL * GROUP) {
        __m256i w[2];
        __builtin_prefetch(weights + AHEAD);
        UNROLLED for (size_t eight = 0; eight < 2; eight++)
            w[eight] = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)weights + eight), _mm256_set1_epi8((char)128));
        UNROLLED for (size_t row = 0; row < rows; row++) {
            int32_t group;
            memcpy(&group, activations + row * stride + k, GROUP);
            const __m256i a = _mm256_set1_epi32(group), unsigned_a = _mm256_abs_epi8(a);
            UNROLLED for (size_t eight = 0; eight < 2; eight++) {
                const __m256i pairs = _mm256_maddubs_epi16(unsigned_a, _mm256_sign_epi8(w[eight], a));
                eights[row][eight] = _mm256_add_epi32(eights[row][eight], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
            }
        }
    }
    UNROLLED for (size_t row = 0; row < rows; row++) memcpy(&sums[row][0], eights[row], sizeof eights[row]);
#else
    int32x4_t fours[TILE_ROWS][4] = {0};
    for (size_t k = 0; k < inputs; k += GROUP, weights += PANEL * GROUP) {
        int8x16_t w[4]; /* with their signs, since both factors have one here */
        __builtin_prefetch(weights + AHEAD);
        UNROLLED for (size_t four = 0; four < 4; four++)
            w[four] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(weights + four * 4 * GROUP), vdupq_n_u8(128)));
        UNROLLED for (size_t row = 0; row < rows; row++) {
            int32_t group;
            memcpy(&group, activations + row * stride + k, GROUP);
            const int8x16_t a = vreinterpretq_s8_s32(vdupq_n_s32(group));
            UNROLLED for (size_t four = 0; four < 4; four++) fours[row][four] = vdotq_s32(fours[row][four], w[four], a);
        }
    }
    UNROLLED for (size_t row = 0; row < rows; row++) memcpy(&sums[row][0], fours[row], sizeof fours[row]);
#endif
}

/* How much of the sum of a row's activations is in each of its sums of products. */
#if defined(__AVX512VNNI__)
#define EXCESS 128
#else
#define EXCESS 0
#endif

#endif
