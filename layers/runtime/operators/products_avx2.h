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
#define MOVES 1
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

/* VPMADDUBSW sums the products of two neighbouring bytes in 16 bits. With weights up to 255 the sum fits if the absolute value of
   the sum of both activations is at most 128, since 255 * 128 = 32640. If it is larger, the second activation of the pair is moved
   out of the row. Returns the number of groups with a moved activation. */
ALWAYS_INLINE size_t separate(int8_t *row, size_t inputs, struct moved *moved) {
    size_t groups = 0;
    for (size_t start = 0; start < inputs; start += 128) {
        uint64_t pairs = 0; /* a bit for each pair of 128 activations */
        for (size_t k = 0; k < least(128, inputs - start); k += 32) {
            const __m256i activations = _mm256_loadu_si256((const __m256i *)(row + start + k));
            const __m256i sums = _mm256_abs_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), activations));
            const __m256i large = _mm256_cmpgt_epi16(sums, _mm256_set1_epi16(128));
            const __m128i packed = _mm_packs_epi16(_mm256_castsi256_si128(large), _mm256_extracti128_si256(large, 1));
            pairs |= (uint64_t)_mm_movemask_epi8(packed) << (k / 2);
        }
        if (inputs - start < 128) pairs &= (1ull << (inputs - start) / 2) - 1; /* the last register reads past the end */
        while (pairs) {
            const size_t group = (size_t)__builtin_ctzll(pairs) / 2, large_pairs = pairs >> 2 * group & 3;
            int8_t *from = row + start + group * GROUP;
            const int16_t second = large_pairs & 1 ? from[1] : 0, fourth = large_pairs & 2 ? from[3] : 0;
            from[1] = large_pairs & 1 ? 0 : from[1];
            from[3] = large_pairs & 2 ? 0 : from[3];
            moved[groups++] = (struct moved){{second, fourth}, (uint32_t)((start + group * GROUP) * PANEL)};
            pairs &= ~(3ull << 2 * group);
        }
    }
    return groups;
}

ALWAYS_INLINE __m256i add_products(__m256i sum, __m256i weights, __m256i activations) {
    const __m256i pairs = _mm256_maddubs_epi16(weights, activations);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* Add the products of the second and the fourth weight of each output's group with two activations. */
ALWAYS_INLINE __m256i add_moved(__m256i sum, __m256i weights, __m256i activations) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_srli_epi16(weights, 8), activations));
}

ALWAYS_INLINE void products(size_t rows, size_t panels, int is_repacked, int fetches, const int8_t *activations, size_t stride,
                            size_t inputs, const struct block *blocks[], const struct moved *moved, const uint8_t *weights,
                            size_t panel_bytes, ints sums[TILE_ROWS][TILE_PANELS]) {
    (void)is_repacked;
    __m256i halves[TILE_ROWS][2];
    UNROLLED for (size_t row = 0; row < rows; row++) halves[row][0] = halves[row][1] = _mm256_set1_epi32(-blocks[row]->excess);
    for (size_t k = 0; k < inputs; k += GROUP) {
        const __m256i *w = (const __m256i *)(weights + k * PANEL);
        const __m256i low = _mm256_loadu_si256(w), high = _mm256_loadu_si256(w + 1);
        __builtin_prefetch((const char *)w + AHEAD);
        if (fetches) FETCH((const char *)w + panels * panel_bytes);
        UNROLLED for (size_t row = 0; row < rows; row++) {
            int32_t group;
            memcpy(&group, activations + row * stride + k, GROUP);
            const __m256i a = _mm256_set1_epi32(group);
            halves[row][0] = add_products(halves[row][0], low, a);
            halves[row][1] = add_products(halves[row][1], high, a);
        }
    }
    UNROLLED for (size_t row = 0; row < rows; row++) {
        for (const struct moved *m = moved + blocks[row]->first_moved, *end = moved + blocks[row]->last_moved; m < end; m++) {
            const __m256i *w = (const __m256i *)(weights + m->offset);
            int32_t both;
            memcpy(&both, m->activations, sizeof both);
            const __m256i a = _mm256_set1_epi32(both);
            halves[row][0] = add_moved(halves[row][0], _mm256_loadu_si256(w), a);
            halves[row][1] = add_moved(halves[row][1], _mm256_loadu_si256(w + 1), a);
        }
        memcpy(&sums[row][0], halves[row], sizeof halves[row]);
    }
}

#endif
