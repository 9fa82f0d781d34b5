/* The instructions that products_avx512_vnni.h uses, in plain C for any processor: Intel's Intrinsics Guide defines them. It has no
   others, so that the kernels do not compile if they use one that is not defined here. */

#ifndef PLAIN_IMMINTRIN_H
#define PLAIN_IMMINTRIN_H

#include <stdint.h>
#include <string.h>

typedef float __m512 __attribute__((vector_size(64)));
typedef int64_t __m512i __attribute__((vector_size(64)));
typedef int64_t __m128i __attribute__((vector_size(16)));

#define INSTRUCTION static inline __attribute__((always_inline))

INSTRUCTION __m512i _mm512_loadu_si512(const void *from) {
    __m512i result;
    memcpy(&result, from, sizeof result);
    return result;
}

INSTRUCTION __m512i _mm512_set1_epi32(int32_t value) {
    int32_t lanes[16];
    for (int i = 0; i < 16; i++) lanes[i] = value;
    return _mm512_loadu_si512(lanes);
}

/* Round to the nearest whole number; of two that are as near, to the even one. */
INSTRUCTION __m512i _mm512_cvtps_epi32(__m512 values) {
    int32_t lanes[16];
    for (int i = 0; i < 16; i++) lanes[i] = (int32_t)__builtin_rintf(values[i]);
    return _mm512_loadu_si512(lanes);
}

/* Return the lowest byte of each number. */
INSTRUCTION __m128i _mm512_cvtepi32_epi8(__m512i values) {
    int32_t lanes[16];
    memcpy(lanes, &values, sizeof lanes);
    uint8_t narrow[16];
    for (int i = 0; i < 16; i++) narrow[i] = (uint8_t)lanes[i];
    __m128i result;
    memcpy(&result, narrow, sizeof result);
    return result;
}

/* Add to each number four products of bytes: those of `a` have no sign, those of `b` have one. Nothing saturates. Each byte of all
   numbers is multiplied at a time, since the compiler takes long for bytes one by one. */
INSTRUCTION __m512i _mm512_dpbusd_epi32(__m512i sums, __m512i a, __m512i b) {
    typedef int32_t numbers __attribute__((vector_size(64)));
    typedef uint32_t bits __attribute__((vector_size(64)));
    const bits left = (bits)a, right = (bits)b;
    bits total = (bits)sums; /* without a sign, since it wraps */
    total += (left & 255) * (bits)((numbers)(right << 24) >> 24);
    total += (left >> 8 & 255) * (bits)((numbers)(right << 16) >> 24);
    total += (left >> 16 & 255) * (bits)((numbers)(right << 8) >> 24);
    total += (left >> 24) * (bits)((numbers)right >> 24);
    return (__m512i)total;
}

#undef INSTRUCTION

#endif
