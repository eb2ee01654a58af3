/* What the versions of the kernels share. */
#ifndef ND_WORKSPACE_H
#define ND_WORKSPACE_H

#include "engine.h"

#include <stddef.h>

typedef struct {
    void *data;
    size_t bytes;
    int keep; /* growing keeps what is in it */
} nd_buffer;

typedef struct {
    uint32_t *offset;     /* [entries + 1] */
    nd_buffer index;      /* uint32 channels */
    nd_buffer payload;    /* int32, unused where binary */
    nd_buffer bits;       /* uint16 [entries][words]: the same spikes as bits of channels */
    int64_t words;        /* of an entry; 0: there are no bits */
    int64_t binary;
    int64_t filled;       /* entries so far */
    int64_t per_row, per_step; /* entries from one row, one step to the next */
} nd_raster;

struct nd_workspace {
    int64_t steps;
    int tiles;            /* may be used */
    int64_t n_slots, n_members;
    nd_raster *slots;
    nd_buffer *states;    /* per member: v, u, emitted (or charge, countdown) of those that advance together */
    nd_buffer tile, drive, listed, rows, factors, ends, lanes, spikes, constant, local, sums, links, written, tiled;
};

int nd_reserve(nd_buffer *buffer, size_t bytes);

typedef int (*nd_run_function)(const nd_program *, nd_workspace *, const int32_t *const *,
                               const nd_wanted *, int64_t);

#define ND_DECLARE(isa)                                                                        \
    int nd_run32_##isa(const nd_program *, nd_workspace *, const int32_t *const *,             \
                       const nd_wanted *, int64_t);                                            \
    int nd_run64_##isa(const nd_program *, nd_workspace *, const int32_t *const *,             \
                       const nd_wanted *, int64_t);
ND_DECLARE(portable)
#if defined(__x86_64__)
ND_DECLARE(avx2)
ND_DECLARE(avx512)
#endif
#endif
