/* Moments of pairs: what a correlation of counts with activations needs, in one pass. */
#include "engine.h"

#include <string.h>

enum { LANES = 4 };

static inline void add_pairs(double sums[5][LANES], const int32_t *a, const float *b,
                             const double *unit, const double *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double p = a[i] * unit[i] - from[0], q = b[i] - from[1];
        sums[0][i] += p;
        sums[1][i] += q;
        sums[2][i] += p * p;
        sums[3][i] += q * q;
        sums[4][i] += p * q;
    }
}

/* In lanes of a fixed number: the order of the sums depends on nothing but the arrays. */
void nd_moments(const int32_t *a, const float *b, const double *unit, int64_t rows, int64_t width,
                const double *from, double *sums)
{
    int64_t whole = width - width % LANES;
    memset(sums, 0, 5 * sizeof *sums);
    for (int64_t y = 0; y < rows; y++, a += width, b += width) {
        double lanes[5][LANES] = {{0}};
        for (int64_t x = 0; x < whole; x += LANES)
            add_pairs(lanes, a + x, b + x, unit + x, from, LANES);
        add_pairs(lanes, a + whole, b + whole, unit + whole, from, width - whole);
        for (int k = 0; k < 5; k++)
            sums[k] += (lanes[k][0] + lanes[k][1]) + (lanes[k][2] + lanes[k][3]);
    }
}
