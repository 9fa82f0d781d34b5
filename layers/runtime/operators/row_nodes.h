/* The operators that compute each row by itself, and the mean of rows. */

#ifndef ROW_NODES_H
#define ROW_NODES_H

#include "node.h"

/* --- AddNorm --------------------------------------------------------------------------------------------- */

enum { ADD_NORM_EPSILON };
static const struct attribute ADD_NORM_ATTRIBUTES[] = {{"epsilon", .kind = REAL, .is_required = 1}};

struct add_norm_work {
    const struct kernels *kernels;
    size_t width, b_rows;
    const float *a, *b, *gamma, *beta;
    float epsilon, *result;
};

static int add_norm_rows(const void *work, struct range rows) {
    const struct add_norm_work *w = work;
    w->kernels->add_norm(rows, w->width, w->a, w->b, w->b_rows, w->gamma, w->beta, w->epsilon, w->result);
    return 1;
}

#define ADD_NORM_WORK 24 /* adding, normalizing and storing a value takes as long as this many multiplications of bytes */

static Status *add_norm(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *a = &inputs[0], *b = &inputs[1], *gamma = &inputs[2], *beta = &inputs[3];
    const size_t width = last(a);
    EXPECT(node->api, width > 0 && last(b) == width && (elements(b) ? elements(a) % elements(b) : elements(a)) == 0,
           "AddNorm: the inputs do not fit each other");
    EXPECT(node->api, has_elements(gamma, width) && has_elements(beta, width),
           "AddNorm: gamma or beta has another size than a row");
    float *result;
    TRY(create_result(node->api, context, a, width, &result));
    const struct add_norm_work work = {
        node->kernels, width, elements(b) / width, a->data, b->data, gamma->data, beta->data, real(node, ADD_NORM_EPSILON), result,
    };
    return compute_all(node, context, add_norm_rows, &work, elements(a) / width, 1, elements(a) * ADD_NORM_WORK);
}

/* --- Norm ------------------------------------------------------------------------------------------------ */

enum { NORM_EPSILON, NORM_CENTERED };
static const struct attribute NORM_ATTRIBUTES[] = {
    {"epsilon", .kind = REAL, .is_required = 1},
    {"centered", .most = 1, .otherwise = 1},
};

#define NORM_WORK 16 /* normalizing a value takes as long as this many multiplications of bytes */

struct norm_work {
    const struct kernels *kernels;
    const struct norm *norm;
    const float *values;
    float *result;
};

static int norm_rows(const void *work, struct range rows) {
    const struct norm_work *w = work;
    w->kernels->norm(rows, w->norm, w->values, w->result);
    return 1;
}

static Status *norm(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *values = &inputs[0], *gamma = &inputs[1], *beta = &inputs[2];
    const size_t width = last(values);
    EXPECT(node->api, width > 0 && has_elements(gamma, width) && (is_absent(beta) || has_elements(beta, width)),
           "Norm: gamma or beta has another size than a row");
    float *result;
    TRY(create_result(node->api, context, values, width, &result));
    const struct norm norm = {width, gamma->data, beta->data, real(node, NORM_EPSILON), whole(node, NORM_CENTERED) != 0};
    const struct norm_work work = {node->kernels, &norm, values->data, result};
    return compute_all(node, context, norm_rows, &work, elements(values) / width, 1, elements(values) * NORM_WORK);
}

/* --- Gate ------------------------------------------------------------------------------------------------ */

enum { GATE_ACTIVATION };
static const struct attribute GATE_ATTRIBUTES[] = {{"activation", .is_required = 1, .most = GELU_BY_TANH}};

#define GATE_WORK 32 /* a result takes as long as this many multiplications of bytes */

struct gate_work {
    const struct kernels *kernels;
    size_t width;
    enum activation activation;
    const float *values;
    float *result;
};

static int gate_rows(const void *work, struct range rows) {
    const struct gate_work *w = work;
    w->kernels->gate(rows, w->width, w->activation, w->values, w->result);
    return 1;
}

static Status *gate(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *values = &inputs[0];
    const size_t width = last(values) / 2;
    EXPECT(node->api, width > 0 && last(values) == 2 * width, "Gate: a row has not two halves");
    float *result;
    TRY(create_result(node->api, context, values, width, &result));
    const struct gate_work work = {node->kernels, width, (enum activation)whole(node, GATE_ACTIVATION), values->data, result};
    const size_t rows = elements(values) / last(values);
    return compute_all(node, context, gate_rows, &work, rows, 1, rows * width * GATE_WORK);
}

/* --- Mean ------------------------------------------------------------------------------------------------ */

static Status *mean(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *values = &inputs[0];
    EXPECT(node->api, values->rank == 3, "Mean: the input is not (texts, tokens, hidden)");
    const size_t texts = (size_t)values->sizes[0], tokens = (size_t)values->sizes[1], width = last(values);
    EXPECT(node->api, tokens > 0, "Mean: a text has no tokens");
    const struct tensor vectors = {.rank = 2, .sizes = {values->sizes[0]}};
    float *result;
    TRY(create_result(node->api, context, &vectors, width, &result));
    for (size_t text = 0; text < texts; text++)
        node->kernels->mean(tokens, width, values->data + text * tokens * width, result + text * width);
    return NULL;
}

#endif
