/* The instructions that the AVX-512 version of the kernels names, in plain C, so that its code is
 * tested where the processor has none. Stands for immintrin.h. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    int32_t lane[16];
} __attribute__((aligned(64))) emu_512;
#define __m512i emu_512
#define EMU static inline __attribute__((unused))
#define EMU_EACH(result, value)                                                                   \
    emu_512 result;                                                                               \
    for (int i = 0; i < 16; i++)                                                                  \
        result.lane[i] = (int32_t)(value);                                                        \
    return result

EMU emu_512 emu_set1(int x) { EMU_EACH(r, x); }
EMU emu_512 emu_add(emu_512 a, emu_512 b) { EMU_EACH(r, (uint32_t)a.lane[i] + (uint32_t)b.lane[i]); }
EMU emu_512 emu_sub(emu_512 a, emu_512 b) { EMU_EACH(r, (uint32_t)a.lane[i] - (uint32_t)b.lane[i]); }
EMU emu_512 emu_mul(emu_512 a, emu_512 b) { EMU_EACH(r, (uint32_t)a.lane[i] * (uint32_t)b.lane[i]); }
EMU emu_512 emu_xor(emu_512 a, emu_512 b) { EMU_EACH(r, a.lane[i] ^ b.lane[i]); }
EMU emu_512 emu_sll(emu_512 a, __m128i by)
{
    uint64_t n = (uint64_t)_mm_cvtsi128_si64(by);
    EMU_EACH(r, n > 31 ? 0 : (uint32_t)a.lane[i] << n);
}
EMU emu_512 emu_setr(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j, int k,
                     int l, int m, int n, int o, int p)
{
    emu_512 r = {{a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p}};
    return r;
}
EMU emu_512 emu_load(const void *from)
{
    emu_512 r;
    memcpy(&r, from, 64);
    return r;
}
EMU void emu_store(void *to, emu_512 a) { memcpy(to, &a, 64); }
EMU emu_512 emu_maskz_load(__mmask16 on, const void *from)
{
    const int32_t *x = from;
    EMU_EACH(r, on >> i & 1 ? x[i] : 0);
}
EMU void emu_mask_store(void *to, __mmask16 on, emu_512 a)
{
    for (int i = 0; i < 16; i++)
        if (on >> i & 1)
            memcpy((int32_t *)to + i, a.lane + i, 4);
}
EMU emu_512 emu_mask_add(emu_512 s, __mmask16 on, emu_512 a, emu_512 b)
{
    EMU_EACH(r, on >> i & 1 ? (int32_t)((uint32_t)a.lane[i] + (uint32_t)b.lane[i]) : s.lane[i]);
}
EMU emu_512 emu_mask_sub(emu_512 s, __mmask16 on, emu_512 a, emu_512 b)
{
    EMU_EACH(r, on >> i & 1 ? (int32_t)((uint32_t)a.lane[i] - (uint32_t)b.lane[i]) : s.lane[i]);
}
EMU emu_512 emu_compress(__mmask16 on, emu_512 a)
{
    emu_512 r = {{0}};
    for (int i = 0, n = 0; i < 16; i++)
        if (on >> i & 1)
            r.lane[n++] = a.lane[i];
    return r;
}
EMU emu_512 emu_maskz_bytes(uint64_t on, emu_512 a)
{
    uint8_t x[64];
    memcpy(x, &a, 64);
    for (int i = 0; i < 64; i++)
        x[i] = on >> i & 1 ? x[i] : 0;
    return emu_load(x);
}
EMU __mmask16 emu_cmpge(emu_512 a, emu_512 b)
{
    unsigned on = 0;
    for (int i = 0; i < 16; i++)
        on |= (unsigned)(a.lane[i] >= b.lane[i]) << i;
    return (__mmask16)on;
}
EMU __mmask16 emu_test(emu_512 a, emu_512 b)
{
    unsigned on = 0;
    for (int i = 0; i < 16; i++)
        on |= (unsigned)((a.lane[i] & b.lane[i]) != 0) << i;
    return (__mmask16)on;
}
EMU emu_512 emu_cvt16(__m256i a)
{
    int16_t x[16];
    memcpy(x, &a, 32);
    EMU_EACH(r, x[i]);
}
EMU __m256i emu_half(emu_512 a, int which)
{
    __m256i r;
    memcpy(&r, a.lane + 8 * which, 32);
    return r;
}
EMU emu_512 emu_madd(emu_512 a, emu_512 b)
{
    int16_t x[32], y[32];
    memcpy(x, &a, 64);
    memcpy(y, &b, 64);
    EMU_EACH(r, (uint32_t)(x[2 * i] * y[2 * i]) + (uint32_t)(x[2 * i + 1] * y[2 * i + 1]));
}
EMU emu_512 emu_unpack(emu_512 a, emu_512 b, int high)
{
    int16_t x[32], y[32], z[32];
    memcpy(x, &a, 64);
    memcpy(y, &b, 64);
    for (int q = 0; q < 4; q++)
        for (int i = 0; i < 4; i++) {
            z[8 * q + 2 * i] = x[8 * q + 4 * high + i];
            z[8 * q + 2 * i + 1] = y[8 * q + 4 * high + i];
        }
    return emu_load(z);
}

#undef _mm512_set1_epi8
#undef _mm512_maskz_mov_epi8
#undef _mm512_set1_epi32
#undef _mm512_add_epi32
#undef _mm512_sub_epi32
#undef _mm512_mullo_epi32
#undef _mm512_xor_si512
#undef _mm512_sll_epi32
#undef _mm512_setr_epi32
#undef _mm512_setzero_si512
#undef _mm512_load_si512
#undef _mm512_loadu_si512
#undef _mm512_storeu_si512
#undef _mm512_maskz_loadu_epi32
#undef _mm512_mask_storeu_epi32
#undef _mm512_mask_add_epi32
#undef _mm512_mask_sub_epi32
#undef _mm512_maskz_compress_epi32
#undef _mm512_cmpge_epi32_mask
#undef _mm512_test_epi32_mask
#undef _mm512_cvtepi16_epi32
#undef _mm512_castsi512_si256
#undef _mm512_extracti64x4_epi64
#undef _mm512_madd_epi16
#undef _mm512_unpacklo_epi16
#undef _mm512_unpackhi_epi16
#define _mm512_set1_epi8(x) emu_set1(0x01010101 * (x))
#define _mm512_maskz_mov_epi8 emu_maskz_bytes
#define _mm512_set1_epi32 emu_set1
#define _mm512_add_epi32 emu_add
#define _mm512_sub_epi32 emu_sub
#define _mm512_mullo_epi32 emu_mul
#define _mm512_xor_si512 emu_xor
#define _mm512_sll_epi32 emu_sll
#define _mm512_setr_epi32 emu_setr
#define _mm512_setzero_si512() emu_set1(0)
#define _mm512_load_si512 emu_load
#define _mm512_loadu_si512 emu_load
#define _mm512_storeu_si512 emu_store
#define _mm512_maskz_loadu_epi32 emu_maskz_load
#define _mm512_mask_storeu_epi32 emu_mask_store
#define _mm512_mask_add_epi32 emu_mask_add
#define _mm512_mask_sub_epi32 emu_mask_sub
#define _mm512_maskz_compress_epi32 emu_compress
#define _mm512_cmpge_epi32_mask emu_cmpge
#define _mm512_test_epi32_mask emu_test
#define _mm512_cvtepi16_epi32 emu_cvt16
#define _mm512_castsi512_si256(a) emu_half(a, 0)
#define _mm512_extracti64x4_epi64(a, which) emu_half(a, which)
#define _mm512_madd_epi16 emu_madd
#define _mm512_unpacklo_epi16(a, b) emu_unpack(a, b, 0)
#define _mm512_unpackhi_epi16(a, b) emu_unpack(a, b, 1)
