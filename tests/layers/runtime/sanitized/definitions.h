/* The definitions of the operators in plain C, with which results are compared. */

#ifndef DEFINITIONS_H
#define DEFINITIONS_H

#include <math.h>

#include "nodes.h"

#define BLOCK 192

static double gelu(double x) { return x * erfc(-x / sqrt(2)) / 2; }

static void close_to(const struct node *node, const Value *result, size_t place, double expected, double tolerance) {
    const float found = floats_of(result)[place];
    CHECK(fabs(found - expected) <= tolerance, "%s at %zu: %.9g instead of %.9g", node->operator, place, found, expected);
}

#define SPAN 16

/* The largest sum of the positive or the negative ones of eight inputs of a span, 0, 1, 4, 5, 8, 9, 12 and 13, or the others; with
   fine steps, of two neighbours. */
static float largest_sum(const float *inputs, size_t count, int fine) {
    float most = 0;
    for (size_t start = 0; start < count; start += SPAN)
        for (int sign = -1; sign <= 1; sign += 2) {
            float pairs[SPAN / 2];
            for (size_t i = 0; i < SPAN / 2; i++) {
                const float *pair = inputs + start + 2 * i;
                pairs[i] = fmaxf((float)sign * pair[0], 0) + fmaxf((float)sign * pair[1], 0);
                if (fine) most = fmaxf(most, pairs[i]);
            }
            for (size_t i = 0; i < 2 && !fine; i++)
                most = fmaxf(most, (pairs[i] + pairs[i + 4]) + (pairs[i + 2] + pairs[i + 6]));
        }
    return most;
}

/* Products of bytes are exact, and each float is rounded once. So results are compared bit for bit, except after Gelu. */
static void check_linear(const struct node *node, const Value *result) {
    const Value *input = &node->inputs[0], *weights = &node->inputs[1];
    const size_t inputs = (size_t)input->sizes[input->rank - 1], outputs = (size_t)node->inputs[3].sizes[0];
    const size_t blocks = (size_t)weights->sizes[1], block = (size_t)weights->sizes[2] * GROUP;
    const float *scales = floats_of(&node->inputs[2]), *bias = floats_of(&node->inputs[3]), *smoothing = floats_of(&node->inputs[4]);
    const int fine = (int)whole_of(node, "fine", 0);
    int8_t bytes[BLOCK];
    for (size_t row = 0; row < input->bytes / sizeof(float) / inputs; row++) {
        const float *values = floats_of(input) + row * inputs;
        float *totals = calloc(outputs, sizeof *totals);
        for (size_t b = 0; b < blocks; b++) {
            float smoothed[BLOCK + SPAN] = {0}, top = 0;
            for (size_t k = 0; k < block && b * block + k < inputs; k++) {
                smoothed[k] = values[b * block + k] * smoothing[b * block + k];
                top = fmaxf(top, fabsf(smoothed[k]));
            }
            const float step = top > 1e-30f ? fmaxf(top / 127, largest_sum(smoothed, block, fine) / (fine ? 127 : 124)) : 0;
            for (size_t k = 0; k < block; k++) bytes[k] = step > 0 ? (int8_t)rintf(smoothed[k] * (1 / step)) : 0;
            for (size_t o = 0; o < outputs; o++) {
                const uint8_t *from = (const uint8_t *)weights->data + (o / PANEL * blocks + b) * block * PANEL + o % PANEL * GROUP;
                int32_t sum = 0;
                for (size_t k = 0; k < block; k++) sum += bytes[k] * (from[k / GROUP * PANEL * GROUP + k % GROUP] - 128);
                totals[o] = fmaf((float)sum, step, totals[o]);
            }
        }
        for (size_t o = 0; o < outputs; o++) {
            const float y = fmaf(totals[o], scales[o], bias[o]);
            if (whole_of(node, "gelu", 0)) close_to(node, result, row * outputs + o, gelu(y), 1e-6 * fmax(1, fabsf(y)));
            else close_to(node, result, row * outputs + o, y, 0);
        }
        free(totals);
    }
}

