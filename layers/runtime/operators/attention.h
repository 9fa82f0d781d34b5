/* Attention in float32 (Vaswani et al. 2017, arXiv:1706.03762, section 3.2), head after head and some queries at a time: their
   scores for all keys are computed, made probabilities and used up while they are in the first cache. */

#ifndef ATTENTION_H
#define ATTENTION_H

#include <stdlib.h>

#include "vectors.h"

/* So many queries times so many vectors of keys are scored at a time: as there are registers for. */
#if defined(__AVX512F__)
#define QUERIES 6
#define VECTORS 4
#define COLUMNS 2 /* vectors of values that are summed at a time */
#else
#define QUERIES 4
#define VECTORS 1
#define COLUMNS 1
#endif

#define LOG2_E 1.44269504f /* scores are binary logarithms, as power_of_two wants them */
#define LOWEST -3e38f

/* One head's matrices, in rows without gaps: queries and values (tokens, wide), keys (wide, long), scores (QUERIES, long). */
struct head {
    size_t tokens, width;
    size_t longer, wider; /* tokens and width, rounded up to whole vectors */
    size_t stride;        /* of the result's rows, which have all heads */
    const float *bias;
    float *queries, *keys, *values, *scores, *result;
};

/* result[row][column] = the sum over i of left[row][i] * right[i][column] */
ALWAYS_INLINE void multiply(size_t rows, size_t vectors, size_t inner, const float *left, size_t left_stride, const float *right,
                            size_t right_stride, floats result[QUERIES][VECTORS]) {
    UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t v = 0; v < vectors; v++) result[row][v] = all(0);
    for (size_t i = 0; i < inner; i++) {
        floats columns[VECTORS];
        UNROLLED for (size_t v = 0; v < vectors; v++) columns[v] = load(right + i * right_stride + v * LANES, LANES);
        UNROLLED for (size_t row = 0; row < rows; row++) {
            const floats factor = all(left[row * left_stride + i]);
            UNROLLED for (size_t v = 0; v < vectors; v++) result[row][v] = fma(factor, columns[v], result[row][v]);
        }
    }
}

/* Scores of the queries from `first` for the keys from `key`, and in `most` the largest so far. */
ALWAYS_INLINE void score(const struct head *h, size_t rows, size_t vectors, size_t first, size_t key, floats most[QUERIES]) {
    floats scores[QUERIES][VECTORS];
    multiply(rows, vectors, h->width, h->queries + first * h->wider, h->wider, h->keys + key, h->longer, scores);
    UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t v = 0; v < vectors; v++) {
        const size_t start = key + v * LANES, count = h->tokens - start;
        floats s = scores[row][v];
        if (h->bias) s = fma(load(h->bias + (first + row) * h->tokens + start, count), all(LOG2_E), s);
        for (size_t past = count; past < LANES; past++) s[past] = LOWEST;
        store(h->scores + row * h->longer + start, s, LANES);
        most[row] = larger(most[row], s);
    }
}

ALWAYS_INLINE void attend(const struct head *h, size_t rows, size_t first) {
    floats most[QUERIES];
    UNROLLED for (size_t row = 0; row < rows; row++) most[row] = all(LOWEST);
    size_t key = 0;
    for (; key + VECTORS * LANES <= h->tokens; key += VECTORS * LANES) score(h, rows, VECTORS, first, key, most);
    for (; key < h->tokens; key += LANES) score(h, rows, 1, first, key, most);

    float shares[QUERIES];
    UNROLLED for (size_t row = 0; row < rows; row++) {
        float *scores = h->scores + row * h->longer;
        const float top = largest(most[row]);
        floats total = all(0);
        for (key = 0; key < h->longer; key += LANES) {
            const floats power = power_of_two(load(scores + key, LANES) - top);
            store(scores + key, power, LANES);
            total += power;
        }
        shares[row] = 1.0f / sum(total);
    }

    for (size_t column = 0; column < h->width; column += COLUMNS * LANES) {
        floats found[QUERIES][VECTORS];
        multiply(rows, COLUMNS, h->tokens, h->scores, h->longer, h->values + column, h->wider, found);
        UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t v = 0; v < COLUMNS; v++) {
            const size_t start = column + v * LANES;
            if (start >= h->width) break;
            store(h->result + (first + row) * h->stride + start, found[row][v] * shares[row], h->width - start);
        }
    }
}

/* Sixteen rows become sixteen columns: four times, each row is interleaved with the one eight rows on. */
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

/* Fill the head's matrices from `qkv`, at its first query; queries are scaled, and what is rounded up is 0. */
static void gather(const struct head *h, const float *qkv) {
    const float scale = LOG2_E / __builtin_sqrtf((float)h->width);
    for (size_t column = 0; column < h->wider; column += LANES)
        for (size_t token = 0; token < h->longer; token += LANES) {
            floats keys[LANES];
            UNROLLED for (size_t i = 0; i < LANES; i++) {
                keys[i] = all(0);
                if (token + i >= h->tokens) continue;
                const float *from = qkv + (token + i) * 3 * h->stride + column;
                const size_t to = (token + i) * h->wider + column, count = h->width - least(h->width, column);
                store(h->queries + to, load(from, count) * scale, LANES);
                keys[i] = load(from + h->stride, count);
                store(h->values + to, load(from + 2 * h->stride, count), LANES);
            }
            transpose(keys);
            UNROLLED for (size_t i = 0; i < LANES; i++) store(h->keys + (column + i) * h->longer + token, keys[i], LANES);
        }
}

static int attention(size_t tokens, size_t heads, size_t width, const float *qkv, const float *bias, float *result) {
    struct head h = {.tokens = tokens, .width = width, .stride = heads * width};
    h.longer = round_up(tokens, LANES);
    h.wider = round_up(width, COLUMNS * LANES);
    h.queries = aligned_alloc(64, (2 * tokens * h.wider + h.wider * h.longer + QUERIES * h.longer) * sizeof(float));
    if (!h.queries) return 0;
    h.values = h.queries + tokens * h.wider;
    h.keys = h.values + tokens * h.wider;
    h.scores = h.keys + h.wider * h.longer;
    for (size_t head = 0; head < heads; head++) {
        h.bias = bias ? bias + head * tokens * tokens : NULL;
        h.result = result + head * width;
        gather(&h, qkv + head * width);
        size_t first = 0;
        for (; first + QUERIES <= tokens; first += QUERIES) attend(&h, QUERIES, first);
        for (; first < tokens; first++) attend(&h, 1, first);
    }
    free(h.queries);
    return 1;
}

#endif
