/* Sums of products of bytes, exact in 32 bits. Only one file knows the instruction set: the one that build.py names PRODUCTS.

   Each such file defines:

   TILE_ROWS, TILE_PANELS      the rows and the panels of outputs of a tile: as many as can be computed at a time in registers
   QUERIES, VECTORS, COLUMNS   the sizes of a tile in attention.h
   EXCESS                      the number that is added to each weight: a row's sums of products are too large by EXCESS times the
                               sum of its activations
   to_ints                     rounds sixteen floats to the nearest whole numbers
   to_bytes                    converts sixteen whole numbers from -127 to 127 to bytes
   REPACKS, REPACKED_ROWS,     1 if the weights are put into another order before they are used, the least number of rows for which
   repacked_bytes, repack      that is done, the size of a block of a panel in that order, and the function that repacks a block
   products                    computes the sums of a tile, and fetches the weights of the next panels if `fetches` is 1; with `fine`,
                               the activations are larger (step_of in linear.h)
   FETCHED_ROWS                the least number of rows of a chunk for which that is faster than to fetch them when they are needed */

#ifndef PRODUCTS_H
#define PRODUCTS_H

#include "interface.h"
#include "vectors.h"

_Static_assert(PANEL == LANES, "a vector does not hold one number for each output of a panel");
_Static_assert(GROUP == sizeof(int32_t), "the activations of a group are not read as one number of 32 bits");

/* A model is larger than the caches. Weights are fetched this many bytes before they are needed. */
#define AHEAD 2048

/* Fetch the memory at an address, which need not be valid, into the second cache. */
#define FETCH(address) __builtin_prefetch(address, 0, 2)

typedef int8_t bytes __attribute__((ext_vector_type(LANES)));

/* A block of a row: its scale, and EXCESS times the sum of its activations. */
struct block {
    float scale;
    int32_t excess;
};

/* Rows of activations as bytes. */
struct rounded {
    int8_t *bytes;        /* (rows, blocks, inputs of a block) */
    struct block *blocks; /* (rows, blocks) */
};

#include PRODUCTS

#if REPACKS
#define REPACKED_BYTES(inputs) repacked_bytes(inputs)
#else
#define REPACKED_BYTES(inputs) 0
#endif

#endif
