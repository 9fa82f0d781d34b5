/* The kernels as operators of ONNX Runtime, in the domain DOMAIN. kernels.h describes what each computes:

   Linear(input, weights, scales, bias, smoothing), gelu = 0 or 1
   Attention(qkv, bias?), heads
   AddNorm(a, b, gamma, beta), epsilon
   Mean(values)

   All sizes in a graph are checked before anything is computed. A graph whose sizes do not fit is refused with a sentence.

   A session's configuration may name a set of kernels (KERNELS_ENTRY) and a number of threads that share an operator's work
   (THREADS_ENTRY). Without a name the session gets the fastest set that its processor can run, and the entry is set to its name. */

#include <float.h>
#include <stdlib.h>

#include "interface.h"
#include "kernels.h"
#include "node.h"
#include "processor.h"

#define MAX_INPUTS 5
#define MAX_INPUTS_OF_LINEAR 65536 /* sums of at most this many products of bytes are exact in 32 bits */

#define ROW_STEP 4     /* each share of rows starts at a multiple of ROW_STEP, so that all tiles but the last are full */
#define SHARED_ROWS 16 /* a linear layer of fewer rows is divided by its outputs, not by its rows */

/* A type of operator, computed by one set of kernels on a number of threads. */
struct operator_type {
    Operator operator;
    const char *name;
    const char *integer_attribute, *float_attribute; /* their names, or null */
    size_t inputs, required_inputs;
    Status *(*compute)(const struct node *node, Context *context, const struct tensor inputs[]);
    const struct kernels *kernels;
    size_t threads;
};

/* --- The operators -------------------------------------------------------------------------------------- */

struct linear_work {
    const struct kernels *kernels;
    const struct linear *layer;
    size_t rows, panels;
    const float *input;
    float *result;
};

static int linear_rows(const void *work, struct range rows) {
    const struct linear_work *w = work;
    return w->kernels->linear(w->layer, rows, (struct range){0, w->panels}, w->input, w->result);
}

static int linear_panels(const void *work, struct range panels) {
    const struct linear_work *w = work;
    return w->kernels->linear(w->layer, (struct range){0, w->rows}, panels, w->input, w->result);
}

static Status *linear(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *input = &inputs[0], *weights = &inputs[1], *scales = &inputs[2], *bias = &inputs[3];
    const struct tensor *smoothing = &inputs[4];
    const int64_t *sizes = weights->sizes;
    EXPECT(node->api, weights->rank == 5 && sizes[3] == PANEL && sizes[4] == GROUP,
           "Linear: weights are not (outputs / " TEXT(PANEL) ", blocks, block / " TEXT(GROUP) ", " TEXT(PANEL) ", " TEXT(GROUP)
           ")");
    const struct linear layer = {
        .inputs = last(input),
        .outputs = elements(bias),
        .block = (size_t)sizes[2] * GROUP,
        .blocks = (size_t)sizes[1],
        .weights = (const uint8_t *)weights->data,
        .scales = scales->data,
        .bias = bias->data,
        .smoothing = smoothing->data,
        .gelu = node->integer != 0,
    };
    const size_t padded = layer.block * layer.blocks, panels = (size_t)sizes[0], padded_outputs = panels * PANEL;
    EXPECT(node->api, node->integer == 0 || node->integer == 1, "Linear: gelu is neither 0 nor 1");
    EXPECT(node->api, padded <= MAX_INPUTS_OF_LINEAR, "Linear: there are more than " TEXT(MAX_INPUTS_OF_LINEAR) " inputs");
    EXPECT(node->api,
           layer.inputs > 0 && layer.inputs <= padded && padded - layer.inputs < least(layer.block, GROUP * layer.blocks),
           "Linear: the weights are for another number of inputs");
    EXPECT(node->api, layer.outputs > 0 && layer.outputs <= padded_outputs && padded_outputs - layer.outputs < PANEL,
           "Linear: the weights are for another number of outputs than the bias");
    EXPECT(node->api, has_elements(scales, layer.outputs) && has_elements(smoothing, layer.inputs),
           "Linear: scales or smoothing have another size than the weights");
    float *result;
    TRY(create_result(node->api, context, input, layer.outputs, &result));
    const size_t rows = elements(input) / layer.inputs;
    const struct linear_work work = {node->kernels, &layer, rows, panels, input->data, result};
    const size_t multiplications = rows * layer.inputs * layer.outputs;
    if (rows < SHARED_ROWS) return compute_all(node, context, linear_panels, &work, panels, 1, multiplications);
    return compute_all(node, context, linear_rows, &work, rows, ROW_STEP, multiplications);
}

