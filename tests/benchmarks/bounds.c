/* The most that this processor can do: multiply-adds by mixes of instructions, all in registers; reading; its clock.

   Each function repeats a step. bounds.py knows how many multiply-adds a step has, and which processors have the instructions. */

#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))
#define UNROLLED _Pragma("clang loop unroll(full)")
#define EACH(i, count) UNROLLED for (size_t i = 0; i < (count); i++)

/* A dependent addition takes one cycle on every processor: 64 of them a step. */
EXPORT void chain(uint64_t steps) {
    uint64_t sum = 1, one = 1;
    for (uint64_t step = 0; step < steps; step++)
        EACH(i, 64)
#if defined(__x86_64__)
            __asm__ volatile("addq %1, %0" : "+r"(sum) : "r"(one));
#else
            __asm__ volatile("add %0, %0, %1" : "+r"(sum) : "r"(one));
#endif
}

/* The compiler knows nothing of a value after this, and cannot move what is made of it out of the loop. */
#if defined(__x86_64__)
#define KEEP(value) __asm__ volatile("" : "+v"(value))
#else
#define KEEP(value) __asm__ volatile("" : "+w"(value))
#endif

/* A tile as the kernels have it: `ROWS` activations times `VECTORS` registers of weights, each product added to a sum of its own.
   `SHARED` is done once for each register of weights, `PRODUCT` for each sum. */
#define MIX(name, instructions, vector, sum_vector, value, zero, ROWS, VECTORS, SHARED, PRODUCT)              \
    EXPORT __attribute__((target(instructions))) void name(uint64_t steps) {                                   \
        vector weights[VECTORS], rows[ROWS];                                                                   \
        sum_vector sums[ROWS][VECTORS];                                                                        \
        EACH(v, VECTORS) { weights[v] = value; KEEP(weights[v]); }                                             \
        EACH(r, ROWS) { rows[r] = value; KEEP(rows[r]); }                                                      \
        EACH(r, ROWS) EACH(v, VECTORS) sums[r][v] = zero;                                                      \
        for (uint64_t step = 0; step < steps; step++) {                                                        \
            EACH(v, VECTORS) {                                                                                 \
                KEEP(weights[v]);                                                                              \
                SHARED;                                                                                        \
                EACH(r, ROWS) PRODUCT;                                                                         \
            }                                                                                                  \
        }                                                                                                      \
        EACH(r, ROWS) EACH(v, VECTORS) KEEP(sums[r][v]);                                                       \
    }

/* Reads `size` bytes, a multiple of 8 registers, so many times. */
#define READ(name, instructions, vector, zero)                                                                 \
    EXPORT __attribute__((target(instructions))) void name(const void *start, size_t size, uint64_t times) {   \
        vector sums[8];                                                                                        \
        EACH(i, 8) sums[i] = zero;                                                                             \
        for (uint64_t time = 0; time < times; time++) {                                                        \
            const vector *from = start, *end = from + size / sizeof(vector);                                   \
            for (; from < end; from += 8) EACH(i, 8) sums[i] ^= from[i];                                       \
            __asm__ volatile("" ::: "memory");                                                                 \
        }                                                                                                      \
        EACH(i, 8) KEEP(sums[i]);                                                                              \
    }

#if defined(__x86_64__)

#include <immintrin.h>

#define BYTES _mm256_set1_epi8(1)
#define PAIRS(product) _mm256_madd_epi16(product, _mm256_set1_epi16(1))

/* Four products are added in 16 bits first. KEEP makes the compiler compute the same product again. */
#define FOUR(weight, row)                                                                                      \
    __m256i shorts = _mm256_maddubs_epi16(weight, row);                                                        \
    EACH(i, 3) { KEEP(row); shorts = _mm256_add_epi16(shorts, _mm256_maddubs_epi16(weight, row)); }
MIX(maddubs_by_four, "avx2", __m256i, __m256i, BYTES, _mm256_setzero_si256(), 2, 2, (void)0,
    { FOUR(weights[v], rows[r]) sums[r][v] = _mm256_add_epi32(sums[r][v], PAIRS(shorts)); })
MIX(maddubs, "avx2", __m256i, __m256i, BYTES, _mm256_setzero_si256(), 4, 2, (void)0,
    sums[r][v] = _mm256_add_epi32(sums[r][v], PAIRS(_mm256_maddubs_epi16(weights[v], rows[r]))))
MIX(maddubs_signed, "avx2", __m256i, __m256i, BYTES, _mm256_setzero_si256(), 4, 2, __m256i size = _mm256_abs_epi8(weights[v]),
    sums[r][v] = _mm256_add_epi32(sums[r][v], PAIRS(_mm256_maddubs_epi16(size, _mm256_sign_epi8(rows[r], weights[v])))))
MIX(madd_16, "avx2", __m256i, __m256i, BYTES, _mm256_setzero_si256(), 4, 2, (void)0,
    sums[r][v] = _mm256_add_epi32(sums[r][v], _mm256_madd_epi16(weights[v], rows[r])))
MIX(dpbusd_256, "avx2,avxvnni", __m256i, __m256i, BYTES, _mm256_setzero_si256(), 3, 3, (void)0,
    sums[r][v] = _mm256_dpbusd_avx_epi32(sums[r][v], weights[v], rows[r]))
MIX(dpbusd_512, "avx512f,avx512vnni", __m512i, __m512i, _mm512_set1_epi8(1), _mm512_setzero_si512(), 4, 4, (void)0,
    sums[r][v] = _mm512_dpbusd_epi32(sums[r][v], weights[v], rows[r]))
MIX(fma_256, "avx2,fma", __m256, __m256, _mm256_set1_ps(1), _mm256_setzero_ps(), 4, 2, (void)0,
    sums[r][v] = _mm256_fmadd_ps(weights[v], rows[r], sums[r][v]))
MIX(fma_512, "avx512f", __m512, __m512, _mm512_set1_ps(1), _mm512_setzero_ps(), 4, 4, (void)0,
    sums[r][v] = _mm512_fmadd_ps(weights[v], rows[r], sums[r][v]))
READ(read_256, "avx2", __m256i, _mm256_setzero_si256())
READ(read_512, "avx512f", __m512i, _mm512_setzero_si512())

#elif defined(__aarch64__)

#include <arm_neon.h>

MIX(sdot, "dotprod", int8x16_t, int32x4_t, vdupq_n_s8(1), vdupq_n_s32(0), 4, 4, (void)0,
    sums[r][v] = vdotq_laneq_s32(sums[r][v], weights[v], rows[r], 0))
MIX(smmla, "i8mm", int8x16_t, int32x4_t, vdupq_n_s8(1), vdupq_n_s32(0), 4, 4, (void)0,
    sums[r][v] = vmmlaq_s32(sums[r][v], rows[r], weights[v]))
MIX(fma_128, "neon", float32x4_t, float32x4_t, vdupq_n_f32(1), vdupq_n_f32(0), 4, 4, (void)0,
    sums[r][v] = vfmaq_f32(sums[r][v], weights[v], rows[r]))
READ(read_128, "neon", uint8x16_t, vdupq_n_u8(0))

#endif
