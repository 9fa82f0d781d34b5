/* Attention in float32 (Vaswani et al. 2017, arXiv:1706.03762, section 3.2), one head after another and a few queries at a time. The
   scores of these queries for all keys are computed, turned into probabilities and used while they are in the first cache. */

#ifndef ATTENTION_H
#define ATTENTION_H

#include <stdlib.h>

#include "kernels.h"
#include "products.h"

#define LOWEST -__builtin_inff() /* a query without a larger score becomes NaN */

/* The matrices of one head, contiguous in memory: queries and values (tokens, padded_width), keys (padded_tokens / LANES,
   padded_width, LANES), scores (QUERIES, score_stride), and
   sums of values (QUERIES, padded_width). Keys are stored in groups of LANES tokens. If they were stored in rows of
   all tokens, and the number of tokens were a power of two, keys that are used at the same time would share a set of the first
   cache. */
struct head {
    size_t tokens, width;
    size_t padded_tokens, padded_width; /* tokens and width, rounded up to whole vectors */
    size_t score_stride;                /* the largest number of keys that QUERIES neighbouring queries see, in whole vectors */
    size_t qkv_stride, stride;          /* the widths of a row of qkv and of the result, which contain all heads */
    size_t window;
    int is_causal;
    int is_restricted; /* 1 if there are keys that some queries do not see, else 0 */
    float scale, slope;           /* for scores that are binary logarithms, which power_of_two takes */
    const float *bias;
    float *queries, *keys, *values, *scores, *sums, *result;
};

/* Return the keys that a query sees. */
ALWAYS_INLINE struct range seen_by(const struct head *h, size_t query) {
    const size_t first = query > h->window ? query - h->window : 0;
    return (struct range){first, h->is_causal ? query + 1 : least(query + h->window + 1, h->tokens)};
}

/* The keys of neighbouring queries: those that any of them sees, and those that all of them see. */
struct seen {
    struct range by_any, by_all;
};

ALWAYS_INLINE struct seen seen_by_tile(const struct head *h, size_t rows, size_t first) {
    const struct range one = seen_by(h, first), other = seen_by(h, first + rows - 1), none = {other.last, other.last};
    return (struct seen){{one.first, other.last}, other.first < one.last ? (struct range){other.first, one.last} : none};
}

/* A product of matrices, computed in tiles of some rows and some vectors. result[row * result_stride + v * LANES + lane] is the sum
   over i of left[row * left_stride + i] * right[i * right_stride + v * vector_stride + lane]. If `is_added`, it is added to what
   `result` contains. Each row is multiplied by its factor at the end, if `factors` is not null. */
struct product_tiles {
    const float *left, *right, *factors;
    float *result;
    size_t inner, left_stride, right_stride, vector_stride, result_stride;
    int is_added;
};

ALWAYS_INLINE void multiply_tiles(const struct product_tiles *t, size_t rows, size_t vectors, size_t tiles) {
    const size_t left_stride = t->left_stride, right_stride = t->right_stride, vector_stride = t->vector_stride;
    const float *right = t->right;
    float *result = t->result;
    for (size_t tile = 0; tile < tiles; tile++, right += vectors * vector_stride, result += vectors * LANES) {
        floats sums[QUERIES][VECTORS];
        UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t v = 0; v < vectors; v++)
            sums[row][v] = t->is_added ? load(result + row * t->result_stride + v * LANES, LANES) : all(0);
        for (size_t i = 0; i < t->inner; i++) {
            floats columns[VECTORS];
            UNROLLED for (size_t v = 0; v < vectors; v++) columns[v] = load(right + i * right_stride + v * vector_stride, LANES);
            UNROLLED for (size_t row = 0; row < rows; row++) {
                const floats factor = all(t->left[row * left_stride + i]);
                UNROLLED for (size_t v = 0; v < vectors; v++) sums[row][v] = fma(factor, columns[v], sums[row][v]);
            }
        }
        if (t->factors)
            UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t v = 0; v < vectors; v++)
                sums[row][v] *= all(t->factors[row]);
        UNROLLED for (size_t row = 0; row < rows; row++) UNROLLED for (size_t v = 0; v < vectors; v++)
            store(result + row * t->result_stride + v * LANES, sums[row][v], LANES);
    }
}

/* Compute some tiles, each of some rows and of `vectors` vectors. It is not inlined, so that the compiler has all registers for the
   sums of a tile. Each constant number of rows is unrolled. */
#define MULTIPLY(name, vectors)                                                                     \
    static NOT_INLINED void name(const struct product_tiles *t, size_t rows, size_t tiles) {        \
        switch (rows) {                                                                             \
        case 1: multiply_tiles(t, 1, vectors, tiles); break;                                        \
        case 2: multiply_tiles(t, 2, vectors, tiles); break;                                        \
        case 3: multiply_tiles(t, 3, vectors, tiles); break;                                        \
        case 4: multiply_tiles(t, 4, vectors, tiles); break;                                        \
        case 5: multiply_tiles(t, least(5, QUERIES), vectors, tiles); break;                        \
        case 6: multiply_tiles(t, least(6, QUERIES), vectors, tiles); break;                        \
        }                                                                                           \
    }
