/* Sums of products of bytes, exact in 32 bits. PRODUCTS is the one file that knows the instruction set; build.py names it.

   Each such file defines

   TILE_ROWS, TILE_PANELS      so many rows times so many panels of outputs are computed at a time: as there are registers for
   QUERIES, VECTORS, COLUMNS   the same for attention.h
   EXCESS                      what is added to each weight: a row's sums of products hold so many times the sum of its activations
   to_ints                     sixteen floats to the nearest whole numbers
   to_bytes                    sixteen whole numbers from -127 to 127 as bytes
   MOVES, separate             whether and how activations are moved out of a row whose products would overflow
   REPACKS, REPACKED_ROWS,
   repacked_bytes, repack      whether, from how many rows on and how a block of a panel is put in another order before it is used
   products                    the sums of a tile */

#ifndef PRODUCTS_H
#define PRODUCTS_H

#include "vectors.h"

#define PANEL LANES /* outputs whose weights lie together, as layers/model/int8.py packs them */
#define GROUP 4     /* inputs of each of them that lie together */
#define AHEAD 2048  /* so many bytes on, weights are asked for before they are needed: a model is larger than the caches */

typedef int8_t bytes __attribute__((ext_vector_type(LANES)));

/* The second and the fourth activation of a group, if they are multiplied apart from the others, and where the group's weights
   start in their block. */
struct moved {
    int16_t activations[2];
    uint32_t offset;
};

/* A block of a row: its scale, EXCESS times the sum of its activations, and which of them were moved. */
struct block {
    float scale;
    int32_t excess;
    uint32_t first_moved, last_moved;
};

/* Rows of activations as bytes. */
struct rounded {
    int8_t *bytes;        /* (rows, blocks, inputs of a block) */
    struct block *blocks; /* (rows, blocks) */
    struct moved *moved;  /* of all rows and blocks, in their order */
};

#include PRODUCTS

#if REPACKS
#define REPACKED_BYTES(inputs) repacked_bytes(inputs)
#else
#define REPACKED_BYTES(inputs) 0
#endif

#endif
