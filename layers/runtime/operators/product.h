/* Linear layers in float32, for a few rows: each weight is read once for four rows, from the start of the weights to their end. Each
   result is summed in the order of the inputs. */

#ifndef PRODUCT_H
#define PRODUCT_H

#include "kernels.h"
#include "vectors.h"

#define PRODUCT_INPUTS 8 /* inputs whose products are added at a time, so that sums are loaded and stored less often */

/* Add the products of some inputs from `input` on to the results of some rows. */
ALWAYS_INLINE void add_inputs(const struct product *p, size_t rows, size_t inputs, size_t input, struct range outputs,
                              const float *values, float *result) {
    const float *weights = p->weights + input * p->outputs;
    for (size_t o = outputs.first; o < outputs.last; o += LANES) {
        const size_t lanes = outputs.last - o;
        floats columns[PRODUCT_INPUTS];
        UNROLLED for (size_t i = 0; i < inputs; i++) columns[i] = load(weights + i * p->outputs + o, lanes);
        UNROLLED for (size_t row = 0; row < rows; row++) {
            floats total = load(result + row * p->outputs + o, lanes);
            UNROLLED for (size_t i = 0; i < inputs; i++) total = fma(all(values[row * p->inputs + input + i]), columns[i], total);
            store(result + row * p->outputs + o, total, lanes);
        }
    }
}

ALWAYS_INLINE void product_rows(const struct product *p, size_t rows, struct range outputs, const float *values, float *result) {
    const size_t size = (outputs.last - outputs.first) * sizeof(float);
    UNROLLED for (size_t row = 0; row < rows; row++) {
        float *to = result + row * p->outputs + outputs.first;
        if (p->bias) memcpy(to, p->bias + outputs.first, size);
        else memset(to, 0, size);
    }
    size_t input = 0;
    for (; input + PRODUCT_INPUTS <= p->inputs; input += PRODUCT_INPUTS)
        add_inputs(p, rows, PRODUCT_INPUTS, input, outputs, values, result);
    for (; input < p->inputs; input++) add_inputs(p, rows, 1, input, outputs, values, result);
}

static void product(const struct product *p, struct range outputs, const float *values, float *result) {
    for (size_t row = 0; row < p->rows;) {
        const float *from = values + row * p->inputs;
        float *to = result + row * p->outputs;
        const size_t left = p->rows - row, rows = left >= 4 ? 4 : left >= 2 ? 2 : 1;
        switch (rows) { /* the compiler unrolls each constant number of rows */
        case 4: product_rows(p, 4, outputs, from, to); break;
        case 2: product_rows(p, 2, outputs, from, to); break;
        case 1: product_rows(p, 1, outputs, from, to); break;
        }
        row += rows;
    }
}

#endif
