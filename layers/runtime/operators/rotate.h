/* Rotary positions (Su et al. 2021, arXiv:2104.09864): pairs of numbers of each query and key are rotated by an angle for the token's
   position. The builder computes the table of sines and cosines, so no function of a mathematical library decides a bit. */

#ifndef ROTATE_H
#define ROTATE_H

#include "kernels.h"
#include "norm.h"

/* Rotate one query or key. If `gamma` is not null, the numbers are multiplied by `factor` and by gamma first. */
ALWAYS_INLINE void rotate_head(const struct rotation *r, int is_scaled, float factor, const float *gamma, const float *cosines,
                               const float *from, float *to) {
    const size_t half = r->rotated / 2;
    const float *sines = cosines + half;
#define READ(i, lanes) (is_scaled ? load(from + (i), lanes) * factor * load(gamma + (i), lanes) : load(from + (i), lanes))
#define ROTATE(lanes)                                                                    \
    {                                                                                    \
        const floats one = READ(i, lanes), other = READ(half + i, lanes);                \
        const floats cosine = load(cosines + i, lanes), sine = load(sines + i, lanes);   \
        store(to + i, fma(one, cosine, -(other * sine)), lanes);                         \
        store(to + half + i, fma(other, cosine, one * sine), lanes);                     \
    }
    size_t i = 0;
    for (; i + LANES <= half; i += LANES) ROTATE(LANES)
    if (i < half) ROTATE(half - i)
    for (i = r->rotated; i < r->width; i += LANES) {
        const size_t lanes = r->width - i;
        store(to + i, READ(i, lanes), lanes);
    }
#undef ROTATE
#undef READ
}

static void rotate(struct range rows, const struct rotation *r, const float *qkv, float *result) {
    const size_t rotated_heads = r->heads + r->key_value_heads, row_numbers = (rotated_heads + r->key_value_heads) * r->width;
    for (size_t row = rows.first; row < rows.last; row++) {
        const float *from = qkv + row * row_numbers, *cosines = r->table + row % r->tokens * r->rotated;
        float *to = result + row * row_numbers;
        for (size_t head = 0; head < rotated_heads; head++, from += r->width, to += r->width) {
            const float *gamma = head < r->heads ? r->query_gamma : r->key_gamma;
            if (gamma) {
                const float factor = norm_factor(sum_of_squares(from, r->width, 0), r->width, r->epsilon);
                rotate_head(r, 1, factor, gamma, cosines, from, to);
            } else {
                rotate_head(r, 0, 1, gamma, cosines, from, to);
            }
        }
        memcpy(to, from, r->key_value_heads * r->width * sizeof(float));
    }
}

#endif
