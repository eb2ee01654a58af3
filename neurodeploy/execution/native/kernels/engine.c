/* Memory of a run, and the choice of the version. */
#include "tiles.h"
#include "workspace.h"

#include <stdlib.h>
#include <string.h>

static int reserve(nd_buffer *buffer, size_t bytes)
{
    if (bytes <= buffer->bytes)
        return 0;
    size_t size = bytes + bytes / 2 + 256;
    void *data = NULL;
    if (posix_memalign(&data, 64, size) != 0)
        return -1;
    if (buffer->keep && buffer->bytes)
        memcpy(data, buffer->data, buffer->bytes);
    free(buffer->data);
    buffer->data = data;
    buffer->bytes = size;
    return 0;
}

int nd_reserve(nd_buffer *buffer, size_t bytes)
{
    return reserve(buffer, bytes);
}

nd_workspace *nd_workspace_new(const nd_program *program)
{
    nd_workspace *workspace = calloc(1, sizeof *workspace);
    if (workspace == NULL)
        return NULL;
    workspace->n_slots = program->n_slots;
    workspace->n_members = program->n_members;
    workspace->slots = calloc((size_t)program->n_slots + 1, sizeof *workspace->slots);
    workspace->states = calloc((size_t)program->n_members + 1, sizeof *workspace->states);
    if (workspace->slots == NULL || workspace->states == NULL) {
        nd_workspace_free(workspace);
        return NULL;
    }
    for (int64_t s = 0; s < program->n_slots; s++) {
        nd_raster *slot = &workspace->slots[s];
        slot->index.keep = slot->payload.keep = slot->bits.keep = 1;
        slot->binary = program->binary_slots[s];
        slot->offset = malloc(((size_t)program->slot_entries[s] + 1) * sizeof *slot->offset);
        if (slot->offset == NULL) {
            nd_workspace_free(workspace);
            return NULL;
        }
    }
    return workspace;
}

void nd_workspace_free(nd_workspace *workspace)
{
    if (workspace == NULL)
        return;
    for (int64_t s = 0; workspace->slots && s < workspace->n_slots; s++) {
        free(workspace->slots[s].offset);
        free(workspace->slots[s].index.data);
        free(workspace->slots[s].payload.data);
        free(workspace->slots[s].bits.data);
    }
    for (int64_t m = 0; workspace->states && m < workspace->n_members; m++)
        free(workspace->states[m].data);
    free(workspace->slots);
    free(workspace->states);
    nd_buffer *buffers[] = {&workspace->tile,   &workspace->drive,    &workspace->listed,
                            &workspace->rows,   &workspace->factors,  &workspace->ends,   &workspace->spikes,
                            &workspace->lanes,
                            &workspace->constant, &workspace->local, &workspace->sums,
                            &workspace->links, &workspace->written, &workspace->tiled};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        free(buffers[i]->data);
    free(workspace);
}

int nd_run(int isa, const nd_program *program, nd_workspace *workspace,
           const int32_t *const *inputs, const nd_wanted *wanted, int64_t first, int64_t last)
{
    nd_run_function run = program->wide ? nd_run64_portable : nd_run32_portable;
#if defined(__x86_64__)
    if (isa == 1)
        run = program->wide ? nd_run64_avx2 : nd_run32_avx2;
    else if (isa >= 2)
        run = program->wide ? nd_run64_avx512 : nd_run32_avx512;
#else
    (void)isa;
#endif
    workspace->tiles = isa == 3;
    if (workspace->tiles)
        nd_tiles_begin();
    int failed = 0;
    for (int64_t sample = first; sample < last && !failed; sample++)
        failed = run(program, workspace, inputs, wanted, sample) != 0;
    if (workspace->tiles)
        nd_tiles_end();
    return failed ? -1 : 0;
}
