/* A node of a graph: its inputs, its result, and the division of its work between threads. */

#ifndef NODE_H
#define NODE_H

#include "attributes.h"
#include "kernels.h"
#include "ort.h"
#include "vectors.h"

#define MAX_DIMENSIONS 5

/* Work of fewer multiplications, or of operations that take as long, is not shared: handing a part of it to another thread, which
   waits for it awake, takes as long as it saves. */
#define SHARED_WORK 250000

#define TEXT_OF(value) #value
#define TEXT(macro) TEXT_OF(macro) /* the value of a macro as text */

/* Return from the calling function if the call failed. */
#define TRY(call)                     \
    do {                              \
        Status *status = (call);      \
        if (status) return status;    \
    } while (0)

/* Return from the calling function with an error unless the condition is true. */
#define EXPECT(api, truth, sentence) \
    if (!(truth)) return (api)->CreateStatus(INVALID_ARGUMENT, sentence)

struct tensor {
    float *data; /* null if the input is left out */
    size_t rank;
    int64_t sizes[MAX_DIMENSIONS];
};

/* A node of a graph: the values of its attributes, and the kernels and the number of threads that compute it. */
struct node {
    const Api *api;
    const struct kernels *kernels;
    size_t threads;
    struct value attributes[MAX_ATTRIBUTES]; /* in the order of the operator's table */
};

static size_t whole(const struct node *node, size_t attribute) { return (size_t)node->attributes[attribute].whole; }

static float real(const struct node *node, size_t attribute) { return node->attributes[attribute].real; }

static size_t elements(const struct tensor *tensor) {
    size_t product = 1;
    for (size_t i = 0; i < tensor->rank; i++) product *= (size_t)tensor->sizes[i];
    return product;
}

static size_t last(const struct tensor *tensor) { return tensor->rank ? (size_t)tensor->sizes[tensor->rank - 1] : 0; }

/* Return whether an optional input is left out. */
static int is_absent(const struct tensor *tensor) { return !tensor->data && !tensor->rank; }

static int has_elements(const struct tensor *tensor, size_t expected) { return tensor->rank > 0 && elements(tensor) == expected; }

static Status *read_shape(const Api *api, const Shape *shape, struct tensor *tensor) {
    TRY(api->GetDimensionsCount(shape, &tensor->rank));
    EXPECT(api, tensor->rank <= MAX_DIMENSIONS, "an input has more dimensions than any input of this operator");
    return api->GetDimensions(shape, tensor->sizes, tensor->rank);
}

static Status *read_input(const Api *api, const Context *context, size_t index, struct tensor *tensor) {
    const Value *value;
    TRY(api->KernelContext_GetInput(context, index, &value));
    *tensor = (struct tensor){0};
    if (!value) return NULL;
    TRY(api->GetTensorMutableData(value, (void **)&tensor->data));
    Shape *shape;
    TRY(api->GetTensorTypeAndShape(value, &shape));
    Status *status = read_shape(api, shape, tensor);
    api->ReleaseTensorTypeAndShapeInfo(shape);
    return status;
}

/* Create the result. Its shape is that of `like`, except for the last dimension, which is `width`. */
static Status *create_result(const Api *api, Context *context, const struct tensor *like, size_t width, float **data) {
    int64_t sizes[MAX_DIMENSIONS];
    for (size_t i = 0; i < like->rank; i++) sizes[i] = like->sizes[i];
    sizes[like->rank - 1] = (int64_t)width;
    Value *value;
    TRY(api->KernelContext_GetOutput(context, 0, sizes, like->rank, &value));
    return api->GetTensorMutableData(value, (void **)data);
}

/* --- Sharing an operator's work ------------------------------------------------------------------------- */

/* 1 if the operators that this thread computes may share their work. */
static _Thread_local int shares_work = 1;

/* Work on a number of items, divided into shares. Each share starts at a multiple of `step`. */
struct division {
    int (*compute)(const void *work, struct range range); /* returns 0 if there is no memory */
    const void *work;
    size_t items, shares, step;
    int out_of_memory;
};

static void compute_share(void *shared, size_t index) {
    struct division *division = shared;
    const size_t steps = (division->items + division->step - 1) / division->step;
    const struct range range = {least(steps * index / division->shares * division->step, division->items),
                                least(steps * (index + 1) / division->shares * division->step, division->items)};
    if (range.first < range.last && !division->compute(division->work, range))
        __atomic_store_n(&division->out_of_memory, 1, __ATOMIC_RELAXED);
}

/* Compute all items: on this thread, or on several threads if there are enough multiplications. */
static Status *compute_all(const struct node *node, const Context *context, int (*compute)(const void *, struct range),
                           const void *work, size_t items, size_t step, size_t multiplications) {
    struct division division = {.compute = compute, .work = work, .items = items, .step = step, .shares = 1};
    if (shares_work && node->threads > 1 && multiplications >= SHARED_WORK) {
        division.shares = node->threads;
        TRY(node->api->KernelContext_ParallelFor(context, compute_share, division.shares, division.shares, &division));
    } else {
        compute_share(&division, 0);
    }
    EXPECT(node->api, !division.out_of_memory, "an operator of the encoder could not allocate memory");
    return NULL;
}

#endif
