/* Products of bytes with AVX2. */

#ifndef PRODUCTS_AVX2_H
#define PRODUCTS_AVX2_H

#include <immintrin.h>

#define TILE_ROWS 4
#define TILE_PANELS 1
#define QUERIES 6
#define VECTORS 1
#define COLUMNS 1
#define EXCESS ZERO_WEIGHT
#define REPACKS 0
#define FETCHED_ROWS 5

ALWAYS_INLINE ints to_ints(floats values) {
    __m256 halves[2];
    memcpy(halves, &values, sizeof halves);
    const __m256i whole[2] = {_mm256_cvtps_epi32(halves[0]), _mm256_cvtps_epi32(halves[1])};
    ints result;
    memcpy(&result, whole, sizeof result);
    return result;
}

ALWAYS_INLINE bytes to_bytes(ints values) {
    __m256i halves[2];
    memcpy(halves, &values, sizeof halves);
    const __m256i shorts = _mm256_permute4x64_epi64(_mm256_packs_epi32(halves[0], halves[1]), 0xd8);
    const __m128i packed = _mm_packs_epi16(_mm256_castsi256_si128(shorts), _mm256_extracti128_si256(shorts, 1));
    bytes result;
    memcpy(&result, &packed, sizeof result);
    return result;
}

#define SPAN 16     /* inputs whose products are summed in 16 bits: eight in each of the two numbers that make up one of 32 bits */
#define PASS_ROWS 2 /* rows whose sums are in registers at the same time */

/* Add the products of some groups, at most a span, to the sums of some rows.

   VPMADDUBSW adds the products of two neighbouring bytes in 16 bits. Those of a span are added in 16 bits too, before VPMADDWD adds
   pairs of them in 32 bits: 9 instructions for 128 products, where 12 would be needed with a VPMADDWD for each VPMADDUBSW. No sum
   overflows: step_of in linear.h makes the positive activations of a sum 128 at most, and the negative ones -128 at least, and
   255 * 128 is 32640. With fine steps that is so for the sums of two products, and groups are added one by one. */
ALWAYS_INLINE void add_groups(size_t rows, size_t groups, int is_first_pass, int fetches, const int8_t *activations, size_t stride,
                              const uint8_t *weights, size_t next_weights, __m256i sums[PASS_ROWS][2]) {
    __m256i shorts[PASS_ROWS][2];
    UNROLLED for (size_t g = 0; g < groups; g++) {
        const __m256i *w = (const __m256i *)(weights + g * GROUP * PANEL);
        const __m256i low = _mm256_loadu_si256(w), high = _mm256_loadu_si256(w + 1);
        if (is_first_pass) __builtin_prefetch((const char *)w + AHEAD);
        if (is_first_pass && fetches) FETCH((const char *)w + next_weights);
        UNROLLED for (size_t row = 0; row < rows; row++) {
            int32_t group;
            memcpy(&group, activations + row * stride + g * GROUP, GROUP);
            const __m256i a = _mm256_set1_epi32(group);
            const __m256i first = _mm256_maddubs_epi16(low, a), second = _mm256_maddubs_epi16(high, a);
            shorts[row][0] = g ? _mm256_add_epi16(shorts[row][0], first) : first;
            shorts[row][1] = g ? _mm256_add_epi16(shorts[row][1], second) : second;
        }
    }
    UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t i = 0; i < 2; i++)
        sums[row][i] = _mm256_add_epi32(sums[row][i], _mm256_madd_epi16(shorts[row][i], _mm256_set1_epi16(1)));
}

ALWAYS_INLINE void products(size_t rows, size_t panels, int is_repacked, int fetches, int fine, const int8_t *activations,
                            size_t stride, size_t inputs, const struct block *blocks[], const uint8_t *weights, size_t panel_bytes,
                            ints sums[TILE_ROWS][TILE_PANELS]) {
    (void)is_repacked;
    UNROLLED for (size_t first = 0; first < rows; first += PASS_ROWS) { /* the weights are in the first cache after the first pass */
        const size_t pass = least(PASS_ROWS, rows - first);
        __m256i halves[PASS_ROWS][2];
        UNROLLED for (size_t row = 0; row < pass; row++)
            halves[row][0] = halves[row][1] = _mm256_set1_epi32(-blocks[first + row]->excess);
        const size_t spans = fine ? 0 : inputs / SPAN * SPAN;
        size_t k = 0;
#define ADD_GROUPS(groups)                                                                                                         \
    add_groups(pass, groups, first == 0, fetches, activations + first * stride + k, stride, weights + k * PANEL,                   \
               panels * panel_bytes, halves)
        for (; k < spans; k += SPAN) ADD_GROUPS(SPAN / GROUP);
        for (; k < inputs; k += GROUP) ADD_GROUPS(1);
#undef ADD_GROUPS
        UNROLLED for (size_t row = 0; row < pass; row++) memcpy(&sums[first + row][0], halves[row], sizeof halves[row]);
    }
}

#endif
