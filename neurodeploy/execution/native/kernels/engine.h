/* The interface of the native engine: what Python hands over and what it gets back.
 *
 * The neurons of a population of shape (C, H, W) lie in the order (H, W, C): pixel by pixel. A
 * raster is a list of events, in the order (row, step, pixel of the row), or where all rows advance
 * together in the order (step, row, pixel of the row). An event is its place in its row,
 * x * C + c, and its payload where payloads are not all 1. So all events of one step under one row
 * of a kernel stand side by side.
 * Sizes, indices and proofs of width are checked in Python (native/program.py) before every call.
 */
#ifndef ND_ENGINE_H
#define ND_ENGINE_H

#include <stdint.h>

#define ND_ABI 9

#if defined(_WIN32)
#define ND_API __declspec(dllexport)
#else
#define ND_API __attribute__((visibility("default")))
#endif

enum { ND_ROWS = 0, ND_CHANNELS = 1, ND_LISTED = 2, ND_PLACES = 3 };
enum { ND_NEURON = 0, ND_POOL_MAXIMUM = 1, ND_POOL_WINNER = 2, ND_POOL_NOW = 3 };
enum { ND_SUM_WIDE = -2, ND_SUM_32 = -1, ND_SUM_16 = 0 };
enum { ND_SUBTRACT = 0, ND_ZERO = 1, ND_NONE = 2, ND_VALUE = 3, ND_SUBTRACT_NEXT = 4 };

/* A projection. Step t of the receiver hears what the source emitted in step t + shift. */
typedef struct nd_link {
    int64_t kind;
    int64_t source;       /* slot of the raster it reads */
    int64_t inner;        /* the source belongs to the same cycle */
    int64_t constant;     /* the source is a current: one entry per pixel, the same in every step */
    int64_t shift;
    int64_t src_rows, src_width, src_channels;
    /* ND_ROWS: ranges[pixels][n_ranges]: row of the source (-1: none), first pixel, pixel after the
     * last, and what is added to a place in the row to be a row of weights[][lanes]; the last row
     * of weights holds zeros */
    int64_t n_ranges;
    const int32_t *ranges;
    int64_t most;         /* events under one kernel */
    int64_t zero_row, lanes;
    const int16_t *rows;
    int64_t sums;         /* ND_SUM_..., or rows that one sum of 16 bits holds */
    int64_t shift_all;    /* exponent of all channels, or 0 where `scale` has them */
    const void *scale;    /* [channels] of the width of states: 2^exponent; NULL: all 2^shift_all */
    /* Of both forms that follow, where one of them is given */
    int64_t kernel_rows;
    const int32_t *kernel_row; /* [rows][kernel_rows]: source row, or -1 */
    /* Or, from the senders' side, where a stride along the row is 1 and sums of 16 bits do:
     * spread[kernel row][channel][spread_width][lanes], and a row of zeros, what an event adds to
     * neighbours from pixel x + spread_pad on, which are spread_width - 1 pixels ahead; NULL: not
     * so */
    const int16_t *spread;
    int64_t spread_width, spread_pad;
    /* Or, where sums of 32 bits do, for a source that is written out, row by row of `row_entries`,
     * its first pixel behind `before` of them: products[unit of lanes][kernel row][run][pair][lane]
     * has the weights of two channels that follow one another. A pixel's runs are run_step entries
     * apart, and begin pixel_step further with each pixel, and with a unit of lanes where the group
     * of its first lane does, if there are groups (`fan`). NULL: not so */
    const int16_t *products;
    int64_t runs, run_step, pairs, pixel_step;
    /* Of `products`, `by_tap` and `tiles`: entries of a row that is written out (0: there is no
     * such form), those before its first pixel, and the share of neurons, in 1/1024, of which more
     * must fire in a sample for that to be worth it */
    int64_t row_entries, before, written_from;
    const void *written;  /* [source row][step][row_entries] where it was; NULL: events */
    /* Or, where the processor has tiles, and weights have 8 bits: runs as those of `products`, of
     * entries that are bytes (is_signed: with a sign), chunk by chunk of 64:
     * tiles[unit of 16 lanes][kernel row][run][chunk][4 bytes of it][lane][byte]. NULL: not so.
     * Payloads of two bytes (digits: 2) are written out as their low bytes, and behind all of those
     * as their high ones, which have a sign */
    const int8_t *tiles;
    int64_t chunks, is_signed, digits;
    /* ND_CHANNELS: taps[pixels][n_taps]: row and pixel of the source, or -1;
     * weight[tap][channel][fan], into channel / group_in * fan; where these are the same channel
     * and the source may be written out, also by_tap[tap][channel], of the width of states */
    int64_t n_taps;
    const int32_t *taps;
    int64_t group_in, fan;
    const void *by_tap;
    /* ND_PLACES, where every source neuron has one synapse at most and every source row one row of
     * receivers: from_begin[row] .. from_begin[row + 1] are entries of from_row, the source rows of
     * a row; place i of source row y goes to to_place[y * table + i] of its row (-1: nowhere), times
     * weight[y * table + i] */
    const int32_t *from_begin, *from_row, *to_place;
    int64_t table;        /* entries of a source row, or 0 where all are alike */
    int64_t same;         /* the weight, where it is everybody's and all go to their own place; 0 */
    const void *own;      /* `weight` in the width of states, where all go to their own place; NULL */
    /* ND_LISTED: of source neuron n: entries begin[n] .. begin[n + 1] */
    const int64_t *begin;
    const int32_t *to_pixel, *to_channel;
    const int64_t *weight;
    /* The same projection for samples in which most neurons of the source fire, or NULL: its
     * channels are those of the source, once more each of them taken off, and one that is all of
     * them; `source` is the slot where such events are made */
    const struct nd_link *silent;
} nd_link;

