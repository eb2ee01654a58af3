/* Tiles for x86-64 with AMX (int8), beside the version with AVX-512. Linux only: there a process
 * asks for the room that tiles take in a context. Tests name a file that has the instructions in
 * C. */
#include "tiles.h"

#if defined(ND_TILES_IN_C)
#include ND_TILES_IN_C
#define ND_HAS_TILES 1
#elif defined(__x86_64__) && defined(__linux__) && \
    (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define ND_HAS_TILES 1
#endif

#if defined(ND_HAS_TILES)
#if defined(ND_TILES_IN_C)
#elif defined(__clang__)
#pragma clang attribute push(__attribute__((target("amx-tile,amx-int8"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("amx-tile,amx-int8")
#endif

#define ND_ALWAYS static inline __attribute__((always_inline))

int nd_tiles_supported(void)
{
#if defined(ND_TILES_IN_C)
    return 1;
#else
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* of arch_prctl */
    const unsigned needed = 1u << 24 | 1u << 25;          /* AMX-TILE, AMX-INT8 */
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & needed) == needed &&
           syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#endif
}

void nd_tiles_begin(void)
{
    /* All eight tiles alike. Static: compilers do not know how much of it the instruction reads. */
    static const struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {
        .palette = 1,
        .bytes = {64, 64, 64, 64, 64, 64, 64, 64},
        .rows = {16, 16, 16, 16, 16, 16, 16, 16},
    };
    _tile_loadconfig(&config);
}

void nd_tiles_end(void)
{
    _tile_release();
}

#define ND_PRODUCT(sum, a, b)                                                                      \
    do {                                                                                           \
        if (is_signed)                                                                             \
            _tile_dpbssd(sum, a, b);                                                               \
        else                                                                                       \
            _tile_dpbusd(sum, a, b);                                                               \
    } while (0)

/* One block after the other in tiles 0 to 3, or of two units: first block and unit, first block and
 * second unit, and so on. 4 and 5 are blocks, 6 and 7 units. What is multiplied beyond a run meets
 * weights of 0, and rows beyond a block nobody reads. */
ND_ALWAYS void tile_sums(const nd_link *l, const nd_tile_rows *rows, int64_t unit, int32_t *sums,
                         const int blocks, const int units, const int is_signed)
{
    const int64_t run = l->chunks * ND_TILE_BYTES, each = l->kernel_rows * l->runs * run;
    const int8_t *b = l->tiles + unit * each;
    const long apart = rows->apart;
    _tile_zero(0);
    if (blocks * units > 1)
        _tile_zero(1);
    if (blocks * units > 2) {
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t k = 0; k < l->kernel_rows; k++) {
        if (rows->senders[k] < 0) {
            b += l->runs * run;
            continue;
        }
        const uint8_t *x = rows->written + rows->senders[k] * rows->steps * l->row_entries;
        for (int64_t r = 0; r < l->runs; r++, x += l->run_step)
            for (int64_t j = 0; j < l->chunks; j++, b += ND_TILE_BYTES) {
                const uint8_t *a = x + j * ND_TILE_DEPTH;
                _tile_loadd(4, a + rows->at[0], apart);
                _tile_loadd(6, b, 64);
                ND_PRODUCT(0, 4, 6);
                if (units == 2) {
                    _tile_loadd(7, b + each, 64);
                    ND_PRODUCT(1, 4, 7);
                    if (blocks == 2) {
                        _tile_loadd(5, a + rows->at[1], apart);
                        ND_PRODUCT(2, 5, 6);
                        ND_PRODUCT(3, 5, 7);
                    }
                } else if (blocks == 4) {
                    _tile_loadd(5, a + rows->at[1], apart);
                    ND_PRODUCT(1, 5, 6);
                    _tile_loadd(4, a + rows->at[2], apart);
                    ND_PRODUCT(2, 4, 6);
                    _tile_loadd(5, a + rows->at[3], apart);
                    ND_PRODUCT(3, 5, 6);
                }
            }
    }
    const int n = ND_TILE * ND_TILE;
    _tile_stored(0, sums, 64);
    if (blocks * units > 1)
        _tile_stored(1, sums + n, 64);
    if (blocks * units > 2) {
        _tile_stored(2, sums + 2 * n, 64);
        _tile_stored(3, sums + 3 * n, 64);
    }
}

void nd_tile_sums(const nd_link *l, const nd_tile_rows *rows, int64_t unit, int64_t units,
                  int32_t *sums)
{
#define ND_SUMS(blocks, units)                                                                     \
    (rows->is_signed ? tile_sums(l, rows, unit, sums, blocks, units, 1)                               \
                     : tile_sums(l, rows, unit, sums, blocks, units, 0))
    if (units == 2 && rows->blocks == 2)
        ND_SUMS(2, 2);
    else if (units == 2)
        ND_SUMS(1, 2);
    else if (rows->blocks == 4)
        ND_SUMS(4, 1);
    else
        ND_SUMS(1, 1);
}

#if defined(ND_TILES_IN_C)
#elif defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#else
int nd_tiles_supported(void)
{
    return 0;
}

void nd_tiles_begin(void)
{
}

void nd_tiles_end(void)
{
}

void nd_tile_sums(const nd_link *l, const nd_tile_rows *rows, int64_t unit, int64_t units,
                  int32_t *sums)
{
    (void)l, (void)rows, (void)unit, (void)units, (void)sums;
}
#endif
