/* Gated products (Shazeer 2020, arXiv:2002.05202): the activation of the first half of a row times its second half. */

#ifndef GATE_H
#define GATE_H

#include "kernels.h"
#include "vectors.h"

/* Return x / (1 + 2^-power) for a power that grows with x. */
ALWAYS_INLINE floats times_logistic(floats x, floats power) { return x / (1 + power_of_two(-power)); }

/* Return x times the logistic function of x (Elfwing et al. 2017, arXiv:1702.03118). Below -87 the result is less than 1e-35, and
   the power would be too large for a float. */
ALWAYS_INLINE floats silu(floats x) {
    x = larger(all(-87), x);
    return times_logistic(x, x * LOG2_E);
}

/* Return the approximation of gelu by a hyperbolic tangent (Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2), written with the
   logistic function: 1 + tanh(u) = 2 / (1 + e^-2u), where 2u = 2 sqrt(2 / pi) (x + 0.044715 x^3). Below -10 the result is less than
   1e-36. */
ALWAYS_INLINE floats gelu_by_tanh(floats x) {
    x = larger(all(-10), x);
    const floats factor = fma(x * x, all(0.0713548163f * LOG2_E), all(1.59576912f * LOG2_E));
    return times_logistic(x, x * factor);
}

static void gate(struct range rows, size_t width, enum activation activation, const float *values, float *result) {
    for (size_t row = rows.first; row < rows.last; row++) {
        const float *from = values + row * 2 * width, *factors = from + width;
        float *to = result + row * width;
#define ACTIVATED(function)                                                                                              \
    {                                                                                                                    \
        size_t i = 0;                                                                                                    \
        for (; i + LANES <= width; i += LANES) store(to + i, function(load(from + i, LANES)) * load(factors + i, LANES), LANES); \
        if (i < width) store(to + i, function(load(from + i, width - i)) * load(factors + i, width - i), width - i);     \
    }
        switch (activation) {
        case GELU: ACTIVATED(gelu) break;
        case SILU: ACTIVATED(silu) break;
        case GELU_BY_TANH: ACTIVATED(gelu_by_tanh) break;
        }
#undef ACTIVATED
    }
}

#endif
