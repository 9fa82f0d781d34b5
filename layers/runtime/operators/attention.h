/* Attention in float32 (Vaswani et al. 2017, arXiv:1706.03762, section 3.2), one head after another and a few queries at a time. The
   scores of these queries for all keys are computed, turned into probabilities and used while they are in the first cache. */

#ifndef ATTENTION_H
#define ATTENTION_H

#include <stdlib.h>

#include "kernels.h"
#include "products.h"

#define LOG2_E 1.44269504f /* scores are binary logarithms, which power_of_two takes */
#define LOWEST -__builtin_inff() /* a query without a larger score becomes NaN */

/* The matrices of one head, contiguous in memory: queries and values (tokens, padded_width), keys (padded_tokens / LANES,
   padded_width, LANES), scores (QUERIES, padded_tokens). Keys are stored in groups of LANES tokens. If they were stored in rows of
   all tokens, and the number of tokens were a power of two, keys that are used at the same time would share a set of the first
   cache. */
struct head {
    size_t tokens, width;
    size_t padded_tokens, padded_width; /* tokens and width, rounded up to whole vectors */
    size_t stride;                      /* the width of a row of the result, which contains all heads */
    const float *bias;
    float *queries, *keys, *values, *scores, *result;
};

/* result[row][v] = the sum over i of left[row * left_stride + i] * right[i * right_stride + v * vector_stride] */
ALWAYS_INLINE void multiply(size_t rows, size_t vectors, size_t inner, const float *left, size_t left_stride, const float *right,
                            size_t right_stride, size_t vector_stride, floats result[QUERIES][VECTORS]) {
    UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t v = 0; v < vectors; v++) result[row][v] = all(0);
    for (size_t i = 0; i < inner; i++) {
        floats columns[VECTORS];
        UNROLLED for (size_t v = 0; v < vectors; v++) columns[v] = load(right + i * right_stride + v * vector_stride, LANES);
        UNROLLED for (size_t row = 0; row < rows; row++) {
            const floats factor = all(left[row * left_stride + i]);
            UNROLLED for (size_t v = 0; v < vectors; v++) result[row][v] = fma(factor, columns[v], result[row][v]);
        }
    }
}

/* Compute the scores of the queries from `first` on for the keys from `key` on, and update the largest scores in `most`. If
   `is_whole` is 0, the last vector may contain places after the end of the text, whose score is LOWEST. */
ALWAYS_INLINE void score(const struct head *h, size_t rows, size_t vectors, int is_whole, size_t first, size_t key,
                         floats most[QUERIES]) {
    floats scores[QUERIES][VECTORS];
    multiply(rows, vectors, h->width, h->queries + first * h->padded_width, h->padded_width, h->keys + key * h->padded_width, LANES,
             h->padded_width * LANES, scores);
    if (h->bias)
        UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t v = 0; v < vectors; v++) {
            const size_t start = key + v * LANES;
            const floats bias = load(h->bias + (first + row) * h->tokens + start, h->tokens - start);
            scores[row][v] = fma(bias, all(LOG2_E), scores[row][v]);
        }
    UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t v = 0; v < vectors; v++) {
        const size_t start = key + v * LANES;
        floats s = scores[row][v];
        if (!is_whole)
            for (size_t past = h->tokens - start; past < LANES; past++) s[past] = LOWEST;
        store(h->scores + row * h->padded_tokens + start, s, LANES);
        most[row] = larger(s, most[row]);
    }
}

