/* The instructions on tiles that the kernels name, in plain C, so that their code is tested where the
 * processor has none. All tiles have 16 rows of 64 bytes, as the kernels configure them. */
#include <stdint.h>
#include <string.h>

static __thread uint8_t emu_tile[8][16][64];

/* Nothing may be read of a tile that was not written since. */
static inline void emu_spoil(void) { memset(emu_tile, 0x5b, sizeof emu_tile); }
static inline void emu_tile_load(int tile, const void *from, long apart)
{
    for (int i = 0; i < 16; i++)
        memcpy(emu_tile[tile][i], (const uint8_t *)from + i * apart, 64);
}
static inline void emu_tile_store(int tile, void *to, long apart)
{
    for (int i = 0; i < 16; i++)
        memcpy((uint8_t *)to + i * apart, emu_tile[tile][i], 64);
}
/* Within tiles nothing can be out of bounds: sanitizers need not look, which would take minutes. */
#if defined(__clang__)
#define EMU_FAST __attribute__((no_sanitize("address", "undefined"), noinline))
#else
#define EMU_FAST __attribute__((no_sanitize("address", "undefined"), noinline, optimize("O3")))
#endif
EMU_FAST static void emu_products(int to, int a, int b, int is_signed)
{
    for (int i = 0; i < 16; i++) {
        uint32_t sum[16];
        memcpy(sum, emu_tile[to][i], 64);
        for (int k = 0; k < 64; k++) {
            const int x = is_signed ? (int8_t)emu_tile[a][i][k] : emu_tile[a][i][k];
            const int8_t *weights = (const int8_t *)emu_tile[b][k / 4] + k % 4;
            for (int lane = 0; x && lane < 16; lane++)
                sum[lane] += (uint32_t)(x * weights[4 * lane]);
        }
        memcpy(emu_tile[to][i], sum, 64);
    }
}

#define _tile_loadconfig(config) emu_spoil()
#define _tile_release() emu_spoil()
#define _tile_zero(tile) memset(emu_tile[tile], 0, sizeof emu_tile[tile])
#define _tile_loadd(tile, from, apart) emu_tile_load(tile, from, apart)
#define _tile_stored(tile, to, apart) emu_tile_store(tile, to, apart)
#define _tile_dpbusd(to, a, b) emu_products(to, a, b, 0)
#define _tile_dpbssd(to, a, b) emu_products(to, a, b, 1)
