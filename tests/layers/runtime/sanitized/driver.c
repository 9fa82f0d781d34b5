/* The property tests of the operators without Python and ONNX Runtime: driver SEED EXAMPLES KERNELS...

   Each set of kernels computes operators of random sizes, on one thread and on three, and several sessions do so at the same time.
   Results are compared with definitions in plain C, with the bits of one thread, and with the bits of the first set. */

#include <math.h>

#include "ort_stub.h"

Status *RegisterCustomOps(Options *options, const ApiBase *base);

#define SESSIONS 3 /* at the same time */
#define SHARED_THREADS 3
#define BLOCK 192

/* --- Random numbers ---------------------------------------------------------------------------------------- */

static uint64_t next(uint64_t *state) { /* xorshift64* (Vigna 2016) */
    *state ^= *state >> 12, *state ^= *state << 25, *state ^= *state >> 27;
    return *state * 2685821657736338717ull;
}

/* Return a random number from `least` to `most`. */
static size_t pick(uint64_t *state, size_t least, size_t most) { return least + (next(state) >> 33) % (most - least + 1); }

static float uniform(uint64_t *state) { return (float)(next(state) >> 40) / (1 << 23) - 1; }

/* --- Tensors ------------------------------------------------------------------------------------------------ */

static Value tensor(size_t rank, const size_t sizes[], size_t size) {
    Value value = {.bytes = size, .rank = rank};
    for (size_t i = 0; i < rank; i++) value.bytes *= sizes[i], value.sizes[i] = (int64_t)sizes[i];
    value.data = allocate(value.bytes);
    return value;
}
#define TENSOR(size, ...) tensor(sizeof(size_t[]){__VA_ARGS__} / sizeof(size_t), (size_t[]){__VA_ARGS__}, size)

static Value random_tensor(uint64_t *state, float scale, Value value) {
    for (size_t i = 0; i < value.bytes / sizeof(float); i++) ((float *)value.data)[i] = scale * uniform(state);
    return value;
}
#define RANDOM(state, scale, ...) random_tensor(state, scale, TENSOR(sizeof(float), __VA_ARGS__))

static const float *floats_of(const Value *value) { return value->data; }

/* --- Nodes -------------------------------------------------------------------------------------------------- */

/* Open a session. Returns 1 if the processor can run the kernels, else 0. */
static int open_session(Options *session, const char *kernels, size_t threads) {
    *session = (Options){0};
    snprintf(session->kernels, sizeof session->kernels, "%s", kernels);
    snprintf(session->threads, sizeof session->threads, "%zu", threads);
    Status *refusal = RegisterCustomOps(session, &BASE);
    free(refusal);
    return !refusal;
}

struct node {
    const char *operator;
    Value inputs[MOST_INPUTS];
    size_t input_count;
    KernelInfo attributes;
};

/* Compute a node's result. `shared` becomes the number of times that its work was shared. */
static Value run(const Options *session, const struct node *node, size_t *shared) {
    for (size_t i = 0; i < session->domain->operator_count; i++) {
        const Operator *operator = session->domain->operators[i];
        if (strcmp(operator->GetName(operator), node->operator)) continue;
        void *kernel;
        CHECK(!operator->CreateKernelV2(operator, &API, &node->attributes, &kernel), "%s", node->operator);
        Context context = {0};
        for (size_t input = 0; input < node->input_count; input++)
            if (node->inputs[input].rank) context.inputs[input] = &node->inputs[input];
        Status *status = operator->KernelComputeV2(kernel, &context);
        CHECK(!status, "%s: %s", node->operator, status->sentence);
        operator->KernelDestroy(kernel);
        *shared = context.shared;
        return context.result;
    }
    CHECK(0, "no operator %s", node->operator);
    return (Value){0};
}

/* --- Definitions --------------------------------------------------------------------------------------------- */

static double gelu(double x) { return x * erfc(-x / sqrt(2)) / 2; }

static void close_to(const struct node *node, const Value *result, size_t place, double expected, double tolerance) {
    const float found = floats_of(result)[place];
    CHECK(fabs(found - expected) <= tolerance, "%s at %zu: %.9g instead of %.9g", node->operator, place, found, expected);
}