_Static_assert(QUERIES <= 6, "there is no case for so many rows");
MULTIPLY(multiply_vector, 1)
#if VECTORS > 1
MULTIPLY(multiply_vectors, VECTORS)
#else
#define multiply_vectors multiply_vector
#endif
#if COLUMNS > 1
MULTIPLY(multiply_columns, COLUMNS)
#else
#define multiply_columns multiply_vector
#endif

/* Add the bias to LANES scores of a query from `key` on, and subtract the slope. If `is_whole` is 0, there may be keys that the query
   does not see, whose score becomes LOWEST. Returns the scores. */
ALWAYS_INLINE floats finish_scores(const struct head *h, size_t query, struct range seen, size_t key, int is_whole, float *scores) {
    const ints keys = (ints){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} + (int32_t)key;
    floats s = load(scores, LANES);
    if (h->bias) s = fma(load(h->bias + query * h->tokens + key, is_whole ? LANES : h->tokens - key), all(LOG2_E), s);
    if (h->slope != 0) s = fma(absolute(__builtin_convertvector(keys - (int32_t)query, floats)), all(-h->slope), s);
    if (!is_whole) s = (keys >= (int32_t)seen.first & keys < (int32_t)seen.last) ? s : all(LOWEST);
    store(scores, s, LANES);
    return s;
}

/* Finish all scores of a query. `start` is the key of the first score. Returns the largest score. */
ALWAYS_INLINE float largest_finished(const struct head *h, size_t query, size_t start, size_t count, float *scores) {
    const struct range seen = seen_by(h, query);
    const int is_final = !h->bias && h->slope == 0; /* the scores of keys that are seen stay as they are */
    floats most = all(LOWEST);
    for (size_t i = 0; i < count; i += LANES) {
        const size_t key = start + i;
        floats s;
        if (key < seen.first || key + LANES > seen.last) s = finish_scores(h, query, seen, key, 0, scores + i);
        else if (is_final) s = load(scores + i, LANES);
        else s = finish_scores(h, query, seen, key, 1, scores + i);
        most = larger(s, most);
    }
    return largest(most);
}

/* Replace scores by 2 to the power of their difference from the largest one, and return the sum. If there are keys that the query
   does not see, their powers are 0. */
ALWAYS_INLINE float exponentiate(float *scores, size_t count, int is_restricted, float top) {
    floats total = all(0);
    for (size_t i = 0; i < count; i += LANES) {
        const floats s = load(scores + i, LANES);
        floats power = power_of_two(s - top);
        if (is_restricted) power = s == LOWEST ? all(0) : power;
        store(scores + i, power, LANES);
        total += power;
    }
    return sum(total);
}

/* Add the values of the keys in `edge` to the sums of the queries from `first` on that see them. `start` is the key of the first
   score. */
static void add_edge(const struct head *h, size_t rows, size_t first, struct range edge, size_t start) {
    for (size_t row = 0; row < rows; row++) {
        const struct range own = seen_by(h, first + row);
        const size_t last = least(edge.last, own.last);
        float *sums = h->sums + row * h->padded_width;
        for (size_t key = edge.first > own.first ? edge.first : own.first; key < last; key++) {
            const floats share = all(h->scores[row * h->score_stride + key - start]);
            const float *values = h->values + key * h->padded_width;
            for (size_t i = 0; i < h->width; i += LANES)
                store(sums + i, fma(share, load(values + i, LANES), load(sums + i, LANES)), LANES);
        }
    }
}

