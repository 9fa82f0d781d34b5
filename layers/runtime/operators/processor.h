/* The sets of kernels that the library contains, the fastest first, and the tests that find those that this processor can run. */

#ifndef PROCESSOR_H
#define PROCESSOR_H

#include <stddef.h>
#include <string.h>

#include "kernels.h"

#if defined(EMULATED)

/* The project's tests compile these sets with plain C instead of their instructions, so that every processor can run them. */
static inline int has_avx512_vnni(void) { return 1; }

static inline int has_i8mm(void) { return 1; }

static inline int has_dotprod(void) { return 1; }

#elif defined(__x86_64__)

#include <cpuid.h>

enum { FMA = 1 << 12, OSXSAVE = 1 << 27, AVX2 = 1 << 5, AVX512 = 1 << 16 | 1 << 17 | 1 << 30 | 1u << 31, VNNI = 1 << 11 };
enum { AVX_STATE = 0x6, AVX512_STATE = 0xe6 }; /* the registers that the operating system saves */

struct features {
    unsigned leaf1_c, leaf7_b, leaf7_c, states;
};

static struct features read_features(void) {
    struct features found = {0};
    unsigned a, b, d, states = 0;
    if (!__get_cpuid(1, &a, &b, &found.leaf1_c, &d) || !(found.leaf1_c & OSXSAVE)) return found;
    if (!__get_cpuid_count(7, 0, &a, &found.leaf7_b, &found.leaf7_c, &d)) return found;
    __asm__("xgetbv" : "=a"(states), "=d"(d) : "c"(0));
    found.states = states;
    return found;
}

static inline int has_avx2(void) {
    const struct features found = read_features();
    return (found.states & AVX_STATE) == AVX_STATE && (found.leaf1_c & FMA) && (found.leaf7_b & AVX2);
}

static inline int has_avx512_vnni(void) {
    const struct features found = read_features();
    return (found.states & AVX512_STATE) == AVX512_STATE && (found.leaf7_b & AVX512) == AVX512 && (found.leaf7_c & VNNI);
}

#elif defined(__APPLE__)

#include <sys/sysctl.h>

static int has(const char *feature) {
    int found = 0;
    size_t size = sizeof found;
    return !sysctlbyname(feature, &found, &size, NULL, 0) && found;
}

static inline int has_i8mm(void) { return has("hw.optional.arm.FEAT_I8MM"); }

static inline int has_dotprod(void) { return has("hw.optional.arm.FEAT_DotProd"); }

#else

#include <sys/auxv.h>

#define ASIMDDP (1ul << 20) /* in AT_HWCAP: Linux, arch/arm64/include/uapi/asm/hwcap.h */
#define I8MM (1ul << 13)    /* in AT_HWCAP2 */

static inline int has_dotprod(void) { return (getauxval(AT_HWCAP) & ASIMDDP) != 0; }

static inline int has_i8mm(void) { return has_dotprod() && (getauxval(AT_HWCAP2) & I8MM); }

#endif

struct set {
    const char *name;
    const struct kernels *kernels;
    int (*is_available)(void);
};

static const struct set SETS[] = {
#if defined(HAS_AVX512_VNNI)
    {"avx512_vnni", &avx512_vnni, has_avx512_vnni},
#endif
#if defined(HAS_AVX2)
    {"avx2", &avx2, has_avx2},
#endif
#if defined(HAS_I8MM)
    {"i8mm", &i8mm, has_i8mm},
#endif
#if defined(HAS_DOTPROD)
    {"dotprod", &dotprod, has_dotprod},
#endif
};
#define SET_COUNT (sizeof SETS / sizeof *SETS)

/* Find the set with this name that this processor can run, or the fastest if the name is empty. Returns its index, or SET_COUNT. */
static size_t find_set(const char *name) {
    for (size_t set = 0; set < SET_COUNT; set++)
        if ((!*name || !strcmp(name, SETS[set].name)) && SETS[set].is_available()) return set;
    return SET_COUNT;
}

#endif
