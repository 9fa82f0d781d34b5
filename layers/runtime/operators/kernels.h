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
    int fine;               /* 1 if inputs are rounded to finer steps, with which AVX2 takes longer; else 0 */
};

/* A half-open range: rows, panels of outputs, heads, or keys. */
struct range {
    size_t first, last;
};

/* The attention of one text. Every `heads / key_value_heads` heads share their keys and values. */
struct attention {
    size_t tokens, heads, key_value_heads, width;
    size_t window; /* a query sees no key that is farther away; at least `tokens` if there is no window */
    int is_causal; /* 1 if a query sees no key after it, else 0 */
    float scale;   /* each score is multiplied by it; 0 stands for 1 / sqrt(width) */
    const float *bias;   /* (heads, tokens, tokens) is added to the scores, or null */
    const float *slopes; /* (heads) times the distance of query and key is subtracted from the scores, or null */
};

/* The rotation of queries and keys by their positions, and the RMSNorm of each query and key before it. */
struct rotation {
    size_t tokens, heads, key_value_heads, width;
    size_t rotated;     /* the first numbers of each query and key that are rotated, an even number */
    const float *table; /* (positions, 2, rotated / 2): the cosines and the sines of each position */
    const float *query_gamma, *key_gamma; /* (width) each, or null if queries or keys are not normalized */
    float epsilon;
};

/* LayerNorm, or RMSNorm if it is not centred. */
struct norm {
    size_t width;
    const float *gamma, *beta; /* (width) each; beta may be null */
    float epsilon;
    int is_centered;
};

/* The attribute `activation` of Gate. */
enum activation { GELU, SILU, GELU_BY_TANH };

/* A linear layer in float32. */
struct product {
    size_t rows, inputs, outputs;
    const float *weights; /* (inputs, outputs) */
    const float *bias;    /* (outputs), or null */
};

struct kernels {
    /* Compute `result` (rows, outputs) from `input` (rows, inputs), for a range of rows and of panels of outputs. Each row is
       rounded to bytes by itself, so its result does not depend on other rows. A row with a NaN or an infinity becomes NaN. Returns
       0 if there is no memory. */
    int (*linear)(const struct linear *layer, struct range rows, struct range panels, const float *input, float *result);

    /* Compute softmax(scores) V of one text, for a range of heads, from `qkv` (tokens, (heads + 2 * key_value_heads) * width): the
       queries of all heads, then the keys, then the values. `result` is (tokens, heads, width). A key that a query does not see does
       not change its result, even if it is NaN. Returns 0 if there is no memory. */
    int (*attention)(const struct attention *attention, struct range heads, const float *qkv, float *result);

    /* Rotate the queries and the keys of `qkv`, which is laid out as for attention, for a range of the rows of all texts. The values
       stay as they are. */
    void (*rotate)(struct range rows, const struct rotation *rotation, const float *qkv, float *result);

    /* Compute the LayerNorm of a + b for a range of rows of a (rows, width). The rows of b (b_rows, width) are repeated if a has more
       rows; gamma and beta are (width). */
    void (*add_norm)(struct range rows, size_t width, const float *a, const float *b, size_t b_rows, const float *gamma,
                     const float *beta, float epsilon, float *result);

    /* Compute the norm of a range of rows of `values` (rows, width). A row with a NaN or an infinity becomes NaN. */
    void (*norm)(struct range rows, const struct norm *norm, const float *values, float *result);

    /* Compute `result` (rows, width) for a range of rows of `values` (rows, 2, width): the activation of the first half of a row
       times its second half. */
    void (*gate)(struct range rows, size_t width, enum activation activation, const float *values, float *result);

    /* Compute `result` (rows, outputs) from `values` (rows, inputs) for all rows and a range of outputs. */
    void (*product)(const struct product *product, struct range outputs, const float *values, float *result);

    /* Compute the mean (width) of `values` (rows, width). */
    void (*mean)(size_t rows, size_t width, const float *values, float *result);
};

/* kernels.c, compiled for each instruction set. build.py has the options, and defines HAS_... for each set that the library
   contains. */
extern const struct kernels avx512_vnni, avx2, i8mm, dotprod;

#endif
