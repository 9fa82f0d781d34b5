/* The functions that compute the operators' results. Each kernel has one definition, which is compiled for every instruction set
   and gives the same bits with all of them. A kernel computes a part of its result, so that several threads can share the work. */

#ifndef KERNELS_H
#define KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* A linear layer whose weights are bytes with a scale for each output. */
struct linear {
    size_t inputs, outputs;
    size_t block, blocks;   /* inputs that share a scale in a row, a multiple of GROUP, and the number of such blocks */
    const uint8_t *weights; /* (outputs / PANEL, blocks * block / GROUP, PANEL, GROUP), padded with ZERO_WEIGHT; each byte is
                               ZERO_WEIGHT more than the number from -127 to 127 that it stands for */
    const float *scales;    /* (outputs) */
    const float *bias;      /* (outputs) */
    const float *smoothing; /* (inputs): each input is multiplied by it first */
    int gelu;               /* 1 if the activation follows, else 0 */
};

/* A half-open range: rows, panels of outputs, or heads. */
struct range {
    size_t first, last;
};

struct kernels {
    /* Compute `result` (rows, outputs) from `input` (rows, inputs), for a range of rows and of panels of outputs. Each row is
       rounded to bytes by itself, so its result does not depend on other rows. A row with a NaN or an infinity becomes NaN. Returns
       0 if there is no memory. */
    int (*linear)(const struct linear *layer, struct range rows, struct range panels, const float *input, float *result);

    /* Compute softmax(Q K^T / sqrt(width) + bias) V of one text, for a range of heads, from `qkv` (tokens, 3, heads, width) and
       `bias` (heads, tokens, tokens) or null. `result` is (tokens, heads, width). Returns 0 if there is no memory. */
    int (*attention)(size_t tokens, size_t heads, size_t width, struct range part, const float *qkv, const float *bias,
                     float *result);

    /* Compute the LayerNorm of a + b for a range of rows of a (rows, width). The rows of b (b_rows, width) are repeated if a has more
       rows; gamma and beta are (width). */
    void (*add_norm)(struct range rows, size_t width, const float *a, const float *b, size_t b_rows, const float *gamma,
                     const float *beta, float epsilon, float *result);

    /* Compute the mean (width) of `values` (rows, width). */
    void (*mean)(size_t rows, size_t width, const float *values, float *result);
};

/* kernels.c, compiled for each instruction set. build.py has the options, and defines HAS_... for each set that the library
   contains. */
extern const struct kernels avx512_vnni, avx2, i8mm, dotprod;

#endif