struct attention_work {
    const struct kernels *kernels;
    size_t tokens, heads, width;
    const float *qkv, *bias;
    float *result;
};

/* Compute a range of the heads of all texts, numbered text by text. */
static int attention_heads(const void *work, struct range range) {
    const struct attention_work *w = work;
    const size_t hidden = w->heads * w->width;
    for (size_t text = range.first / w->heads; text * w->heads < range.last; text++) {
        const size_t before = text * w->heads;
        const struct range heads = {range.first > before ? range.first - before : 0, least(range.last - before, w->heads)};
        const float *qkv = w->qkv + text * w->tokens * 3 * hidden;
        if (!w->kernels->attention(w->tokens, w->heads, w->width, heads, qkv, w->bias, w->result + text * w->tokens * hidden))
            return 0;
    }
    return 1;
}

static Status *attention(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *qkv = &inputs[0], *bias = &inputs[1];
    EXPECT(node->api, qkv->rank == 3, "Attention: the input is not (texts, tokens, 3 * hidden)");
    const size_t hidden = last(qkv) / 3, texts = (size_t)qkv->sizes[0], tokens = (size_t)qkv->sizes[1];
    EXPECT(node->api, node->integer > 0 && hidden > 0 && last(qkv) == 3 * hidden && hidden % (size_t)node->integer == 0,
           "Attention: the width is not a multiple of 3 times the heads");
    const size_t heads = (size_t)node->integer;
    EXPECT(node->api, (!bias->data && !bias->rank) || has_elements(bias, heads * tokens * tokens),
           "Attention: the bias is not (1, heads, tokens, tokens)");
    float *result;
    TRY(create_result(node->api, context, qkv, hidden, &result));
    const struct attention_work work = {node->kernels, tokens, heads, hidden / heads, qkv->data, bias->data, result};
    return compute_all(node, context, attention_heads, &work, texts * heads, 1, texts * tokens * tokens * hidden * 2);
}

struct add_norm_work {
    const struct kernels *kernels;
    size_t width, b_rows;
    const float *a, *b, *gamma, *beta;
    float epsilon, *result;
};

static int add_norm_rows(const void *work, struct range rows) {
    const struct add_norm_work *w = work;
    w->kernels->add_norm(rows, w->width, w->a, w->b, w->b_rows, w->gamma, w->beta, w->epsilon, w->result);
    return 1;
}

#define ADD_NORM_WORK 24 /* adding, normalizing and storing a value takes as long as this many multiplications of bytes */

static Status *add_norm(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *a = &inputs[0], *b = &inputs[1], *gamma = &inputs[2], *beta = &inputs[3];
    const size_t width = last(a);
    EXPECT(node->api, node->epsilon >= 0 && node->epsilon <= FLT_MAX, "AddNorm: epsilon is negative or not a finite number");
    EXPECT(node->api, width > 0 && last(b) == width && (elements(b) ? elements(a) % elements(b) : elements(a)) == 0,
           "AddNorm: the inputs do not fit each other");
    EXPECT(node->api, has_elements(gamma, width) && has_elements(beta, width),
           "AddNorm: gamma or beta has another size than a row");
    float *result;
    TRY(create_result(node->api, context, a, width, &result));
    const struct add_norm_work work = {
        node->kernels, width, elements(b) / width, a->data, b->data, gamma->data, beta->data, node->epsilon, result,
    };
    return compute_all(node, context, add_norm_rows, &work, elements(a) / width, 1, elements(a) * ADD_NORM_WORK);
}

