/* The property tests of the operators without Python and ONNX Runtime: driver SEED EXAMPLES KERNELS...

   Each set of kernels computes operators of random sizes, on one thread and on three, and several sessions do so at the same time.
   Results are compared with definitions in plain C, with the bits of one thread, and with the bits of the first set. */

#include "examples.h"

Status *RegisterCustomOps(Options *options, const ApiBase *base);

#define SESSIONS 3 /* at the same time */
#define SHARED_THREADS 3

/* --- Sessions ----------------------------------------------------------------------------------------------- */

/* Open a session. Returns 1 if the processor can run the kernels, else 0. */
static int open_session(Options *session, const char *kernels, size_t threads) {
    *session = (Options){0};
    snprintf(session->kernels, sizeof session->kernels, "%s", kernels);
    snprintf(session->threads, sizeof session->threads, "%zu", threads);
    Status *refusal = RegisterCustomOps(session, &BASE);
    free(refusal);
    return !refusal;
}

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

/* --- Tasks --------------------------------------------------------------------------------------------------- */

static const struct {
    struct node (*make)(uint64_t *state, int is_large);
    void (*check)(const struct node *node, const Value *result);
} OPERATORS[] = {
    {make_linear, check_linear},     {make_product, check_product},   {make_attention, check_attention},
    {make_rotate, check_rotate},     {make_add_norm, check_add_norm}, {make_norm, check_norm},
    {make_gate, check_gate},         {make_mean, check_mean},
};
#define OPERATOR_COUNT (sizeof OPERATORS / sizeof *OPERATORS)

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
        const size_t kind = example % OPERATOR_COUNT, is_large = example % (4 * OPERATOR_COUNT) < OPERATOR_COUNT;
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
            CHECK(!is_large || shared || OPERATORS[kind].make == make_mean, "%s of this size is shared", node.operator);
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
