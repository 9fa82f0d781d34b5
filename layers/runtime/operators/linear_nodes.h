/* The linear layers as operators: Linear, whose weights are bytes, and Product in float32. */

#ifndef LINEAR_NODES_H
#define LINEAR_NODES_H

#include "interface.h"
#include "node.h"

#define MAX_INPUTS_OF_LINEAR 65536 /* sums of at most this many products of bytes are exact in 32 bits */

#define ROW_STEP 4     /* each share of rows starts at a multiple of ROW_STEP, so that all tiles but the last are full */
#define SHARED_ROWS 16 /* a linear layer of fewer rows is divided by its outputs, not by its rows */

/* --- Linear ---------------------------------------------------------------------------------------------- */

enum { LINEAR_GELU, LINEAR_FINE };
static const struct attribute LINEAR_ATTRIBUTES[] = {{"gelu", .is_required = 1, .most = 1}, {"fine", .most = 1}};

struct linear_work {
    const struct kernels *kernels;
    const struct linear *layer;
    size_t rows, panels;
    const float *input;
    float *result;
};

static int linear_rows(const void *work, struct range rows) {
    const struct linear_work *w = work;
    return w->kernels->linear(w->layer, rows, (struct range){0, w->panels}, w->input, w->result);
}

static int linear_panels(const void *work, struct range panels) {
    const struct linear_work *w = work;
    return w->kernels->linear(w->layer, (struct range){0, w->rows}, panels, w->input, w->result);
}

static Status *linear(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *input = &inputs[0], *weights = &inputs[1], *scales = &inputs[2], *bias = &inputs[3];
    const struct tensor *smoothing = &inputs[4];
    const int64_t *sizes = weights->sizes;
    EXPECT(node->api, weights->rank == 5 && sizes[3] == PANEL && sizes[4] == GROUP,
           "Linear: weights are not (outputs / " TEXT(PANEL) ", blocks, block / " TEXT(GROUP) ", " TEXT(PANEL) ", " TEXT(GROUP)
           ")");
    const struct linear layer = {
        .inputs = last(input),
        .outputs = elements(bias),
        .block = (size_t)sizes[2] * GROUP,
        .blocks = (size_t)sizes[1],
        .weights = (const uint8_t *)weights->data,
        .scales = scales->data,
        .bias = bias->data,
        .smoothing = smoothing->data,
        .gelu = whole(node, LINEAR_GELU) != 0,
        .fine = whole(node, LINEAR_FINE) != 0,
    };
    const size_t padded = layer.block * layer.blocks, panels = (size_t)sizes[0], padded_outputs = panels * PANEL;
    EXPECT(node->api, padded <= MAX_INPUTS_OF_LINEAR, "Linear: there are more than " TEXT(MAX_INPUTS_OF_LINEAR) " inputs");
    EXPECT(node->api,
           layer.inputs > 0 && layer.inputs <= padded && padded - layer.inputs < least(layer.block, GROUP * layer.blocks),
           "Linear: the weights are for another number of inputs");
    EXPECT(node->api, layer.outputs > 0 && layer.outputs <= padded_outputs && padded_outputs - layer.outputs < PANEL,
           "Linear: the weights are for another number of outputs than the bias");
    EXPECT(node->api, has_elements(scales, layer.outputs) && has_elements(smoothing, layer.inputs),
           "Linear: scales or smoothing have another size than the weights");
    float *result;
    TRY(create_result(node->api, context, input, layer.outputs, &result));
    const size_t rows = elements(input) / layer.inputs;
    const struct linear_work work = {node->kernels, &layer, rows, panels, input->data, result};
    const size_t multiplications = rows * layer.inputs * layer.outputs;
    if (rows < SHARED_ROWS) return compute_all(node, context, linear_panels, &work, panels, 1, multiplications);
    return compute_all(node, context, linear_rows, &work, rows, ROW_STEP, multiplications);
}

/* --- Product --------------------------------------------------------------------------------------------- */

#define OUTPUT_STEP 64   /* each share of outputs starts at a multiple of OUTPUT_STEP: four cache lines */
#define PRODUCT_WORK 8   /* a product of floats takes as long as this many products of bytes */

struct product_work {
    const struct kernels *kernels;
    const struct product *product;
    const float *values;
    float *result;
};

static int product_outputs(const void *work, struct range outputs) {
    const struct product_work *w = work;
    w->kernels->product(w->product, outputs, w->values, w->result);
    return 1;
}

static Status *product(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *values = &inputs[0], *weights = &inputs[1], *bias = &inputs[2];
    const size_t width = last(values), outputs = last(weights);
    EXPECT(node->api, weights->rank == 2 && width > 0 && outputs > 0 && (size_t)weights->sizes[0] == width,
           "Product: the weights are not (inputs, outputs)");
    EXPECT(node->api, is_absent(bias) || has_elements(bias, outputs), "Product: the bias has another size than the outputs");
    float *result;
    TRY(create_result(node->api, context, values, outputs, &result));
    const struct product product = {elements(values) / width, width, outputs, weights->data, bias->data};
    const struct product_work work = {node->kernels, &product, values->data, result};
    return compute_all(node, context, product_outputs, &work, outputs, OUTPUT_STEP,
                       product.rows * width * outputs * PRODUCT_WORK);
}

#endif
