/* Products of bytes in tiles: 16 rows of what a source has written out, times 16 lanes of weights. */
#ifndef ND_TILES_H
#define ND_TILES_H

#include "engine.h"

enum {
    ND_TILE = 16,       /* rows and lanes of sums of one tile */
    ND_TILE_DEPTH = 64, /* bytes of a source that one product takes */
    ND_TILE_BYTES = 1024,
    ND_TILE_SUMS = 4,   /* at most: of blocks times units */
};

/* Where the source rows of some tiles of sums lie: row i of block b is at[b] + i * apart bytes into
 * the written source, on from the source row and the run. */
typedef struct {
    const uint8_t *written;
    int64_t is_signed;
    const int32_t *senders; /* [kernel rows]: source row, or -1 */
    int64_t steps, apart;
    int64_t blocks, at[ND_TILE_SUMS];
} nd_tile_rows;

/* Whether this process may use them: asks the processor, and the operating system for room. */
int nd_tiles_supported(void);
/* Before the first sums of a thread, and after its last. */
void nd_tiles_begin(void);
void nd_tiles_end(void);
/* sums[block][unit][row][lane]: of two units of lanes from `unit` on and one or two blocks, or of one
 * unit and one or four. */
void nd_tile_sums(const nd_link *l, const nd_tile_rows *rows, int64_t unit, int64_t units,
                  int32_t *sums);
#endif
