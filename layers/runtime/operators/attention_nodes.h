/* Attention, and the rotary positions of its queries and keys, as operators. */

#ifndef ATTENTION_NODES_H
#define ATTENTION_NODES_H

#include "node.h"

#define MAX_HEADS 65536
#define MAX_DISTANCE 2147483647

/* The sizes of an input (texts, tokens, (heads + 2 * key_value_heads) * width). */
struct heads {
    size_t texts, tokens, heads, key_value_heads, width;
};

/* Return whether the sizes of `qkv` fit the number of heads. `key_value_heads` is 0 if it is left out. */
static int read_heads(const struct tensor *qkv, size_t heads, size_t key_value_heads, struct heads *sizes) {
    const size_t own = key_value_heads ? key_value_heads : heads, all = heads + 2 * own, row = last(qkv);
    if (qkv->rank != 3 || !row || row % all || heads % own) return 0;
    *sizes = (struct heads){(size_t)qkv->sizes[0], (size_t)qkv->sizes[1], heads, own, row / all};
    return 1;
}

/* --- Attention ------------------------------------------------------------------------------------------- */

enum { ATTENTION_HEADS, ATTENTION_KEY_VALUE_HEADS, ATTENTION_CAUSAL, ATTENTION_WINDOW, ATTENTION_SCALE };
static const struct attribute ATTENTION_ATTRIBUTES[] = {
    {"heads", .is_required = 1, .least = 1, .most = MAX_HEADS},
    {"key_value_heads", .least = 1, .most = MAX_HEADS},
    {"causal", .most = 1},
    {"window", .most = MAX_DISTANCE},
    {"scale", .kind = REAL},
};

struct attention_work {
    const struct kernels *kernels;
    const struct attention *attention;
    const float *qkv;
    float *result;
};

/* Compute a range of the heads of all texts, numbered text by text. */
static int attention_heads(const void *work, struct range range) {
    const struct attention_work *w = work;
    const struct attention *a = w->attention;
    const size_t qkv_size = a->tokens * (a->heads + 2 * a->key_value_heads) * a->width, size = a->tokens * a->heads * a->width;
    for (size_t text = range.first / a->heads; text * a->heads < range.last; text++) {
        const size_t before = text * a->heads;
        const struct range heads = {range.first > before ? range.first - before : 0, least(range.last - before, a->heads)};
        if (!w->kernels->attention(a, heads, w->qkv + text * qkv_size, w->result + text * size)) return 0;
    }
    return 1;
}

static Status *attention(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *qkv = &inputs[0], *bias = &inputs[1], *slopes = &inputs[2];
    struct heads sizes;
    EXPECT(node->api, qkv->rank == 3, "Attention: the input is not (texts, tokens, (heads + 2 * key_value_heads) * width)");
    EXPECT(node->api, read_heads(qkv, whole(node, ATTENTION_HEADS), whole(node, ATTENTION_KEY_VALUE_HEADS), &sizes),
           "Attention: the input's last size is not a multiple of heads + 2 * key_value_heads, or these do not divide heads");
    const size_t tokens = sizes.tokens, heads = sizes.heads, window = whole(node, ATTENTION_WINDOW);
    EXPECT(node->api, is_absent(bias) || has_elements(bias, heads * tokens * tokens),
           "Attention: the bias is not (1, heads, tokens, tokens)");
    EXPECT(node->api, is_absent(slopes) || has_elements(slopes, heads), "Attention: the slopes are not (heads)");
    const struct attention attention = {
        .tokens = tokens,
        .heads = heads,
        .key_value_heads = sizes.key_value_heads,
        .width = sizes.width,
        .window = window ? window : tokens,
        .is_causal = whole(node, ATTENTION_CAUSAL) != 0,
        .scale = real(node, ATTENTION_SCALE),
        .bias = bias->data,
        .slopes = slopes->data,
    };
    float *result;
    TRY(create_result(node->api, context, qkv, heads * sizes.width, &result));
    const struct attention_work work = {node->kernels, &attention, qkv->data, result};
    const size_t seen = least(tokens, (attention.is_causal ? 1 : 2) * attention.window + 1);
    return compute_all(node, context, attention_heads, &work, sizes.texts * heads, 1,
                       sizes.texts * tokens * seen * heads * sizes.width * 2);
}

/* --- Rotate ---------------------------------------------------------------------------------------------- */

enum { ROTATE_HEADS, ROTATE_KEY_VALUE_HEADS, ROTATE_EPSILON };
static const struct attribute ROTATE_ATTRIBUTES[] = {
    {"heads", .is_required = 1, .least = 1, .most = MAX_HEADS},
    {"key_value_heads", .least = 1, .most = MAX_HEADS},
    {"epsilon", .kind = REAL},
};

#define ROTATE_WORK 8 /* rotating or copying a number takes as long as this many multiplications of bytes */

struct rotate_work {
    const struct kernels *kernels;
    const struct rotation *rotation;
    const float *qkv;
    float *result;
};

static int rotate_rows(const void *work, struct range rows) {
    const struct rotate_work *w = work;
    w->kernels->rotate(rows, w->rotation, w->qkv, w->result);
    return 1;
}

static Status *rotate(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *qkv = &inputs[0], *table = &inputs[1], *query_gamma = &inputs[2], *key_gamma = &inputs[3];
    struct heads sizes;
    EXPECT(node->api, qkv->rank == 3, "Rotate: the input is not (texts, tokens, (heads + 2 * key_value_heads) * width)");
    EXPECT(node->api, read_heads(qkv, whole(node, ROTATE_HEADS), whole(node, ROTATE_KEY_VALUE_HEADS), &sizes),
           "Rotate: the input's last size is not a multiple of heads + 2 * key_value_heads, or these do not divide heads");
    EXPECT(node->api, table->rank == 3 && table->sizes[1] == 2 && last(table) <= sizes.width / 2,
           "Rotate: the table is not (positions, 2, rotated / 2), or more numbers are rotated than a head has");
    EXPECT(node->api, (size_t)table->sizes[0] >= sizes.tokens, "Rotate: a text has more tokens than the table has positions");
    EXPECT(node->api,
           (is_absent(query_gamma) || has_elements(query_gamma, sizes.width)) &&
               (is_absent(key_gamma) || has_elements(key_gamma, sizes.width)),
           "Rotate: query_gamma or key_gamma has another size than a head");
    const struct rotation rotation = {
        .tokens = sizes.tokens,
        .heads = sizes.heads,
        .key_value_heads = sizes.key_value_heads,
        .width = sizes.width,
        .rotated = 2 * last(table),
        .table = table->data,
        .query_gamma = query_gamma->data,
        .key_gamma = key_gamma->data,
        .epsilon = real(node, ROTATE_EPSILON),
    };
    float *result;
    TRY(create_result(node->api, context, qkv, last(qkv), &result));
    const struct rotate_work work = {node->kernels, &rotation, qkv->data, result};
    return compute_all(node, context, rotate_rows, &work, sizes.texts * sizes.tokens, 1, elements(qkv) * ROTATE_WORK);
}

#endif
