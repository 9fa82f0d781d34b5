/* The part of ONNX Runtime that the operators call (ort.h): a session's options, a node and its tensors, and threads. */

#ifndef ORT_STUB_H
#define ORT_STUB_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interface.h"
#include "ort.h"

#if defined(GUARDED)
#include <sys/mman.h>
#include <unistd.h>
#endif

#define MOST_DIMENSIONS 5
#define MOST_INPUTS 5
#define MOST_OPERATORS 8
#define MOST_ATTRIBUTES 5

struct Status {
    char sentence[256];
};

struct Options {
    char kernels[32], threads[8];
    Domain *domain;
};

struct Domain {
    const Operator *operators[MOST_OPERATORS];
    size_t operator_count;
};

struct Value {
    void *data;
    size_t bytes, rank;
    int64_t sizes[MOST_DIMENSIONS];
};

struct KernelInfo {
    size_t count;
    struct {
        const char *name;
        int is_real;
        int64_t whole;
        float real;
    } attributes[MOST_ATTRIBUTES];
};

struct Context {
    const Value *inputs[MOST_INPUTS]; /* null if the input is left out */
    Value result;
    size_t shared; /* the number of times that work was shared */
};

#define CHECK(truth, ...)                                                   \
    do {                                                                    \
        if (!(truth)) {                                                     \
            fprintf(stderr, "%s:%d: not so: %s; ", __FILE__, __LINE__, #truth); \
            fprintf(stderr, __VA_ARGS__);                                   \
            fputc('\n', stderr);                                            \
            exit(1);                                                        \
        }                                                                   \
    } while (0)

/* --- Memory ---------------------------------------------------------------------------------------------- */

/* Memory of exactly this size. Reads and writes after its end are found by the sanitizer, or by a page without permissions. */
#if defined(GUARDED)
static size_t pages(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

static void *allocate(size_t bytes) {
    const size_t whole = pages(bytes), page = pages(1);
    char *start = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(start != MAP_FAILED && !mprotect(start + whole, page, PROT_NONE), "no memory");
    return start + whole - bytes;
}

static void release(void *memory, size_t bytes) { munmap((char *)memory - (pages(bytes) - bytes), pages(bytes) + pages(1)); }
#else
static void *allocate(size_t bytes) {
    void *memory = malloc(bytes);
    CHECK(memory || !bytes, "no memory");
    return memory;
}

static void release(void *memory, size_t bytes) { (void)bytes, free(memory); }
#endif

/* --- The interface ---------------------------------------------------------------------------------------- */

static Status *create_status(int code, const char *sentence) {
    (void)code;
    Status *status = malloc(sizeof *status);
    CHECK(status, "no memory");
    snprintf(status->sentence, sizeof status->sentence, "%s", sentence);
    return status;
}

static Status *create_domain(const char *name, Domain **domain) {
    CHECK(!strcmp(name, DOMAIN), "%s", name);
    *domain = calloc(1, sizeof **domain);
    return *domain ? NULL : create_status(1, "no memory");
}

static void release_domain(Domain *domain) { free(domain); }

static Status *add_operator(Domain *domain, const Operator *operator) {
    CHECK(domain->operator_count < MOST_OPERATORS, "%zu operators", domain->operator_count);
    domain->operators[domain->operator_count++] = operator;
    return NULL;
}

static Status *add_domain(Options *options, Domain *domain) {
    options->domain = domain;
    return NULL;
}

static char *entry(const Options *options, const char *key, size_t *size) {
    const int is_kernels = !strcmp(key, KERNELS_ENTRY);
    CHECK(is_kernels || !strcmp(key, THREADS_ENTRY), "%s", key);
    *size = is_kernels ? sizeof options->kernels : sizeof options->threads;
    return (char *)(is_kernels ? options->kernels : options->threads);
}

static Status *has_entry(const Options *options, const char *key, int *found) {
    size_t size;
    *found = *entry(options, key, &size) != 0;
    return NULL;
}

static Status *get_entry(const Options *options, const char *key, char *value, size_t *size) {
    size_t most;
    const char *from = entry(options, key, &most);
    CHECK(!value || strlen(from) < *size, "%s", key);
    *size = strlen(from) + 1;
    if (value) memcpy(value, from, *size);
    return NULL;
}

static Status *add_entry(Options *options, const char *key, const char *value) {
    size_t most;
    snprintf(entry(options, key, &most), sizeof options->kernels, "%s", value);
    return NULL;
}

static Status *get_data(const Value *value, void **data) {
    *data = value->data;
    return NULL;
}

/* Shapes are counted, to find one that is not released. */
static size_t shapes;

static Status *get_shape(const Value *value, Shape **shape) {
    __atomic_fetch_add(&shapes, 1, __ATOMIC_RELAXED);
    *shape = (Shape *)value;
    return NULL;
}

static void release_shape(Shape *shape) { (void)shape, __atomic_fetch_sub(&shapes, 1, __ATOMIC_RELAXED); }

static Status *get_rank(const Shape *shape, size_t *rank) {
    *rank = ((const Value *)shape)->rank;
    return NULL;
}

static Status *get_sizes(const Shape *shape, int64_t *sizes, size_t count) {
    memcpy(sizes, ((const Value *)shape)->sizes, count * sizeof *sizes);
    return NULL;
}

static void release_status(Status *status) { free(status); }

/* Return the place of an attribute, or the number of attributes if the node does not have it. */
static size_t place_of(const KernelInfo *info, const char *name, int is_real) {
    size_t i = 0;
    while (i < info->count && (strcmp(info->attributes[i].name, name) || info->attributes[i].is_real != is_real)) i++;
    return i;
}

static Status *get_float(const KernelInfo *info, const char *name, float *value) {
    const size_t place = place_of(info, name, 1);
    if (place == info->count) return create_status(1, name);
    *value = info->attributes[place].real;
    return NULL;
}

static Status *get_integer(const KernelInfo *info, const char *name, int64_t *value) {
    const size_t place = place_of(info, name, 0);
    if (place == info->count) return create_status(1, name);
    *value = info->attributes[place].whole;
    return NULL;
}

static Status *get_input(const Context *context, size_t index, const Value **value) {
    *value = context->inputs[index];
    return NULL;
}

static Status *get_output(Context *context, size_t index, const int64_t *sizes, size_t rank, Value **value) {
    CHECK(!index, "%zu", index);
    context->result = (Value){.bytes = sizeof(float), .rank = rank};
    for (size_t i = 0; i < rank; i++) context->result.bytes *= (size_t)(context->result.sizes[i] = sizes[i]);
    context->result.data = allocate(context->result.bytes);
    *value = &context->result;
    return NULL;
}

struct call {
    void (*run)(void *work, size_t index);
    void *work;
    size_t index;
};

static void *run_call(void *call) {
    const struct call *c = call;
    c->run(c->work, c->index);
    return NULL;
}

static Status *parallel_for(const Context *context, void (*run)(void *, size_t), size_t total, size_t batches, void *work) {
    (void)batches;
    CHECK(total <= MAX_THREADS, "%zu shares", total);
    ((Context *)context)->shared++;
    pthread_t threads[MAX_THREADS];
    struct call calls[MAX_THREADS];
    for (size_t i = 0; i < total; i++) {
        calls[i] = (struct call){run, work, i};
        CHECK(!pthread_create(&threads[i], NULL, run_call, &calls[i]), "no thread");
    }
    for (size_t i = 0; i < total; i++) pthread_join(threads[i], NULL);
    return NULL;
}

static const Api API = {
    .CreateStatus = create_status,
    .ReleaseStatus = release_status,
    .CreateCustomOpDomain = create_domain,
    .CustomOpDomain_Add = add_operator,
    .AddCustomOpDomain = add_domain,
    .GetTensorMutableData = get_data,
    .GetDimensionsCount = get_rank,
    .GetDimensions = get_sizes,
    .GetTensorTypeAndShape = get_shape,
    .KernelInfoGetAttribute_float = get_float,
    .KernelInfoGetAttribute_int64 = get_integer,
    .KernelContext_GetInput = get_input,
    .KernelContext_GetOutput = get_output,
    .ReleaseTensorTypeAndShapeInfo = release_shape,
    .ReleaseCustomOpDomain = release_domain,
    .AddSessionConfigEntry = add_entry,
    .HasSessionConfigEntry = has_entry,
    .GetSessionConfigEntry = get_entry,
    .KernelContext_ParallelFor = parallel_for,
};

static const Api *get_api(uint32_t version) {
    CHECK(version == API_VERSION, "%u", version);
    return &API;
}

static const ApiBase BASE = {.GetApi = get_api};

#endif
