/* A node with random tensors and attributes. */

#ifndef NODES_H
#define NODES_H

#include "ort_stub.h"

/* --- Random numbers ---------------------------------------------------------------------------------------- */

static uint64_t next(uint64_t *state) { /* xorshift64* (Vigna 2016) */
    *state ^= *state >> 12, *state ^= *state << 25, *state ^= *state >> 27;
    return *state * 2685821657736338717ull;
}

/* Return a random number from `least` to `most`. */
static size_t pick(uint64_t *state, size_t least, size_t most) { return least + (next(state) >> 33) % (most - least + 1); }

static float uniform(uint64_t *state) { return (float)(next(state) >> 40) / (1 << 23) - 1; }

/* --- Tensors ------------------------------------------------------------------------------------------------ */

static Value tensor(size_t rank, const size_t sizes[], size_t size) {
    Value value = {.bytes = size, .rank = rank};
    for (size_t i = 0; i < rank; i++) value.bytes *= sizes[i], value.sizes[i] = (int64_t)sizes[i];
    value.data = allocate(value.bytes);
    return value;
}
#define TENSOR(size, ...) tensor(sizeof(size_t[]){__VA_ARGS__} / sizeof(size_t), (size_t[]){__VA_ARGS__}, size)

static Value random_tensor(uint64_t *state, float scale, Value value) {
    for (size_t i = 0; i < value.bytes / sizeof(float); i++) ((float *)value.data)[i] = scale * uniform(state);
    return value;
}
#define RANDOM(state, scale, ...) random_tensor(state, scale, TENSOR(sizeof(float), __VA_ARGS__))

static const float *floats_of(const Value *value) { return value->data; }

/* --- Nodes -------------------------------------------------------------------------------------------------- */

struct node {
    const char *operator;
    Value inputs[MOST_INPUTS];
    size_t input_count;
    KernelInfo attributes;
};

static void give_whole(struct node *node, const char *name, size_t whole) {
    KernelInfo *info = &node->attributes;
    info->attributes[info->count].name = name;
    info->attributes[info->count++].whole = (int64_t)whole;
}

static void give_real(struct node *node, const char *name, float real) {
    KernelInfo *info = &node->attributes;
    info->attributes[info->count].name = name;
    info->attributes[info->count].is_real = 1;
    info->attributes[info->count++].real = real;
}

/* Return an attribute of a node, or another value if it does not have it. */
static size_t whole_of(const struct node *node, const char *name, size_t otherwise) {
    int64_t value = (int64_t)otherwise;
    Status *missing = get_integer(&node->attributes, name, &value);
    free(missing);
    return (size_t)value;
}

static double real_of(const struct node *node, const char *name) {
    float value = 0;
    Status *missing = get_float(&node->attributes, name, &value);
    free(missing);
    return value;
}

#endif