/* Compute the results of some queries from `first` on. */
static void attend(const struct head *h, size_t rows, size_t first) {
    const struct seen seen = seen_by_tile(h, rows, first);
    const struct range by_any = seen.by_any, by_all = seen.by_all;
    const size_t start = by_any.first / LANES * LANES, count = by_any.last - start, whole = count / (VECTORS * LANES);
    struct product_tiles scores = {
        .left = h->queries + first * h->padded_width,
        .right = h->keys + start * h->padded_width,
        .result = h->scores,
        .inner = h->width,
        .left_stride = h->padded_width,
        .right_stride = LANES,
        .vector_stride = h->padded_width * LANES,
        .result_stride = h->score_stride,
    };
    multiply_vectors(&scores, rows, whole);
    scores.right += whole * VECTORS * scores.vector_stride;
    scores.result += whole * VECTORS * LANES;
    multiply_vector(&scores, rows, (count - whole * VECTORS * LANES + LANES - 1) / LANES);

    float shares[QUERIES];
    for (size_t row = 0; row < rows; row++) {
        float *own = h->scores + row * h->score_stride;
        const float top = largest_finished(h, first + row, start, count, own);
        shares[row] = 1.0f / (h->is_restricted ? exponentiate(own, count, 1, top) : exponentiate(own, count, 0, top));
    }

    float *result = h->result + first * h->stride;
    const int is_direct = !h->is_restricted && h->width == h->padded_width;
    const struct product_tiles values = {
        .left = h->scores + by_all.first - start,
        .right = h->values + by_all.first * h->padded_width,
        .factors = is_direct ? shares : NULL,
        .result = is_direct ? result : h->sums,
        .inner = by_all.last - by_all.first,
        .left_stride = h->score_stride,
        .right_stride = h->padded_width,
        .vector_stride = LANES,
        .result_stride = is_direct ? h->stride : h->padded_width,
        .is_added = h->is_restricted,
    };
    if (h->is_restricted) {
        memset(h->sums, 0, rows * h->padded_width * sizeof(float));
        add_edge(h, rows, first, (struct range){by_any.first, by_all.first}, start);
    }
    multiply_columns(&values, rows, h->padded_width / (COLUMNS * LANES));
    if (is_direct) return;
    if (h->is_restricted) add_edge(h, rows, first, (struct range){by_all.last, by_any.last}, start);
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < h->width; i += LANES)
            store(result + row * h->stride + i, load(h->sums + row * h->padded_width + i, LANES) * shares[row], h->width - i);
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

/* Copy the queries of a head, and scale them. The padding is 0. */
static void gather_queries(const struct head *h, const float *queries) {
    for (size_t token = 0; token < h->tokens; token++)
        for (size_t column = 0; column < h->padded_width; column += LANES)
            store(h->queries + token * h->padded_width + column,
                  load(queries + token * h->qkv_stride + column, h->width - least(h->width, column)) * h->scale, LANES);
}

/* Copy the keys and values of a head. The padding is 0. */
static void gather_keys_and_values(const struct head *h, const float *keys, const float *values) {
    for (size_t token = 0; token < h->padded_tokens; token += LANES)
        for (size_t column = 0; column < h->padded_width; column += LANES) {
            const size_t lanes = h->width - least(h->width, column);
            floats columns[LANES];
            UNROLLED for (size_t i = 0; i < LANES; i++) {
                columns[i] = all(0);
                if (token + i >= h->tokens) continue;
                const size_t from = (token + i) * h->qkv_stride + column;
                columns[i] = load(keys + from, lanes);
                store(h->values + (token + i) * h->padded_width + column, load(values + from, lanes), LANES);
            }
            transpose(columns);
            UNROLLED for (size_t i = 0; i < LANES; i++)
                store(h->keys + token * h->padded_width + (column + i) * LANES, columns[i], LANES);
        }
}

static int attention(const struct attention *a, struct range heads, const float *qkv, float *result) {
    const size_t tokens = a->tokens, width = a->width, group = a->heads / a->key_value_heads;
    const size_t window = least(a->window, tokens), seen = (a->is_causal ? window : 2 * window) + QUERIES;
    struct head h = {
        .tokens = tokens,
        .width = width,
        .padded_tokens = round_up(tokens, LANES),
        .padded_width = round_up(width, COLUMNS * LANES),
        .qkv_stride = (a->heads + 2 * a->key_value_heads) * width,
        .stride = a->heads * width,
        .window = window,
        .is_causal = a->is_causal,
        .is_restricted = a->is_causal || window + 1 < tokens,
        .scale = a->scale != 0 ? LOG2_E * a->scale : LOG2_E / __builtin_sqrtf((float)width),
    };
    h.score_stride = least(h.padded_tokens, round_up(seen + LANES - 1, LANES)); /* the first key may be the last of a vector */
    const size_t matrix = tokens * h.padded_width, keys = h.padded_tokens * h.padded_width, scores = QUERIES * h.score_stride;
    const size_t sums = QUERIES * h.padded_width;
    h.queries = aligned_alloc(64, round_up((2 * matrix + keys + scores + sums) * sizeof(float), 64));
    if (!h.queries) return 0;
    h.values = h.queries + matrix;
    h.keys = h.values + matrix;
    h.scores = h.keys + keys;
    h.sums = h.scores + scores;
    for (size_t head = heads.first; head < heads.last; head++) {
        const float *queries = qkv + head * width, *all_keys = qkv + a->heads * width;
        h.bias = a->bias ? a->bias + head * tokens * tokens : NULL;
        h.slope = a->slopes ? LOG2_E * a->slopes[head] : 0;
        h.result = result + head * width;
        gather_queries(&h, queries);
        if (head == heads.first || head % group == 0) {
            const float *own = all_keys + head / group * width;
            gather_keys_and_values(&h, own, own + a->key_value_heads * width);
        }
        for (size_t first = 0; first < tokens; first += QUERIES) attend(&h, least(QUERIES, tokens - first), first);
    }
    free(h.queries);
    return 1;
}

#endif
