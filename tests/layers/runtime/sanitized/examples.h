/* Examples of the operators, with random sizes, attributes and numbers. Those with `is_large` are shared between threads. */

#ifndef EXAMPLES_H
#define EXAMPLES_H

#include "definitions.h"

static struct node make_linear(uint64_t *state, int is_large) {
    const size_t rows = is_large ? pick(state, 10, 40) : pick(state, 0, 20), inputs = is_large ? pick(state, 700, 900) : pick(state, 1, 420);
    const size_t outputs = is_large ? pick(state, 300, 310) : pick(state, 1, 140);
    const size_t blocks = (inputs + BLOCK - 1) / BLOCK, groups = (inputs + blocks * GROUP - 1) / (blocks * GROUP);
    const size_t padded = blocks * groups * GROUP, panels = (outputs + PANEL - 1) / PANEL;
    struct node node = {"Linear", .input_count = 5};
    give_whole(&node, "gelu", pick(state, 0, 1));
    if (pick(state, 0, 1)) give_whole(&node, "fine", pick(state, 0, 1));
    node.inputs[0] = RANDOM(state, 3, 1, rows, inputs);
    node.inputs[1] = TENSOR(1, panels, blocks, groups, PANEL, GROUP);
    for (size_t o = 0; o < panels * PANEL; o++)
        for (size_t k = 0; k < padded; k++) {
            const size_t at = (o / PANEL * padded + k / GROUP * GROUP) * PANEL + o % PANEL * GROUP + k % GROUP;
            ((uint8_t *)node.inputs[1].data)[at] = o < outputs && k < inputs ? (uint8_t)pick(state, 1, 255) : 128;
        }
    node.inputs[2] = RANDOM(state, 0.01f, outputs);
    node.inputs[3] = RANDOM(state, 1, outputs);
    node.inputs[4] = RANDOM(state, 1, inputs);
    if (rows && pick(state, 0, 3) == 0) /* inputs of the same sign, whose sums in 16 bits are the largest */
        for (size_t k = 0; k < inputs; k++) ((float *)node.inputs[0].data)[k] = 5 / ((float *)node.inputs[4].data)[k];
    return node;
}

static struct node make_product(uint64_t *state, int is_large) {
    const size_t rows = is_large ? 7 : pick(state, 0, 9), inputs = is_large ? 201 : pick(state, 1, 60);
    const size_t outputs = is_large ? 301 : pick(state, 1, 140);
    struct node node = {"Product", .input_count = 3};
    node.inputs[0] = RANDOM(state, 1, 1, rows, inputs);
    node.inputs[1] = RANDOM(state, 1, inputs, outputs);
    if (pick(state, 0, 1)) node.inputs[2] = RANDOM(state, 1, outputs);
    return node;
}

/* Give a node a number of heads. Returns the number of the heads of queries, keys and values. */
static size_t give_heads(uint64_t *state, struct node *node, int is_large) {
    const size_t key_value_heads = pick(state, 1, 2), group = pick(state, is_large ? 2 : 1, 3);
    give_whole(node, "heads", key_value_heads * group);
    if (group > 1 || pick(state, 0, 1)) give_whole(node, "key_value_heads", key_value_heads);
    return key_value_heads * (group + 2);
}

static struct node make_attention(uint64_t *state, int is_large) {
    const size_t texts = pick(state, 0, 2), tokens = is_large ? pick(state, 100, 110) : pick(state, 0, 60);
    const size_t width = is_large ? 70 : pick(state, 1, 70);
    struct node node = {"Attention", .input_count = 3};
    const size_t all_heads = give_heads(state, &node, is_large), heads = whole_of(&node, "heads", 0);
    node.inputs[0] = RANDOM(state, 1, texts + (size_t)is_large, tokens, all_heads * width);
    if (pick(state, 0, 1)) node.inputs[1] = RANDOM(state, 1, 1, heads, tokens, tokens);
    if (pick(state, 0, 1)) node.inputs[2] = RANDOM(state, 1, heads);
    if (pick(state, 0, 1)) give_whole(&node, "causal", pick(state, 0, 1));
    if (pick(state, 0, 1)) give_whole(&node, "window", is_large ? pick(state, 80, 120) : pick(state, 0, 70));
    if (pick(state, 0, 1)) give_real(&node, "scale", 0.125f);
    return node;
}

static struct node make_rotate(uint64_t *state, int is_large) {
    const size_t texts = pick(state, 0, 2) + (size_t)is_large, tokens = is_large ? pick(state, 100, 110) : pick(state, 0, 20);
    const size_t width = is_large ? 650 : pick(state, 1, 70), half = pick(state, 0, width / 2);
    struct node node = {"Rotate", .input_count = 4};
    node.inputs[0] = RANDOM(state, 1, texts, tokens, give_heads(state, &node, is_large) * width);
    node.inputs[1] = RANDOM(state, 1, tokens + pick(state, 0, 3), 2, half);
    if (pick(state, 0, 1)) node.inputs[2] = RANDOM(state, 1, width);
    if (pick(state, 0, 1)) node.inputs[3] = RANDOM(state, 1, width);
    give_real(&node, "epsilon", 1e-2f);
    return node;
}

static struct node make_norm(uint64_t *state, int is_large) {
    const size_t rows = is_large ? 150 : pick(state, 0, 20), width = is_large ? 1000 : pick(state, 2, 420);
    struct node node = {"Norm", .input_count = 3};
    node.inputs[0] = RANDOM(state, 1, 1, rows, width);
    node.inputs[1] = RANDOM(state, 1, width);
    if (pick(state, 0, 1)) node.inputs[2] = RANDOM(state, 1, width);
    give_real(&node, "epsilon", 1e-3f);
    if (pick(state, 0, 1)) give_whole(&node, "centered", pick(state, 0, 1));
    return node;
}

static struct node make_gate(uint64_t *state, int is_large) {
    const size_t rows = is_large ? 150 : pick(state, 0, 20), width = is_large ? 500 : pick(state, 1, 140);
    struct node node = {"Gate", .input_count = 1};
    node.inputs[0] = RANDOM(state, 5, 1, rows, 2 * width);
    give_whole(&node, "activation", pick(state, 0, 2));
    return node;
}

static struct node make_add_norm(uint64_t *state, int is_large) {
    const size_t texts = pick(state, 1, 3), rows = is_large ? 150 : pick(state, 0, 20), width = is_large ? 1000 : pick(state, 2, 420);
    struct node node = {"AddNorm", .input_count = 4};
    give_real(&node, "epsilon", 1e-3f);
    node.inputs[0] = RANDOM(state, 1, texts, rows, width);
    node.inputs[1] = RANDOM(state, 1, 1, rows, width);
    node.inputs[2] = RANDOM(state, 1, width);
    node.inputs[3] = RANDOM(state, 1, width);
    return node;
}

static struct node make_mean(uint64_t *state, int is_large) {
    (void)is_large;
    struct node node = {"Mean", .input_count = 1};
    node.inputs[0] = RANDOM(state, 1, pick(state, 0, 3), pick(state, 1, 60), pick(state, 1, 90));
    return node;
}

#endif
