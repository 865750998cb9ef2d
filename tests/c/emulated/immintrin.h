/* In place of the compiler's <immintrin.h>: SIMDe's portable AVX-512, so that the kernels written in it run on any
   CPU.

   What SIMDe has not (in its versions up to 0.7.4), or has with another rounding, stands here lane by lane. */
#ifndef FSM_TEST_EMULATED_IMMINTRIN_H
#define FSM_TEST_EMULATED_IMMINTRIN_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#define EMULATED static inline __attribute__((always_inline))

/* SIMDe rounds the product too, where the CPU it is compiled for has no FMA. */
#define EMULATED_FMA(suffix, vector, lane, lanes, fused)                                                             \
    EMULATED vector emulated_fmadd_##suffix(vector a, vector b, vector c) {                                          \
        lane x[lanes], y[lanes], z[lanes];                                                                           \
        memcpy(x, &a, sizeof x), memcpy(y, &b, sizeof y), memcpy(z, &c, sizeof z);                                   \
        for (int i = 0; i < lanes; i++) z[i] = fused(x[i], y[i], z[i]);                                              \
        memcpy(&c, z, sizeof z);                                                                                     \
        return c;                                                                                                    \
    }                                                                                                                \
    EMULATED vector emulated_fnmadd_##suffix(vector a, vector b, vector c) {                                         \
        lane x[lanes], y[lanes], z[lanes];                                                                           \
        memcpy(x, &a, sizeof x), memcpy(y, &b, sizeof y), memcpy(z, &c, sizeof z);                                   \
        for (int i = 0; i < lanes; i++) z[i] = fused(-x[i], y[i], z[i]);                                             \
        memcpy(&c, z, sizeof z);                                                                                     \
        return c;                                                                                                    \
    }
EMULATED_FMA(ps, simde__m512, float, 16, fmaf)
EMULATED_FMA(pd, simde__m512d, double, 8, fma)

/* Nothing is touched in memory but the lanes of the mask. */
#define EMULATED_MASKED_MEMORY(suffix, vector, lane, lanes, mask)                                                    \
    EMULATED vector emulated_mask_loadu_##suffix(vector fill, mask k, const void *p) {                               \
        lane x[lanes];                                                                                               \
        memcpy(x, &fill, sizeof x);                                                                                  \
        for (int i = 0; i < lanes; i++)                                                                              \
            if (k >> i & 1) memcpy(&x[i], (const char *)p + i * sizeof(lane), sizeof(lane));                         \
        memcpy(&fill, x, sizeof x);                                                                                  \
        return fill;                                                                                                 \
    }                                                                                                                \
    EMULATED void emulated_mask_storeu_##suffix(void *p, mask k, vector a) {                                         \
        lane x[lanes];                                                                                               \
        memcpy(x, &a, sizeof x);                                                                                     \
        for (int i = 0; i < lanes; i++)                                                                              \
            if (k >> i & 1) memcpy((char *)p + i * sizeof(lane), &x[i], sizeof(lane));                               \
    }
EMULATED_MASKED_MEMORY(ps, simde__m512, float, 16, simde__mmask16)
EMULATED_MASKED_MEMORY(pd, simde__m512d, double, 8, simde__mmask8)

EMULATED simde__m512d emulated_cvtps_pd(simde__m256 a) {
    float x[8];
    double wide[8];
    simde__m512d result;
    memcpy(x, &a, sizeof x);
    for (int i = 0; i < 8; i++) wide[i] = x[i];
    memcpy(&result, wide, sizeof wide);
    return result;
}
/* float16, in sixteen lanes of 16 bits. */
EMULATED simde__m512 emulated_cvtph_ps(simde__m256i a) {
    _Float16 x[16];
    float wide[16];
    simde__m512 result;
    memcpy(x, &a, sizeof x);
    for (int i = 0; i < 16; i++) wide[i] = (float)x[i];
    memcpy(&result, wide, sizeof wide);
    return result;
}
EMULATED simde__m256i emulated_cvtps_ph(simde__m512 a) {
    _Float16 x[16];
    float wide[16];
    simde__m256i result;
    memcpy(wide, &a, sizeof wide);
    for (int i = 0; i < 16; i++) x[i] = (_Float16)wide[i];
    memcpy(&result, x, sizeof x);
    return result;
}
#define _mm512_cvtph_ps(a) emulated_cvtph_ps(a)
#define _mm512_cvtps_ph(a, rounding) emulated_cvtps_ph(a)