/* Products of bytes are exact, and each float is rounded once. So results are compared bit for bit, except after Gelu. */
static void check_linear(const struct node *node, const Value *result) {
    const Value *input = &node->inputs[0], *weights = &node->inputs[1];
    const size_t inputs = (size_t)input->sizes[input->rank - 1], outputs = (size_t)node->inputs[3].sizes[0];
    const size_t blocks = (size_t)weights->sizes[1], block = (size_t)weights->sizes[2] * GROUP;
    const float *scales = floats_of(&node->inputs[2]), *bias = floats_of(&node->inputs[3]), *smoothing = floats_of(&node->inputs[4]);
    int8_t bytes[BLOCK];
    for (size_t row = 0; row < input->bytes / sizeof(float) / inputs; row++) {
        const float *values = floats_of(input) + row * inputs;
        float *totals = calloc(outputs, sizeof *totals);
        for (size_t b = 0; b < blocks; b++) {
            float top = 0;
            for (size_t k = b * block; k < inputs && k < (b + 1) * block; k++) top = fmaxf(top, fabsf(values[k] * smoothing[k]));
            for (size_t k = 0; k < block; k++) {
                const size_t at = b * block + k;
                bytes[k] = at < inputs && top > 1e-30f ? (int8_t)rintf(values[at] * smoothing[at] * (127 / top)) : 0;
            }
            for (size_t o = 0; o < outputs; o++) {
                const uint8_t *from = (const uint8_t *)weights->data + (o / PANEL * blocks + b) * block * PANEL + o % PANEL * GROUP;
                int32_t sum = 0;
                for (size_t k = 0; k < block; k++) sum += bytes[k] * (from[k / GROUP * PANEL * GROUP + k % GROUP] - 128);
                totals[o] = fmaf((float)sum, top / 127, totals[o]);
            }
        }
        for (size_t o = 0; o < outputs; o++) {
            const float y = fmaf(totals[o], scales[o], bias[o]);
            if (node->attributes.integer) close_to(node, result, row * outputs + o, gelu(y), 1e-6 * fmax(1, fabsf(y)));
            else close_to(node, result, row * outputs + o, y, 0);
        }
        free(totals);
    }
}

