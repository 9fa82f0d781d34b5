/* The kernels as operators of ONNX Runtime, in the domain "encoder":

   Linear(input, weights, scales, bias, smoothing), gelu = 0 or 1    kernels.h says what each computes
   Attention(qkv, bias?), heads
   AddNorm(a, b, gamma, beta), epsilon
   Mean(values)

   All of a graph's sizes are looked at before anything is computed: a graph that does not fit is refused in a sentence. */

#include <stdlib.h>

#include "kernels.h"
#include "ort.h"
#include "vectors.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define MOST_INPUTS 5
#define MOST_DIMENSIONS 5
#define MOST_INPUTS_OF_LINEAR 65536 /* so many products of bytes are summed exactly, and a tile of rows finds room on the stack */

/* Returns what went wrong from the function around it, if anything did. */
#define TRY(call)                     \
    do {                              \
        Status *status = (call);      \
        if (status) return status;    \
    } while (0)

#define EXPECT(api, truth, sentence) \
    if (!(truth)) return (api)->CreateStatus(INVALID_ARGUMENT, sentence)

struct tensor {
    float *data; /* null if it is left out */
    size_t rank;
    int64_t sizes[MOST_DIMENSIONS];
};

/* This processor's, since the library was registered. */
static const struct kernels *kernels;

/* A node of a graph. */
struct node {
    const Api *api;
    int64_t number;
    float epsilon;
};

struct described {
    Operator operator;
    const char *name;
    const char *number, *epsilon; /* what its attributes are called, if it has them */
    size_t inputs, required;
    Status *(*compute)(const struct node *node, Context *context, const struct tensor inputs[]);
};

static size_t count(const struct tensor *tensor) {
    size_t product = 1;
    for (size_t i = 0; i < tensor->rank; i++) product *= (size_t)tensor->sizes[i];
    return product;
}

static size_t last(const struct tensor *tensor) { return tensor->rank ? (size_t)tensor->sizes[tensor->rank - 1] : 0; }

static int holds(const struct tensor *tensor, size_t elements) { return tensor->rank > 0 && count(tensor) == elements; }

static Status *shape(const Api *api, const Shape *found, struct tensor *tensor) {
    TRY(api->GetDimensionsCount(found, &tensor->rank));
    EXPECT(api, tensor->rank <= MOST_DIMENSIONS, "an input has more dimensions than any input of this operator");
    return api->GetDimensions(found, tensor->sizes, tensor->rank);
}

static Status *read(const Api *api, const Context *context, size_t index, struct tensor *tensor) {
    const Value *value;
    TRY(api->KernelContext_GetInput(context, index, &value));
    *tensor = (struct tensor){0};
    if (!value) return NULL;
    TRY(api->GetTensorMutableData(value, (void **)&tensor->data));
    Shape *found;
    TRY(api->GetTensorTypeAndShape(value, &found));
    Status *status = shape(api, found, tensor);
    api->ReleaseTensorTypeAndShapeInfo(found);
    return status;
}

/* The result, in the shape of `like` with another last dimension. */
static Status *result(const Api *api, Context *context, const struct tensor *like, size_t width, float **data) {
    struct tensor made = *like;
    made.sizes[made.rank - 1] = (int64_t)width;
    Value *value;
    TRY(api->KernelContext_GetOutput(context, 0, made.sizes, made.rank, &value));
    return api->GetTensorMutableData(value, (void **)data);
}

static Status *linear(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *input = &inputs[0], *weights = &inputs[1], *scales = &inputs[2], *bias = &inputs[3];
    const struct tensor *smoothing = &inputs[4];
    const int64_t *sizes = weights->sizes;
    EXPECT(node->api, weights->rank == 5 && sizes[3] == 64 && sizes[4] == 4,
           "Linear: weights are not (outputs / 64, blocks, block / 4, 64, 4)");
    const struct linear layer = {
        .inputs = last(input),
        .outputs = count(bias),
        .block = (size_t)sizes[2] * 4,
        .blocks = (size_t)sizes[1],
        .weights = (const uint8_t *)weights->data,
        .scales = scales->data,
        .bias = bias->data,
        .smoothing = smoothing->data,
        .gelu = node->number != 0,
    };
    const size_t padded = layer.block * layer.blocks, most = (size_t)sizes[0] * 64;
    EXPECT(node->api, padded <= MOST_INPUTS_OF_LINEAR, "Linear: there are more than 65536 inputs");
    EXPECT(node->api, layer.inputs > 0 && layer.inputs <= padded && padded - layer.inputs < least(layer.block, 4 * layer.blocks),
           "Linear: the weights are for another number of inputs");
    EXPECT(node->api, layer.outputs > 0 && layer.outputs <= most && most - layer.outputs < 64,
           "Linear: the weights are for another number of outputs than the bias");
    EXPECT(node->api, holds(scales, layer.outputs) && holds(smoothing, layer.inputs),
           "Linear: scales or smoothing have another size than the weights");
    float *found;
    TRY(result(node->api, context, input, layer.outputs, &found));
    kernels->linear(&layer, count(input) / layer.inputs, input->data, found);
    return NULL;
}