static void check_product(const struct node *node, const Value *result) {
    const Value *values = &node->inputs[0], *weights = &node->inputs[1], *bias = &node->inputs[2];
    const size_t inputs = (size_t)weights->sizes[0], outputs = (size_t)weights->sizes[1];
    for (size_t row = 0; row < values->bytes / sizeof(float) / inputs; row++)
        for (size_t o = 0; o < outputs; o++) {
            float total = bias->rank ? floats_of(bias)[o] : 0;
            for (size_t i = 0; i < inputs; i++)
                total = fmaf(floats_of(values)[row * inputs + i], floats_of(weights)[i * outputs + o], total);
            close_to(node, result, row * outputs + o, total, 0);
        }
}

static void check_attention(const struct node *node, const Value *result) {
    const Value *qkv = &node->inputs[0], *bias = &node->inputs[1], *slopes = &node->inputs[2];
    const size_t texts = (size_t)qkv->sizes[0], tokens = (size_t)qkv->sizes[1], heads = whole_of(node, "heads", 0);
    const size_t key_value_heads = whole_of(node, "key_value_heads", heads), all_heads = heads + 2 * key_value_heads;
    const size_t row = (size_t)qkv->sizes[2], width = row / all_heads, window = whole_of(node, "window", 0);
    const double scale = real_of(node, "scale") ? real_of(node, "scale") : 1 / sqrt((double)width);
    double *powers = malloc(tokens * sizeof *powers);
    for (size_t text = 0; text < texts; text++)
        for (size_t head = 0; head < heads; head++)
            for (size_t query = 0; query < tokens; query++) {
                const float *start = floats_of(qkv) + text * tokens * row, *q = start + query * row + head * width;
                const float *keys = start + (heads + head / (heads / key_value_heads)) * width, *values = keys + key_value_heads * width;
                double top = -INFINITY, total = 0;
                for (size_t key = 0; key < tokens; key++) {
                    const size_t distance = key > query ? key - query : query - key;
                    double score = 0;
                    for (size_t i = 0; i < width; i++) score += (double)q[i] * keys[key * row + i];
                    score *= scale;
                    if (bias->rank) score += floats_of(bias)[(head * tokens + query) * tokens + key];
                    if (slopes->rank) score -= floats_of(slopes)[head] * (double)distance;
                    if ((window && distance > window) || (whole_of(node, "causal", 0) && key > query)) score = -INFINITY;
                    powers[key] = score, top = fmax(top, score);
                }
                for (size_t key = 0; key < tokens; key++) total += powers[key] = exp(powers[key] - top);
                for (size_t i = 0; i < width; i++) {
                    double sum = 0;
                    for (size_t key = 0; key < tokens; key++) sum += powers[key] * values[key * row + i];
                    close_to(node, result, ((text * tokens + query) * heads + head) * width + i, sum / total, 3e-6);
                }
            }
    free(powers);
}

static double norm_factor_of(const float *values, size_t width, double mean, double epsilon) {
    double squares = 0;
    for (size_t i = 0; i < width; i++) squares += pow(values[i] - mean, 2) / (double)width;
    return 1 / sqrt(squares + epsilon);
}

static void check_rotate(const struct node *node, const Value *result) {
    const Value *qkv = &node->inputs[0], *table = &node->inputs[1];
    const size_t heads = whole_of(node, "heads", 0), key_value_heads = whole_of(node, "key_value_heads", heads);
    const size_t all_heads = heads + 2 * key_value_heads, width = (size_t)qkv->sizes[2] / all_heads, half = (size_t)table->sizes[2];
    for (size_t row = 0; row < (size_t)(qkv->sizes[0] * qkv->sizes[1]); row++)
        for (size_t head = 0; head < all_heads; head++) {
            const size_t place = (row * all_heads + head) * width;
            const float *from = floats_of(qkv) + place, *cosines = floats_of(table) + row % (size_t)qkv->sizes[1] * 2 * half;
            const Value *gamma = head < heads ? &node->inputs[2] : &node->inputs[3];
            const int is_value = head >= heads + key_value_heads, is_scaled = !is_value && gamma->rank;
            const double factor = is_scaled ? norm_factor_of(from, width, 0, real_of(node, "epsilon")) : 1;
#define SCALED(i) (from[i] * factor * (is_scaled ? floats_of(gamma)[i] : 1))
            for (size_t i = 0; i < width; i++) {
                double expected = SCALED(i);
                if (!is_value && i < half) expected = SCALED(i) * cosines[i] - SCALED(half + i) * cosines[half + i];
                else if (!is_value && i < 2 * half) expected = SCALED(i) * cosines[i - half] + SCALED(i - half) * cosines[i];
                close_to(node, result, place + i, expected, is_value ? 0 : 4e-6);
            }
#undef SCALED
        }
}