static Status *mean(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *values = &inputs[0];
    EXPECT(node->api, values->rank == 3, "Mean: the input is not (texts, tokens, hidden)");
    const size_t texts = (size_t)values->sizes[0], tokens = (size_t)values->sizes[1], width = last(values);
    EXPECT(node->api, tokens > 0, "Mean: a text has no tokens");
    const struct tensor vectors = {.rank = 2, .sizes = {values->sizes[0]}};
    float *result;
    TRY(create_result(node->api, context, &vectors, width, &result));
    for (size_t text = 0; text < texts; text++)
        node->kernels->mean(tokens, width, values->data + text * tokens * width, result + text * width);
    return NULL;
}

/* --- The interface that ONNX Runtime calls ---------------------------------------------------------------- */

struct kernel {
    struct node node;
    const struct operator_type *type;
};

static const struct operator_type *type_of(const Operator *operator) { return (const struct operator_type *)operator; }

static Status *create_kernel(const Operator *operator, const Api *api, const KernelInfo *info, void **kernel) {
    const struct operator_type *type = type_of(operator);
    struct node node = {.api = api, .kernels = type->kernels, .threads = type->threads};
    if (type->integer_attribute) TRY(api->KernelInfoGetAttribute_int64(info, type->integer_attribute, &node.integer));
    if (type->float_attribute) TRY(api->KernelInfoGetAttribute_float(info, type->float_attribute, &node.epsilon));
    struct kernel *created = malloc(sizeof *created);
    EXPECT(api, created, "an operator of the encoder could not allocate memory");
    *created = (struct kernel){node, type};
    *kernel = created;
    return NULL;
}

static Status *compute_kernel(void *kernel, Context *context) {
    const struct kernel *k = kernel;
    struct tensor inputs[MAX_INPUTS];
    for (size_t i = 0; i < k->type->inputs; i++) TRY(read_input(k->node.api, context, i, &inputs[i]));
    return k->type->compute(&k->node, context, inputs);
}

static const char *operator_name(const Operator *operator) { return type_of(operator)->name; }

static size_t input_count(const Operator *operator) { return type_of(operator)->inputs; }

static size_t output_count(const Operator *operator) { return (void)operator, 1; }

static Type input_type(const Operator *operator, size_t index) {
    return type_of(operator)->compute == linear && index == 1 ? UINT8 : FLOAT;
}

static Type output_type(const Operator *operator, size_t index) { return (void)operator, (void)index, FLOAT; }

static Presence input_presence(const Operator *operator, size_t index) {
    return index < type_of(operator)->required_inputs ? REQUIRED : OPTIONAL;
}

static Presence output_presence(const Operator *operator, size_t index) { return (void)operator, (void)index, REQUIRED; }

static int input_memory(const Operator *operator, size_t index) { return (void)operator, (void)index, MEMORY_DEFAULT; }

static const char *any_provider(const Operator *operator) { return (void)operator, NULL; }

#define OPERATOR                                                                                                                   \
    {                                                                                                                              \
        .version = OPERATOR_VERSION, .GetName = operator_name, .GetExecutionProviderType = any_provider,                           \
        .GetInputType = input_type, .GetInputTypeCount = input_count, .GetOutputType = output_type,                                \
        .GetOutputTypeCount = output_count, .KernelDestroy = free, .GetInputCharacteristic = input_presence,                       \
        .GetOutputCharacteristic = output_presence, .GetInputMemoryType = input_memory, .CreateKernelV2 = create_kernel,           \
        .KernelComputeV2 = compute_kernel                                                                                          \
    }