static Status *attention(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *qkv = &inputs[0], *bias = &inputs[1];
    EXPECT(node->api, qkv->rank == 3, "Attention: the input is not (texts, tokens, 3 * hidden)");
    const size_t heads = (size_t)node->number, hidden = last(qkv) / 3;
    const size_t texts = (size_t)qkv->sizes[0], tokens = (size_t)qkv->sizes[1];
    EXPECT(node->api, node->number > 0 && hidden > 0 && last(qkv) == 3 * hidden && hidden % heads == 0,
           "Attention: the width is no multiple of 3 times the heads");
    EXPECT(node->api, (!bias->data && !bias->rank) || holds(bias, heads * tokens * tokens),
           "Attention: the bias is not (1, heads, tokens, tokens)");
    float *found;
    TRY(result(node->api, context, qkv, hidden, &found));
    for (size_t text = 0; text < texts; text++) {
        const float *own = qkv->data + text * tokens * 3 * hidden;
        const int done = kernels->attention(tokens, heads, hidden / heads, own, bias->data, found + text * tokens * hidden);
        EXPECT(node->api, done, "Attention: no memory is left");
    }
    return NULL;
}

static Status *add_norm(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *a = &inputs[0], *b = &inputs[1], *gamma = &inputs[2], *beta = &inputs[3];
    const size_t width = last(a);
    EXPECT(node->api, width > 0 && last(b) == width && count(b) > 0 && count(a) % count(b) == 0,
           "AddNorm: the inputs do not fit each other");
    EXPECT(node->api, holds(gamma, width) && holds(beta, width), "AddNorm: gamma or beta has another size than a row");
    float *found;
    TRY(result(node->api, context, a, width, &found));
    const size_t rows = count(a) / width, b_rows = count(b) / width;
    kernels->add_norm(rows, width, a->data, b->data, b_rows, gamma->data, beta->data, node->epsilon, found);
    return NULL;
}

static Status *mean(const struct node *node, Context *context, const struct tensor inputs[]) {
    const struct tensor *values = &inputs[0];
    EXPECT(node->api, values->rank == 3, "Mean: the input is not (texts, tokens, hidden)");
    const size_t texts = (size_t)values->sizes[0], tokens = (size_t)values->sizes[1], width = last(values);
    EXPECT(node->api, tokens > 0, "Mean: there is nothing in a text");
    const struct tensor vectors = {.rank = 2, .sizes = {values->sizes[0]}};
    float *found;
    TRY(result(node->api, context, &vectors, width, &found));
    for (size_t text = 0; text < texts; text++)
        kernels->mean(tokens, width, values->data + text * tokens * width, found + text * width);
    return NULL;
}

/* The kernels for this processor; null if there are none. */
static const struct kernels *chosen(void) {
#if defined(__x86_64__)
    enum { FMA = 1 << 12, OSXSAVE = 1 << 27, AVX2 = 1 << 5, AVX512 = 1 << 16 | 1 << 17 | 1 << 30 | 1u << 31, VNNI = 1 << 11 };
    unsigned a, b, c, d, leaf1, states = 0;
    if (!__get_cpuid(1, &a, &b, &leaf1, &d) || !(leaf1 & FMA) || !(leaf1 & OSXSAVE)) return NULL;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & AVX2)) return NULL;
    __asm__("xgetbv" : "=a"(states), "=d"(d) : "c"(0)); /* which registers the system saves: 6 for AVX, e6 for AVX-512 */