static void check_attention(const struct node *node, const Value *result) {
    const Value *qkv = &node->inputs[0], *bias = &node->inputs[1];
    const size_t texts = (size_t)qkv->sizes[0], tokens = (size_t)qkv->sizes[1], heads = (size_t)node->attributes.integer;
    const size_t hidden = (size_t)qkv->sizes[2] / 3, width = hidden / heads;
    double *powers = malloc(tokens * sizeof *powers);
    for (size_t text = 0; text < texts; text++)
        for (size_t head = 0; head < heads; head++)
            for (size_t query = 0; query < tokens; query++) {
                const float *start = floats_of(qkv) + text * tokens * 3 * hidden + head * width, *q = start + query * 3 * hidden;
                double top = -INFINITY, total = 0;
                for (size_t key = 0; key < tokens; key++) {
                    double score = 0;
                    for (size_t i = 0; i < width; i++) score += (double)q[i] * start[key * 3 * hidden + hidden + i];
                    score /= sqrt((double)width);
                    if (bias->rank) score += floats_of(bias)[(head * tokens + query) * tokens + key];
                    powers[key] = score, top = fmax(top, score);
                }
                for (size_t key = 0; key < tokens; key++) total += powers[key] = exp(powers[key] - top);
                for (size_t i = 0; i < width; i++) {
                    double sum = 0;
                    for (size_t key = 0; key < tokens; key++) sum += powers[key] * start[key * 3 * hidden + 2 * hidden + i];
                    close_to(node, result, (text * tokens + query) * hidden + head * width + i, sum / total, 2e-6);
                }
            }
    free(powers);
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
        const double deviation = sqrt(squares + node->attributes.epsilon);
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

/* --- Examples ------------------------------------------------------------------------------------------------- */

static struct node make_linear(uint64_t *state, int is_large) {
    const size_t rows = is_large ? pick(state, 10, 40) : pick(state, 0, 20), inputs = is_large ? pick(state, 700, 900) : pick(state, 1, 420);
    const size_t outputs = is_large ? pick(state, 300, 310) : pick(state, 1, 140);
    const size_t blocks = (inputs + BLOCK - 1) / BLOCK, groups = (inputs + blocks * GROUP - 1) / (blocks * GROUP);
    const size_t padded = blocks * groups * GROUP, panels = (outputs + PANEL - 1) / PANEL;
    struct node node = {"Linear", .input_count = 5, .attributes = {.integer = (int64_t)pick(state, 0, 1)}};
    node.inputs[0] = RANDOM(state, 3, 1, rows, inputs);
    node.inputs[1] = TENSOR(1, panels, blocks, groups, PANEL, GROUP);
    for (size_t o = 0; o < panels * PANEL; o++)
        for (size_t k = 0; k < padded; k++) {
            const size_t at = (o / PANEL * padded + k / GROUP * GROUP) * PANEL + o % PANEL * GROUP + k % GROUP;
            ((uint8_t *)node.inputs[1].data)[at] = o < outputs && k < inputs ? (uint8_t)pick(state, 1, 255) : 128;
        }
    node.inputs[2] = RANDOM(state, 0.01f, outputs);
    node.inputs[3] = RANDOM(state, 1, outputs);
    node.inputs[4] = RANDOM(state, 1, inputs);
    if (rows && pick(state, 0, 3) == 0) /* pairs that products_avx2.h must move */
        for (size_t k = 0; k < inputs; k++) ((float *)node.inputs[0].data)[k] = 5 / ((float *)node.inputs[4].data)[k];
    return node;
}

static struct node make_attention(uint64_t *state, int is_large) {
    const size_t texts = pick(state, 0, 2), tokens = is_large ? pick(state, 100, 110) : pick(state, 0, 60);
    const size_t heads = is_large ? pick(state, 2, 3) : pick(state, 1, 3), width = is_large ? 70 : pick(state, 1, 70);
    struct node node = {"Attention", .input_count = 2, .attributes = {.integer = (int64_t)heads}};
    node.inputs[0] = RANDOM(state, 1, texts + (size_t)is_large, tokens, 3 * heads * width);
    if (pick(state, 0, 1)) node.inputs[1] = RANDOM(state, 1, 1, heads, tokens, tokens);
    return node;
}

static struct node make_add_norm(uint64_t *state, int is_large) {
    const size_t texts = pick(state, 1, 3), rows = is_large ? 150 : pick(state, 0, 20), width = is_large ? 1000 : pick(state, 2, 420);
    struct node node = {"AddNorm", .input_count = 4, .attributes = {.epsilon = 1e-3f}};
    node.inputs[0] = RANDOM(state, 1, texts, rows, width);
    node.inputs[1] = RANDOM(state, 1, 1, rows, width);
    node.inputs[2] = RANDOM(state, 1, width);
    node.inputs[3] = RANDOM(state, 1, width);
    return node;
}

static struct node make_mean(uint64_t *state, int is_large) {
    (void)is_large;
    struct node node = {"Mean", .input_count = 1};
    node.inputs[0] = RANDOM(state, 1, pick(state, 0, 3), pick(state, 1, 60), pick(state, 1, 90));
    return node;
}

static const struct {
    struct node (*make)(uint64_t *state, int is_large);
    void (*check)(const struct node *node, const Value *result);
} OPERATORS[] = {
    {make_linear, check_linear}, {make_attention, check_attention}, {make_add_norm, check_add_norm}, {make_mean, check_mean},
};

struct task {
    uint64_t seed;
    size_t examples, sets, shared;
    const char *names[8];
};

static void same_bits(const struct node *node, const char *kernels, const Value *expected, const Value *found) {
    CHECK(expected->bytes == found->bytes && !memcmp(expected->data, found->data, expected->bytes), "%s with %s", node->operator, kernels);
}

/* Compute the examples of a task with all of its sets, and check the results. */
static void *run_task(void *task) {
    struct task *t = task;
    uint64_t state = t->seed * 2 + 1;
    for (size_t example = 0; example < t->examples; example++) {
        const size_t kind = example % (sizeof OPERATORS / sizeof *OPERATORS), is_large = example % 16 < 4;
        struct node node = OPERATORS[kind].make(&state, (int)is_large);
        Value first = {0};
        for (size_t set = 0; set < t->sets; set++) {
            Options alone, several;
            size_t shared;
            CHECK(open_session(&alone, t->names[set], 1), "%s", t->names[set]);
            CHECK(open_session(&several, t->names[set], SHARED_THREADS), "%s", t->names[set]);
            Value on_one = run(&alone, &node, &shared);
            CHECK(!shared, "one thread shares nothing");
            Value on_several = run(&several, &node, &shared);
            CHECK(!is_large || shared || kind == 3, "%s of this size is shared", node.operator);
            t->shared += shared;
            if (!set) OPERATORS[kind].check(&node, &on_one);
            same_bits(&node, t->names[set], &on_one, &on_several);
            release(on_several.data, on_several.bytes);
            if (set) same_bits(&node, t->names[set], &first, &on_one), release(on_one.data, on_one.bytes);
            else first = on_one;
        }
        release(first.data, first.bytes);
        for (size_t i = 0; i < node.input_count; i++)
            if (node.inputs[i].rank) release(node.inputs[i].data, node.inputs[i].bytes);
    }
    return NULL;
}

int main(int argument_count, char *arguments[]) {
    CHECK(argument_count > 3 && argument_count < 12, "usage: driver SEED EXAMPLES KERNELS...");
    struct task task = {.examples = strtoul(arguments[2], NULL, 10)};
    for (int i = 3; i < argument_count; i++) {
        Options session;
        if (open_session(&session, arguments[i], 1)) task.names[task.sets++] = arguments[i];
        else printf("SKIPPED: %s, which this processor lacks\n", arguments[i]);
    }
    CHECK(task.sets, "this processor has none of these");
    pthread_t threads[SESSIONS];
    struct task tasks[SESSIONS];
    for (size_t i = 0; i < SESSIONS; i++) {
        tasks[i] = task;
        tasks[i].seed = strtoul(arguments[1], NULL, 10) * SESSIONS + i;
        CHECK(!pthread_create(&threads[i], NULL, run_task, &tasks[i]), "no thread");
    }
    size_t shared = 0;
    for (size_t i = 0; i < SESSIONS; i++) pthread_join(threads[i], NULL), shared += tasks[i].shared;
    CHECK(!shapes, "%zu shapes were not released", shapes);
    printf("%zu operators on %d threads at a time, %zu of them shared, with", SESSIONS * task.examples, SESSIONS, shared / task.sets);
    for (size_t set = 0; set < task.sets; set++) printf(" %s", task.names[set]);
    puts(": all as defined");
    return 0;
}