/* A population that is driven by the input of a stage, or by its negative. */
typedef struct {
    int64_t kind;
    int64_t negated;
    int64_t out;          /* slot of its raster; -1: it never fires */
    int64_t binary;       /* payloads are 0 and 1 */
    int64_t rows, width, channels; /* of what it emits */
    /* neurons; arrays hold values of the width of the program, a row of pixels or all */
    int64_t is_signed, memory, payload_max, power_of_two, reset;
    int64_t keep_u, keep_v; /* 4096 - decay */
    int64_t spread;       /* entries of an array from one row to the next: 0, or all of a row */
    int64_t by_channel;   /* all pixels have the same values */
    const void *bias, *v0, *theta, *theta_neg;
    /* [T] or NULL; input_gain also of a pool, which emits nothing where it is 0. comparison: what a
     * binary neuron without leak is compared with, in 1/4096 of its thresholds, rounded up */
    const int64_t *input_gain, *firing_gain, *comparison;
    /* Neurons of networks that were trained as spiking ones: all of these are then given, `keep_u`
     * is the largest of keeps_u, and memory and gains are not used */
    int64_t extended, refractory, saturation;
    const void *keeps_u, *keeps_v, *reset_value, *floor;
    /* pools */
    int64_t n_cells;
    int64_t four;         /* maxima of four cells each, none in the padding */
    const int32_t *cells; /* [pixels][n_cells]: pixel of the stage, or -1 */
} nd_member;

typedef struct {
    int64_t rows, width, channels; /* of the input */
    int64_t n_links, n_members;
    const nd_link *links;
    const nd_member *members;
    int64_t pool_rows;    /* rows of cells under a row of windows, where rows share none; else 0 */
    /* Simple neurons (binary, without leak or gain, parameters by channel, v0 below the threshold)
     * of links that are all steady, which only the maxima of the next component hear, each at its
     * own place: a maximum changes when the neuron of the largest input under it fires */
    int64_t pooled;
} nd_stage;

typedef struct {
    int64_t n_stages;     /* more than one, or inner links: a cycle */
    int64_t cycle;
    const nd_stage *stages;
} nd_component;

typedef struct {
    int64_t slot, current, rows, width, channels;
} nd_input;

typedef struct {
    int64_t timesteps, wide; /* wide: states of 64 bits */
    int64_t n_slots;
    const int64_t *slot_entries; /* offsets that a slot needs: pixels * T + 1 */
    int64_t n_inputs, n_components, n_members;
    const nd_input *inputs;
    const nd_component *components;
    const int64_t *binary_slots;
} nd_program;

/* What is wanted of a population: members in order of the components, then inputs. */
typedef struct {
    int64_t *raster;      /* [B][T][n], C-order, zeroed */
    int64_t *trace;       /* [B][T][n], C-order */
    int64_t *per_sample;  /* [B]: events */
    int64_t *spikes;      /* [n], own order: events, added to */
    int64_t *payload;     /* [n], own order: payloads, added to */
    int64_t *rates;       /* [B][n], C-order, zeroed: payloads times rate_gain */
    int32_t *short_rates; /* the same, where 32 bits are proved to hold them */
    const int64_t *rate_gain; /* [T] or NULL */
    int64_t *active;      /* [n], own order, added to */
    /* Where samples come in pieces, of neurons, in values of the width of the program: states
     * [B][rows * 4 * width * channels] at the end of a piece, and at its start where it resumes;
     * and, with the first member of a stage, what its first steps hear from before,
     * [B][pending_steps][n], own order; or NULL */
    void *state;
    int64_t resume;
    const void *pending;
    int64_t pending_steps;
} nd_wanted;

typedef struct nd_workspace nd_workspace;

ND_API const char *nd_source_hash(void);
ND_API int nd_abi(void);
ND_API int nd_isa_supported(int isa);
ND_API const char *nd_isa_name(int isa);

ND_API nd_workspace *nd_workspace_new(const nd_program *program);
ND_API void nd_workspace_free(nd_workspace *workspace);
/* Sums over pairs of p, q, p p, q q and p q, where p = a unit - from[0], q = b - from[1]: a, b
 * [rows][width], unit [width]. */
ND_API void nd_moments(const int32_t *a, const float *b, const double *unit, int64_t rows,
                       int64_t width, const double *from, double *sums);
/* Samples first .. last - 1. inputs[i]: int32 [B][n] of a current, [B][T][n] of spikes, in own
 * order. 0, or -1 where memory ends. */
ND_API int nd_run(int isa, const nd_program *program, nd_workspace *workspace,
                  const int32_t *const *inputs, const nd_wanted *wanted, int64_t first,
                  int64_t last);
#endif