#define _mm512_stream_ps(p, a) memcpy(p, &(a), sizeof(a))
#define _mm512_stream_pd(p, a) memcpy(p, &(a), sizeof(a))

EMULATED simde__m128d emulated_extractf64x2_pd(simde__m512d a, int pair) {
    simde__m128d result;
    memcpy(&result, (const char *)&a + pair * sizeof result, sizeof result);
    return result;
}
#undef _mm512_extractf64x2_pd
#define _mm512_extractf64x2_pd emulated_extractf64x2_pd
EMULATED simde__m256 emulated_extractf32x8_ps(simde__m512 a, int half) {
    simde__m256 result;
    memcpy(&result, (const char *)&a + half * sizeof result, sizeof result);
    return result;
}

/* Groups of 128 bits, the lower two from a and the others from b. */
#define EMULATED_GROUPS(name, vector)                                                                                \
    EMULATED vector emulated_##name(vector a, vector b, int which) {                                                 \
        vector result;                                                                                               \
        for (int i = 0; i < 4; i++)                                                                                  \
            memcpy((char *)&result + 16 * i, (const char *)(i < 2 ? &a : &b) + 16 * (which >> 2 * i & 3), 16);       \
        return result;                                                                                               \
    }
EMULATED_GROUPS(shuffle_f32x4, simde__m512)
EMULATED_GROUPS(shuffle_f64x2, simde__m512d)

/* Lanes within their groups of 128 bits. */
EMULATED simde__m512 emulated_permute_ps(simde__m512 a, int which) {
    float x[16], y[16];
    memcpy(x, &a, sizeof x);
    for (int i = 0; i < 16; i++) y[i] = x[i / 4 * 4 + (which >> 2 * (i % 4) & 3)];
    memcpy(&a, y, sizeof y);
    return a;
}
EMULATED simde__m512d emulated_permute_pd(simde__m512d a, int which) {
    double x[8], y[8];
    memcpy(x, &a, sizeof x);
    for (int i = 0; i < 8; i++) y[i] = x[i / 2 * 2 + (which >> i & 1)];
    memcpy(&a, y, sizeof y);
    return a;
}
EMULATED float emulated_first_ps(simde__m512 a) {
    float first;
    memcpy(&first, &a, sizeof first);
    return first;
}
EMULATED double emulated_first_pd(simde__m512d a) {
    double first;
    memcpy(&first, &a, sizeof first);
    return first;
}
#undef _mm512_shuffle_f32x4
#undef _mm512_shuffle_f64x2
#undef _mm512_permute_ps
#undef _mm512_permute_pd
#undef _mm512_cvtss_f32
#undef _mm512_cvtsd_f64
#define _mm512_shuffle_f32x4 emulated_shuffle_f32x4
#define _mm512_shuffle_f64x2 emulated_shuffle_f64x2
#define _mm512_permute_ps emulated_permute_ps
#define _mm512_permute_pd emulated_permute_pd
#define _mm512_cvtss_f32 emulated_first_ps
#define _mm512_cvtsd_f64 emulated_first_pd

#define __mmask8 simde__mmask8
#define __mmask16 simde__mmask16
#undef _mm512_fmadd_ps
#undef _mm512_fmadd_pd
#undef _mm512_fnmadd_ps
#undef _mm512_fnmadd_pd
#undef _mm512_mask_loadu_ps
#undef _mm512_mask_loadu_pd
#undef _mm512_mask_storeu_ps
#undef _mm512_mask_storeu_pd
#undef _mm512_cvtps_pd
#undef _mm512_extractf32x8_ps
#define _mm512_fmadd_ps emulated_fmadd_ps
#define _mm512_fmadd_pd emulated_fmadd_pd
#define _mm512_fnmadd_ps emulated_fnmadd_ps
#define _mm512_fnmadd_pd emulated_fnmadd_pd
#define _mm512_mask_loadu_ps emulated_mask_loadu_ps
#define _mm512_mask_loadu_pd emulated_mask_loadu_pd
#define _mm512_mask_storeu_ps emulated_mask_storeu_ps
#define _mm512_mask_storeu_pd emulated_mask_storeu_pd
#define _mm512_cvtps_pd emulated_cvtps_pd
#define _mm512_extractf32x8_ps emulated_extractf32x8_ps

#endif