static void check_norm(const struct node *node, const Value *result) {
    const Value *values = &node->inputs[0], *beta = &node->inputs[2];
    const size_t width = (size_t)values->sizes[values->rank - 1];
    for (size_t row = 0; row < values->bytes / sizeof(float) / width; row++) {
        const float *from = floats_of(values) + row * width;
        double mean = 0;
        if (whole_of(node, "centered", 1))
            for (size_t i = 0; i < width; i++) mean += (double)from[i] / (double)width;
        const double factor = norm_factor_of(from, width, mean, real_of(node, "epsilon"));
        for (size_t i = 0; i < width; i++) {
            const double y = (from[i] - mean) * factor * floats_of(&node->inputs[1])[i] + (beta->rank ? floats_of(beta)[i] : 0);
            close_to(node, result, row * width + i, y, 4e-6 * fmax(1, factor) * fmax(1, fabs(y)));
        }
    }
}

static void check_gate(const struct node *node, const Value *result) {
    const Value *values = &node->inputs[0];
    const size_t width = (size_t)values->sizes[values->rank - 1] / 2, activation = whole_of(node, "activation", 0);
    for (size_t place = 0; place < values->bytes / sizeof(float) / 2; place++) {
        const float *from = floats_of(values) + place / width * 2 * width + place % width;
        const double x = from[0], cube = x + 0.044715 * x * x * x;
        const double activated[] = {gelu(x), x / (1 + exp(-x)), x * (1 + tanh(sqrt(2 / acos(-1)) * cube)) / 2};
        close_to(node, result, place, activated[activation] * from[width], 4e-6);
    }
}

static void check_add_norm(const struct node *node, const Value *result) {
    const Value *a = &node->inputs[0], *b = &node->inputs[1];
    const size_t width = (size_t)a->sizes[a->rank - 1], rows = a->bytes / sizeof(float) / width;
    const size_t b_rows = b->bytes / sizeof(float) / width;
    for (size_t row = 0; row < rows; row++) {
        const float *a_row = floats_of(a) + row * width, *b_row = floats_of(b) + row % b_rows * width;
        double mean = 0, squares = 0;
        for (size_t i = 0; i < width; i++) mean += (double)(a_row[i] + b_row[i]) / (double)width;
        for (size_t i = 0; i < width; i++) squares += pow(a_row[i] + b_row[i] - mean, 2) / (double)width;
        const double deviation = sqrt(squares + real_of(node, "epsilon"));
        for (size_t i = 0; i < width; i++) {
            const double y = (a_row[i] + b_row[i] - mean) / deviation * floats_of(&node->inputs[2])[i] + floats_of(&node->inputs[3])[i];
            close_to(node, result, row * width + i, y, 4e-6 * fmax(1, 1 / deviation) * fmax(1, fabs(y)));
        }
    }
}

static void check_mean(const struct node *node, const Value *result) {
    const Value *values = &node->inputs[0];
    const size_t tokens = (size_t)values->sizes[1], width = (size_t)values->sizes[2];
    for (size_t text = 0; text < (size_t)values->sizes[0]; text++)
        for (size_t i = 0; i < width; i++) {
            float total = 0;
            for (size_t token = 0; token < tokens; token++) total += floats_of(values)[(text * tokens + token) * width + i];
            close_to(node, result, text * width + i, total / (float)tokens, 0);
        }
}

#endif