#if defined(HAS_AVX512_VNNI)
    if ((b & AVX512) == AVX512 && (c & VNNI) && (states & 0xe6) == 0xe6) return &avx512_vnni;
#endif
#if defined(HAS_AVX2)
    if ((states & 6) == 6) return &avx2;
#endif
    return NULL;
#else
    return &portable;
#endif
}

/* --- As ONNX Runtime asks for them ---------------------------------------------------------------------- */

struct made {
    struct node node;
    const struct described *described;
};

static const struct described *described(const Operator *operator) { return (const struct described *)operator; }

static Status *create(const Operator *operator, const Api *api, const KernelInfo *info, void **kernel) {
    struct made made = {.node = {.api = api}, .described = described(operator)};
    const char *number = made.described->number, *epsilon = made.described->epsilon;
    if (number) TRY(api->KernelInfoGetAttribute_int64(info, number, &made.node.number));
    if (epsilon) TRY(api->KernelInfoGetAttribute_float(info, epsilon, &made.node.epsilon));
    struct made *kept = malloc(sizeof made);
    EXPECT(api, kept, "no memory is left for an operator");
    *kept = made;
    *kernel = kept;
    return NULL;
}

static Status *compute(void *kernel, Context *context) {
    const struct made *made = kernel;
    struct tensor inputs[MOST_INPUTS];
    for (size_t i = 0; i < made->described->inputs; i++) TRY(read(made->node.api, context, i, &inputs[i]));
    return made->described->compute(&made->node, context, inputs);
}

static const char *name(const Operator *operator) { return described(operator)->name; }

static size_t inputs(const Operator *operator) { return described(operator)->inputs; }

static size_t one(const Operator *operator) { return (void)operator, 1; }

static Type input_type(const Operator *operator, size_t index) {
    return described(operator)->compute == linear && index == 1 ? UINT8 : FLOAT;
}

static Type output_type(const Operator *operator, size_t index) { return (void)operator, (void)index, FLOAT; }

static Presence input_presence(const Operator *operator, size_t index) {
    return index < described(operator)->required ? REQUIRED : OPTIONAL;
}

static Presence output_presence(const Operator *operator, size_t index) { return (void)operator, (void)index, REQUIRED; }

static int memory(const Operator *operator, size_t index) { return (void)operator, (void)index, MEMORY_DEFAULT; }

static const char *any_provider(const Operator *operator) { return (void)operator, NULL; }

#define OPERATOR                                                                                                                   \
    {                                                                                                                              \
        .version = ORT_VERSION, .GetName = name, .GetExecutionProviderType = any_provider, .GetInputType = input_type,             \
        .GetInputTypeCount = inputs, .GetOutputType = output_type, .GetOutputTypeCount = one, .KernelDestroy = free,               \
        .GetInputCharacteristic = input_presence, .GetOutputCharacteristic = output_presence, .GetInputMemoryType = memory,        \
        .CreateKernelV2 = create, .KernelComputeV2 = compute                                                                       \
    }

static const struct described OPERATORS[] = {
    {OPERATOR, .name = "Linear", .number = "gelu", .inputs = 5, .required = 5, .compute = linear},
    {OPERATOR, .name = "Attention", .number = "heads", .inputs = 2, .required = 1, .compute = attention},
    {OPERATOR, .name = "AddNorm", .epsilon = "epsilon", .inputs = 4, .required = 4, .compute = add_norm},
    {OPERATOR, .name = "Mean", .inputs = 1, .required = 1, .compute = mean},
};

/* Called by ONNX Runtime for each session that registers this library. */
__attribute__((visibility("default"))) Status *RegisterCustomOps(Options *options, const ApiBase *base) {
    const Api *api = base->GetApi(ORT_VERSION);
    if (!kernels) kernels = chosen();
    EXPECT(api, kernels, "this processor has no AVX2 and FMA");
    static Domain *domain; /* used by all sessions, for as long as the process lives */
    Domain *made = __atomic_load_n(&domain, __ATOMIC_ACQUIRE);
    if (!made) {
        TRY(api->CreateCustomOpDomain("encoder", &made));
        for (size_t i = 0; i < sizeof OPERATORS / sizeof *OPERATORS; i++)
            TRY(api->CustomOpDomain_Add(made, &OPERATORS[i].operator));
        __atomic_store_n(&domain, made, __ATOMIC_RELEASE);
    }
    return api->AddCustomOpDomain(options, made);
}
