/* What the operators compute. Each kernel has one definition, which is compiled for every instruction set and gives the same bits
   with all of them. A kernel computes a part of its result, so that several threads can share it. */

#ifndef KERNELS_H
#define KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* A linear layer whose weights are bytes with a scale for each output. */
struct linear {
    size_t inputs, outputs;
    size_t block, blocks;   /* inputs that share a scale in a row, a multiple of 4, and the number of such blocks */
    const uint8_t *weights; /* (outputs / 16, blocks * block / 4, 16, 4), rounded up with 128; each is 128 more than the -127 to
                               127 that it stands for */
    const float *scales;    /* (outputs) */
    const float *bias;      /* (outputs) */
    const float *smoothing; /* (inputs): each input is multiplied by it first */
    int gelu;               /* whether the activation follows */
};

/* A half-open range: rows, panels of outputs, or heads. */
struct range {
    size_t first, last;
};

struct kernels {
    /* `input` (rows, inputs) to `result` (rows, outputs), for a range of rows and of panels of 16 outputs. Each row is rounded to
       bytes by itself: its result does not depend on the others. A row with a NaN or an infinity becomes NaN. Returns 0 if there
       is no memory. */
    int (*linear)(const struct linear *layer, struct range rows, struct range panels, const float *input, float *result);

    /* Softmax(Q K^T / sqrt(width) + bias) V of one text, for a range of heads: `qkv` (tokens, 3, heads, width) and `bias` (heads,
       tokens, tokens) or null, to `result` (tokens, heads, width). Returns 0 if there is no memory. */
    int (*attention)(size_t tokens, size_t heads, size_t width, struct range part, const float *qkv, const float *bias,
                     float *result);

    /* The LayerNorm of a + b for a range of rows: a (rows, width); b (b_rows, width), repeated from its start as often as a needs
       it; gamma and beta (width). */
    void (*add_norm)(struct range rows, size_t width, const float *a, const float *b, size_t b_rows, const float *gamma,
                     const float *beta, float epsilon, float *result);

    /* The mean of rows: (rows, width) to (width). */
    void (*mean)(size_t rows, size_t width, const float *values, float *result);
};

/* kernels.c as it is compiled for each instruction set. build.py says with which options, and defines HAS_... for those there are. */
extern const struct kernels avx512_vnni, avx2, i8mm, dotprod;

#endif
