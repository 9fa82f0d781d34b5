/* What the operators compute. Each has one definition, compiled once for every kind of processor, with the same bits on all. */

#ifndef KERNELS_H
#define KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* A linear layer whose weights are bytes with a scale for each output. */
struct linear {
    size_t inputs, outputs;
    size_t block, blocks;   /* inputs that share a scale in a row, a multiple of 4, and how many times so many there are */
    const uint8_t *weights; /* (outputs / 64, blocks * block / 4, 64, 4), rounded up, each 128 more than the
                               -127 to 127 that it stands for */
    const float *scales;    /* (outputs) */
    const float *bias;      /* (outputs) */
    const float *smoothing; /* (inputs): what each input is multiplied by first */
    int gelu;               /* whether the activation follows */
};

struct kernels {
    /* (rows, inputs) to (rows, outputs). Each row is rounded to bytes by itself: its result does not depend on the others. */
    void (*linear)(const struct linear *layer, size_t rows, const float *input, float *result);

    /* Softmax(Q K^T / sqrt(width) + bias) V for each head of one text: `qkv` (tokens, 3, heads, width) and `bias` (heads, tokens,
       tokens) or null, to (tokens, heads, width). 0 if there is no memory for it. */
    int (*attention)(size_t tokens, size_t heads, size_t width, const float *qkv, const float *bias, float *result);

    /* The LayerNorm of a + b: a (rows, width), b (b_rows, width), which come again and again; gamma and beta (width). */
    void (*add_norm)(size_t rows, size_t width, const float *a, const float *b, size_t b_rows, const float *gamma,
                     const float *beta, float epsilon, float *result);

    /* (rows, width) to (width). */
    void (*mean)(size_t rows, size_t width, const float *values, float *result);
};

/* kernels.c as it is compiled for each; build.py says with which instructions, and by HAS_... which of them there are. */
#if defined(__x86_64__)
extern const struct kernels avx512_vnni, avx2;
#else
extern const struct kernels portable;
#endif

#endif
