/* The instructions that products_neon.h, products_dotprod.h and products_i8mm.h use, in plain C for any processor: Arm's Intrinsics
   Reference defines them. It has no others, so that the kernels do not compile if they use one that is not defined here. */

#ifndef PLAIN_ARM_NEON_H
#define PLAIN_ARM_NEON_H

#include <stdint.h>
#include <string.h>

typedef int8_t int8x8_t __attribute__((ext_vector_type(8)));
typedef int8_t int8x16_t __attribute__((ext_vector_type(16)));
typedef uint8_t uint8x16_t __attribute__((ext_vector_type(16)));
typedef int32_t int32x2_t __attribute__((ext_vector_type(2)));
typedef int32_t int32x4_t __attribute__((ext_vector_type(4)));
typedef uint32_t uint32x4_t __attribute__((ext_vector_type(4)));
typedef float float32x4_t __attribute__((ext_vector_type(4)));

#define INSTRUCTION static inline __attribute__((always_inline))

/* Return the same bits as another type. */
INSTRUCTION int8x16_t vreinterpretq_s8_u8(uint8x16_t a) { return (int8x16_t)a; }
INSTRUCTION int8x16_t vreinterpretq_s8_s32(int32x4_t a) { return (int8x16_t)a; }
INSTRUCTION uint8x16_t vreinterpretq_u8_s8(int8x16_t a) { return (uint8x16_t)a; }
INSTRUCTION uint8x16_t vreinterpretq_u8_u32(uint32x4_t a) { return (uint8x16_t)a; }
INSTRUCTION uint32x4_t vreinterpretq_u32_s8(int8x16_t a) { return (uint32x4_t)a; }

INSTRUCTION int8x8_t vld1_s8(const int8_t *from) {
    int8x8_t result;
    memcpy(&result, from, sizeof result);
    return result;
}

INSTRUCTION int8x16_t vld1q_s8(const int8_t *from) {
    int8x16_t result;
    memcpy(&result, from, sizeof result);
    return result;
}

INSTRUCTION uint8x16_t vld1q_u8(const uint8_t *from) {
    uint8x16_t result;
    memcpy(&result, from, sizeof result);
    return result;
}

INSTRUCTION void vst1q_u8(uint8_t *to, uint8x16_t a) { memcpy(to, &a, sizeof a); }

INSTRUCTION uint8x16_t vdupq_n_u8(uint8_t value) { return (uint8x16_t)(value); }
INSTRUCTION int32x4_t vdupq_n_s32(int32_t value) { return (int32x4_t)(value); }
INSTRUCTION uint32x4_t vdupq_n_u32(uint32_t value) { return (uint32x4_t)(value); }

INSTRUCTION uint8x16_t veorq_u8(uint8x16_t a, uint8x16_t b) { return a ^ b; }

INSTRUCTION int8x16_t vcombine_s8(int8x8_t low, int8x8_t high) {
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
INSTRUCTION int32x2_t vget_low_s32(int32x4_t a) { return __builtin_shufflevector(a, a, 0, 1); }
INSTRUCTION int32x2_t vget_high_s32(int32x4_t a) { return __builtin_shufflevector(a, a, 2, 3); }

/* Interleave the lower halves, or the upper halves. */
INSTRUCTION uint32x4_t vzip1q_u32(uint32x4_t a, uint32x4_t b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
INSTRUCTION uint32x4_t vzip2q_u32(uint32x4_t a, uint32x4_t b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }

/* Round to the nearest whole number; of two that are as near, to the even one. */
INSTRUCTION int32x4_t vcvtnq_s32_f32(float32x4_t a) {
    int32x4_t result;
    for (int i = 0; i < 4; i++) result[i] = (int32_t)__builtin_rintf(a[i]);
    return result;
}

/* SDOT by element: add to each number its four products with the same four bytes of `b`. One byte of all numbers is multiplied at a
   time, since the compiler takes long for bytes one by one. */
INSTRUCTION int32x4_t vdotq_laneq_s32(int32x4_t sums, int8x16_t a, int8x16_t b, int lane) {
    const uint32x4_t bits = (uint32x4_t)a;
    sums += ((int32x4_t)(bits << 24) >> 24) * b[4 * lane];
    sums += ((int32x4_t)(bits << 16) >> 24) * b[4 * lane + 1];
    sums += ((int32x4_t)(bits << 8) >> 24) * b[4 * lane + 2];
    sums += ((int32x4_t)bits >> 24) * b[4 * lane + 3];
    return sums;
}

/* SMMLA: two rows of eight bytes times two columns of eight, and so each of the eight at a time. */
INSTRUCTION int32x4_t vmmlaq_s32(int32x4_t sums, int8x16_t a, int8x16_t b) {
    typedef int32_t numbers __attribute__((ext_vector_type(16)));
    const numbers left = __builtin_convertvector(a, numbers), right = __builtin_convertvector(b, numbers);
#define ADD(k)                                                                  \
    sums += __builtin_shufflevector(left, left, k, k, 8 + (k), 8 + (k)) *       \
            __builtin_shufflevector(right, right, k, 8 + (k), k, 8 + (k))
    ADD(0), ADD(1), ADD(2), ADD(3), ADD(4), ADD(5), ADD(6), ADD(7);
#undef ADD
    return sums;
}

#undef INSTRUCTION

#endif
