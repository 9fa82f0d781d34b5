/* The kernels as operators of ONNX Runtime, in the domain DOMAIN. kernels.h describes what each computes. "?" marks inputs that a node
   may leave out, and "= value" attributes that it may leave out:

   Linear(input, weights, scales, bias, smoothing), gelu: 0 or 1
   Product(values, weights, bias?)
   Attention(qkv, bias?, slopes?), heads, key_value_heads = heads, causal = 0, window = 0 (none), scale = 0 (1 / sqrt(width))
   Rotate(qkv, table, query_gamma?, key_gamma?), heads, key_value_heads = heads, epsilon = 0
   AddNorm(a, b, gamma, beta), epsilon
   Norm(values, gamma, beta?), epsilon, centered = 1
   Gate(values), activation: 0 (gelu), 1 (silu) or 2 (gelu by tanh)
   Mean(values)

   All sizes and attributes in a graph are checked before anything is computed. If they do not fit, the graph is refused with a
   sentence.

   A session's configuration may name a set of kernels (KERNELS_ENTRY) and a number of threads that share an operator's work
   (THREADS_ENTRY). Without a name the session gets the fastest set that its processor can run, and the entry is set to its name.
   A thread that runs the session may forbid the sharing (share_work). */

#include <stdlib.h>

#include "attention_nodes.h"
#include "interface.h"
#include "kernels.h"
#include "linear_nodes.h"
#include "node.h"
#include "processor.h"
#include "row_nodes.h"

#define MAX_INPUTS 5

/* A type of operator, computed by one set of kernels on a number of threads. */
struct operator_type {
    Operator operator;
    const char *name;
    const struct attribute *attributes;
    size_t attribute_count;
    size_t inputs, required_inputs;
    Status *(*compute)(const struct node *node, Context *context, const struct tensor inputs[]);
    const struct kernels *kernels;
    size_t threads;
};

/* --- The interface that ONNX Runtime calls ---------------------------------------------------------------- */

struct kernel {
    struct node node;
    const struct operator_type *type;
};

static const struct operator_type *type_of(const Operator *operator) { return (const struct operator_type *)operator; }

static Status *create_kernel(const Operator *operator, const Api *api, const KernelInfo *info, void **kernel) {
    const struct operator_type *type = type_of(operator);
    struct node node = {.api = api, .kernels = type->kernels, .threads = type->threads};
    for (size_t i = 0; i < type->attribute_count; i++)
        TRY(read_attribute(api, info, type->name, &type->attributes[i], &node.attributes[i]));
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

#define ATTRIBUTES(table) .attributes = (table), .attribute_count = sizeof(table) / sizeof *(table)

static const struct operator_type TYPES[] = {
    {OPERATOR, .name = "Linear", ATTRIBUTES(LINEAR_ATTRIBUTES), .inputs = 5, .required_inputs = 5, .compute = linear},
    {OPERATOR, .name = "Product", .inputs = 3, .required_inputs = 2, .compute = product},
    {OPERATOR, .name = "Attention", ATTRIBUTES(ATTENTION_ATTRIBUTES), .inputs = 3, .required_inputs = 1, .compute = attention},
    {OPERATOR, .name = "Rotate", ATTRIBUTES(ROTATE_ATTRIBUTES), .inputs = 4, .required_inputs = 2, .compute = rotate},
    {OPERATOR, .name = "AddNorm", ATTRIBUTES(ADD_NORM_ATTRIBUTES), .inputs = 4, .required_inputs = 4, .compute = add_norm},
    {OPERATOR, .name = "Norm", ATTRIBUTES(NORM_ATTRIBUTES), .inputs = 3, .required_inputs = 2, .compute = norm},
    {OPERATOR, .name = "Gate", ATTRIBUTES(GATE_ATTRIBUTES), .inputs = 1, .required_inputs = 1, .compute = gate},
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

#define EXPORTED __attribute__((visibility("default")))

/* Let the operators that this thread computes from now on share their work if `shares` is 1, else not. At first they share it. */
EXPORTED void share_work(int shares) { shares_work = shares; }

/* ONNX Runtime calls this for each session that registers the library. */
EXPORTED Status *RegisterCustomOps(Options *options, const ApiBase *base) {
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