/* Compute the results of the queries from `first` on. */
ALWAYS_INLINE void attend(const struct head *h, size_t rows, size_t first) {
    floats most[QUERIES];
    UNROLLED for (size_t row = 0; row < rows; row++) most[row] = all(LOWEST);
    size_t key = 0;
    for (; key + VECTORS * LANES <= h->tokens; key += VECTORS * LANES) score(h, rows, VECTORS, 1, first, key, most);
    for (; key < h->tokens; key += LANES) score(h, rows, 1, 0, first, key, most);

    float shares[QUERIES];
    UNROLLED for (size_t row = 0; row < rows; row++) {
        float *scores = h->scores + row * h->padded_tokens;
        const float top = largest(most[row]);
        floats total = all(0);
        for (key = 0; key < h->padded_tokens; key += LANES) {
            const floats power = power_of_two(load(scores + key, LANES) - top);
            store(scores + key, power, LANES);
            total += power;
        }
        shares[row] = 1.0f / sum(total);
    }

    for (size_t column = 0; column < h->width; column += COLUMNS * LANES) {
        floats found[QUERIES][VECTORS];
        multiply(rows, COLUMNS, h->tokens, h->scores, h->padded_tokens, h->values + column, h->padded_width, LANES, found);
        UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t v = 0; v < COLUMNS; v++) {
            const size_t start = column + v * LANES;
            if (start >= h->width) break;
            store(h->result + (first + row) * h->stride + start, found[row][v] * shares[row], h->width - start);
        }
    }
}

/* Turn sixteen rows into sixteen columns: four times, interleave each of the first eight rows with the one eight rows after it. */
ALWAYS_INLINE void transpose(floats rows[LANES]) {
    UNROLLED for (size_t round = 0; round < 4; round++) {
        floats next[LANES];
        UNROLLED for (size_t i = 0; i < LANES / 2; i++) {
            const floats a = rows[i], b = rows[i + LANES / 2];
            next[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            next[2 * i + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
        memcpy(rows, next, sizeof next);
    }
}

/* Fill the matrices of a head from `qkv`, which points to its first query. Queries are scaled, and the padding is 0. */
static void gather(const struct head *h, const float *qkv) {
    const float scale = LOG2_E / __builtin_sqrtf((float)h->width);
    for (size_t column = 0; column < h->padded_width; column += LANES)
        for (size_t token = 0; token < h->padded_tokens; token += LANES) {
            floats keys[LANES];
            UNROLLED for (size_t i = 0; i < LANES; i++) {
                keys[i] = all(0);
                if (token + i >= h->tokens) continue;
                const float *from = qkv + (token + i) * 3 * h->stride + column;
                const size_t to = (token + i) * h->padded_width + column, lanes = h->width - least(h->width, column);
                store(h->queries + to, load(from, lanes) * scale, LANES);
                keys[i] = load(from + h->stride, lanes);
                store(h->values + to, load(from + 2 * h->stride, lanes), LANES);
            }
            transpose(keys);
            UNROLLED for (size_t i = 0; i < LANES; i++) store(h->keys + token * h->padded_width + (column + i) * LANES, keys[i], LANES);
        }
}

static int attention(size_t tokens, size_t heads, size_t width, struct range part, const float *qkv, const float *bias,
                     float *result) {
    struct head h = {.tokens = tokens, .width = width, .stride = heads * width};
    h.padded_tokens = round_up(tokens, LANES);
    h.padded_width = round_up(width, COLUMNS * LANES);
    const size_t matrix = tokens * h.padded_width, keys = h.padded_tokens * h.padded_width, scores = QUERIES * h.padded_tokens;
    h.queries = aligned_alloc(64, round_up((2 * matrix + keys + scores) * sizeof(float), 64));
    if (!h.queries) return 0;
    h.values = h.queries + matrix;
    h.keys = h.values + matrix;
    h.scores = h.keys + keys;
    for (size_t head = part.first; head < part.last; head++) {
        h.bias = bias ? bias + head * tokens * tokens : NULL;
        h.result = result + head * width;
        gather(&h, qkv + head * width);
        size_t first = 0;
        for (; first + QUERIES <= tokens; first += QUERIES) attend(&h, QUERIES, first);
        switch (tokens - first) { /* the compiler unrolls each constant number of queries */
        case 1: attend(&h, 1, first); break;
        case 2: attend(&h, 2, first); break;
        case 3: attend(&h, 3, first); break;
#if QUERIES > 4
        case 4: attend(&h, 4, first); break;
        case 5: attend(&h, 5, first); break;
#endif
        }
    }
    free(h.queries);
    return 1;
}

#endif
