/* The common part of both sets of kernels for arm64. Their instructions multiply signed bytes, so EXCESS is 0. The stored weights are
   unsigned. They are made signed in the loop, or once for all rows of a chunk if it has enough rows. */

#ifndef PRODUCTS_NEON_H
#define PRODUCTS_NEON_H

#include <arm_neon.h>

#define QUERIES 4
#define VECTORS 1
#define COLUMNS 1
#define EXCESS 0
#define REPACKS 1
#define FETCHED_ROWS SIZE_MAX /* never, as long as it has not been measured on such a processor */
#define QUARTERS 4 /* registers that hold a panel's sums */

ALWAYS_INLINE ints to_ints(floats values) {
    float32x4_t quarters[QUARTERS];
    int32x4_t whole[QUARTERS];
    memcpy(quarters, &values, sizeof quarters);
    UNROLLED for (size_t q = 0; q < QUARTERS; q++) whole[q] = vcvtnq_s32_f32(quarters[q]);
    ints result;
    memcpy(&result, whole, sizeof result);
    return result;
}

ALWAYS_INLINE bytes to_bytes(ints values) { return __builtin_convertvector(values, bytes); }

ALWAYS_INLINE int8x16_t as_signed(const uint8_t *weights) {
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(weights), vdupq_n_u8(ZERO_WEIGHT)));
}

/* Add the products of one group, which lies in `lane` of the activations' registers. */
#define ADD_DOT_PRODUCTS(lane)                                                                                                     \
    UNROLLED for (size_t q = 0; q < QUARTERS; q++) {                                                                               \
        const uint8_t *from = weights + k * PANEL + (lane) * PANEL * GROUP + q * 16;                                               \
        w[q] = is_signed ? vreinterpretq_s8_u8(vld1q_u8(from)) : as_signed(from);                                                  \
    }                                                                                                                              \
    UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t q = 0; q < QUARTERS; q++)                                \
        totals[row][q] = vdotq_laneq_s32(totals[row][q], w[q], a[row], lane);

/* Compute the sums for up to four rows with SDOT, which adds four products to each of four numbers. It takes the activations of
   four groups from one register, by element: a broadcast for each group takes as long as the products (llvm-mca, neoverse-n1). */
ALWAYS_INLINE void dot_products(size_t rows, int is_signed, const int8_t *activations, size_t stride, size_t inputs,
                                const uint8_t *weights, ints sums[][1]) {
    int32x4_t totals[4][QUARTERS] = {0};
    int8x16_t a[4], w[QUARTERS];
    size_t k = 0;
    for (; k + 4 * GROUP <= inputs; k += 4 * GROUP) {
        __builtin_prefetch(weights + k * PANEL + AHEAD);
        UNROLLED for (size_t row = 0; row < rows; row++) a[row] = vld1q_s8(activations + row * stride + k);
        ADD_DOT_PRODUCTS(0)
        ADD_DOT_PRODUCTS(1)
        ADD_DOT_PRODUCTS(2)
        ADD_DOT_PRODUCTS(3)
    }
    for (; k < inputs; k += GROUP) {
        UNROLLED for (size_t row = 0; row < rows; row++) {
            int32_t group;
            memcpy(&group, activations + row * stride + k, GROUP);
            a[row] = vreinterpretq_s8_s32(vdupq_n_s32(group));
        }
        ADD_DOT_PRODUCTS(0)
    }
    UNROLLED for (size_t row = 0; row < rows; row++) memcpy(&sums[row][0], totals[row], sizeof totals[row]);
}

#undef ADD_DOT_PRODUCTS

#endif
