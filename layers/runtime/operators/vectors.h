/* Sixteen floats at a time, with the same bits on every processor: each result is rounded as IEEE 754 says, sums have one order,
   and no function of a mathematical library is called. The compiler maps a vector to one register of AVX-512, two of AVX2 or four
   of NEON. */

#ifndef VECTORS_H
#define VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define LARGEST 3.402823466e38f /* the largest float */
#define NAN_BITS 0x7fc00000
#define LOG2_E 1.44269504f /* the binary logarithm of e: power_of_two(LOG2_E * x) is e to the power of x */
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NOT_INLINED __attribute__((noinline))
#define UNROLLED _Pragma("unroll")

typedef float floats __attribute__((ext_vector_type(LANES)));
typedef int32_t ints __attribute__((ext_vector_type(LANES)));
typedef float half __attribute__((ext_vector_type(LANES / 2)));
typedef float quarter __attribute__((ext_vector_type(LANES / 4)));

ALWAYS_INLINE size_t least(size_t a, size_t b) { return a < b ? a : b; }

ALWAYS_INLINE size_t round_up(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

ALWAYS_INLINE floats all(float value) { return (floats)(value); }

ALWAYS_INLINE float as_float(int32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Load as many values as `lanes` says, but at most LANES; the other lanes are 0. */
ALWAYS_INLINE floats load(const float *from, size_t lanes) {
    floats values = all(0);
    if (lanes >= LANES) memcpy(&values, from, sizeof values);
    else memcpy(&values, from, lanes * sizeof(float));
    return values;
}

/* Store as many values as `lanes` says, but at most LANES. */
ALWAYS_INLINE void store(float *to, floats values, size_t lanes) {
    if (lanes >= LANES) memcpy(to, &values, sizeof values);
    else memcpy(to, &values, lanes * sizeof(float));
}

ALWAYS_INLINE floats fma(floats a, floats b, floats c) { return __builtin_elementwise_fma(a, b, c); }

/* Return the larger number of each lane; b if either is NaN. */
ALWAYS_INLINE floats larger(floats a, floats b) { return a > b ? a : b; }

ALWAYS_INLINE floats absolute(floats a) { return (floats)((ints)a & 0x7fffffff); }

/* Swap each lane with the one 8, 4, 2 or 1 lanes away. */
#define SWAPPED_8(a) __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#define SWAPPED_4(a) __builtin_shufflevector(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
#define SWAPPED_2(a) __builtin_shufflevector(a, a, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define SWAPPED_1(a) __builtin_shufflevector(a, a, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)

/* Add neighbours: two sums of a, two of b, the next two of a, and so on. */
#define PAIRS(a, b)                                                                                                                \
    (__builtin_shufflevector(a, b, 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30) +                                    \
     __builtin_shufflevector(a, b, 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31))

ALWAYS_INLINE float sum(floats a) {
    a += SWAPPED_8(a);
    a += SWAPPED_4(a);
    a += SWAPPED_2(a);
    a += SWAPPED_1(a);
    return a[0];
}

ALWAYS_INLINE float largest(floats a) {
    a = larger(a, SWAPPED_8(a));
    a = larger(a, SWAPPED_4(a));
    a = larger(a, SWAPPED_2(a));
    a = larger(a, SWAPPED_1(a));
    return a[0];
}

/* Return 2 to the power of x for x up to 127, with a relative error of 1e-7: 2^n times a polynomial over -1/2 to 1/2, which was
   fitted for the smallest maximum error. An x below -100 is taken as -100. Such a result is too small to matter next to the largest
   one, which is 1, and much smaller results would be subnormal numbers, which processors compute with a hundred times slower. */
ALWAYS_INLINE floats power_of_two(floats x) {
    x = larger(all(-100), x);
    const floats n = __builtin_elementwise_rint(x), r = x - n;
    floats p = all(1.32647273e-3f);
    p = fma(p, r, all(9.67151299e-3f));
    p = fma(p, r, all(5.55073358e-2f));
    p = fma(p, r, all(2.40222424e-1f));
    p = fma(p, r, all(6.93147004e-1f));
    p = fma(p, r, all(1));
    return (floats)((ints)p + (__builtin_convertvector(n, ints) << 23));
}

/* Return x times the cumulative probability of the normal distribution at x (Hendrycks and Gimpel 2016, arXiv:1606.08415), with an
   error of 1e-7: max(x, 0) minus |x| times the probability of values beyond |x|. The binary logarithm of that probability is nearly
   a polynomial of degree 6. It was fitted over 0 to 6 for the smallest maximum error of the product, which is 0 beyond 6. */
ALWAYS_INLINE floats gelu(floats x) {
    const floats z = absolute(x) < all(6) ? absolute(x) : all(6);
    floats p = all(2.99241510e-5f);
    p = fma(p, z, all(-7.39873911e-4f));
    p = fma(p, z, all(7.97746144e-3f));
    p = fma(p, z, all(-5.32381870e-2f));
    p = fma(p, z, all(-4.58915681e-1f));
    p = fma(p, z, all(-1.15114713f));
    p = fma(p, z, all(-1));
    return fma(-absolute(x), power_of_two(p), larger(x, all(0)));
}

#endif