static const struct operator_type TYPES[] = {
    {OPERATOR, .name = "Linear", .integer_attribute = "gelu", .inputs = 5, .required_inputs = 5, .compute = linear},
    {OPERATOR, .name = "Attention", .integer_attribute = "heads", .inputs = 2, .required_inputs = 1, .compute = attention},
    {OPERATOR, .name = "AddNorm", .float_attribute = "epsilon", .inputs = 4, .required_inputs = 4, .compute = add_norm},
    {OPERATOR, .name = "Mean", .inputs = 1, .required_inputs = 1, .compute = mean},
};
#define TYPE_COUNT (sizeof TYPES / sizeof *TYPES)

/* --- Registration ---------------------------------------------------------------------------------------- */

/* The operators with one set of kernels on a number of threads. Sessions use them until the process ends. */
struct library {
    Domain *domain;
    struct operator_type types[TYPE_COUNT];
};

static Status *create_library(const Api *api, const struct kernels *kernels, size_t threads, struct library **library) {
    struct library *created = malloc(sizeof *created);
    EXPECT(api, created, "the operators of the encoder could not allocate memory");
    TRY(api->CreateCustomOpDomain(DOMAIN, &created->domain));
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        created->types[i] = TYPES[i];
        created->types[i].kernels = kernels;
        created->types[i].threads = threads;
        TRY(api->CustomOpDomain_Add(created->domain, &created->types[i].operator));
    }
    *library = created;
    return NULL;
}

/* Find the library for these kernels and threads, or create it. If two threads create one at the same time, one of them is kept. */
static Status *find_library(const Api *api, size_t set, size_t threads, struct library **library) {
    static struct library *libraries[SET_COUNT][MAX_THREADS + 1];
    struct library **slot = &libraries[set][threads], *stored = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    if (!stored) {
        struct library *created;
        TRY(create_library(api, SETS[set].kernels, threads, &created));
        if (__atomic_compare_exchange_n(slot, &stored, created, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            stored = created;
        } else {
            api->ReleaseCustomOpDomain(created->domain);
            free(created);
        }
    }
    *library = stored;
    return NULL;
}

/* Read an entry of a session's configuration; the value is empty if there is no entry. A value that is too long becomes "?", which is
   neither the name of a set nor a number. */
static Status *read_entry(const Api *api, const Options *options, const char *key, char *value, size_t size) {
    int is_set;
    size_t needed = 0;
    *value = 0;
    TRY(api->HasSessionConfigEntry(options, key, &is_set));
    if (!is_set) return NULL;
    TRY(api->GetSessionConfigEntry(options, key, NULL, &needed));
    if (needed > size) return strcpy(value, "?"), NULL;
    return api->GetSessionConfigEntry(options, key, value, &size);
}

/* ONNX Runtime calls this for each session that registers the library. */
__attribute__((visibility("default"))) Status *RegisterCustomOps(Options *options, const ApiBase *base) {
    const Api *api = base->GetApi(API_VERSION);
    char name[32], threads_text[8];
    TRY(read_entry(api, options, KERNELS_ENTRY, name, sizeof name));
    TRY(read_entry(api, options, THREADS_ENTRY, threads_text, sizeof threads_text));
    const size_t set = find_set(name);
    EXPECT(api, set < SET_COUNT, *name ? "this processor lacks the instructions of these kernels, or no kernels have this name"
                                       : "this processor lacks the instructions that the encoder's operators need");
    char *end = threads_text;
    const long threads = *threads_text ? strtol(threads_text, &end, 10) : 1;
    EXPECT(api, !*end && threads >= 1 && threads <= MAX_THREADS, THREADS_ENTRY " is not a number from 1 to " TEXT(MAX_THREADS));
    struct library *library;
    TRY(find_library(api, set, (size_t)threads, &library));
    TRY(api->AddCustomOpDomain(options, library->domain));
    return *name ? NULL : api->AddSessionConfigEntry(options, KERNELS_ENTRY, SETS[set].name); /* writing it twice logs a warning */
}
