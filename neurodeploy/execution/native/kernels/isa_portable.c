/* The version that every processor runs. */
#define ND_VECTOR_BYTES 16
#define ND_NAME(name) name##_portable
#include "widths.inc"
