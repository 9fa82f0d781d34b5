/* The built-in functions of vectors.h and linear.h that the system's clang may be too old to have (Debian 12's is 14). */

#ifndef OLDER_CLANG_H
#define OLDER_CLANG_H

typedef float sixteen_floats __attribute__((ext_vector_type(16)));
typedef float eight_floats __attribute__((vector_size(32)));
typedef int sixteen_ints __attribute__((ext_vector_type(16)));

#define BUILTIN static inline __attribute__((always_inline, unused))

#if defined(__FMA__) /* by halves, since the compiler takes long for floats one by one */
#define LOW(a) ((eight_floats)__builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7))
#define HIGH(a) ((eight_floats)__builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15))
#define BOTH(a, b) ((sixteen_floats)__builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#endif

#if !__has_builtin(__builtin_elementwise_fma)
BUILTIN sixteen_floats elementwise_fma(sixteen_floats a, sixteen_floats b, sixteen_floats c) {
#if defined(__FMA__)
    return BOTH(__builtin_ia32_vfmaddps256(LOW(a), LOW(b), LOW(c)), __builtin_ia32_vfmaddps256(HIGH(a), HIGH(b), HIGH(c)));
#else
    for (int i = 0; i < 16; i++) a[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return a;
#endif
}
#define __builtin_elementwise_fma elementwise_fma
#endif

#if !__has_builtin(__builtin_elementwise_rint)
BUILTIN sixteen_floats elementwise_rint(sixteen_floats a) {
#if defined(__FMA__)
    return BOTH(__builtin_ia32_roundps256(LOW(a), 4), __builtin_ia32_roundps256(HIGH(a), 4));
#else
    for (int i = 0; i < 16; i++) a[i] = __builtin_rintf(a[i]);
    return a;
#endif
}
#define __builtin_elementwise_rint elementwise_rint
#endif

#if !__has_builtin(__builtin_reduce_add)
BUILTIN int reduce_add(sixteen_ints a) {
    int sum = 0;
    for (int i = 0; i < 16; i++) sum += a[i];
    return sum;
}
#define __builtin_reduce_add reduce_add
#endif

#undef BUILTIN

#endif
