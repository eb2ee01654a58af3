/* The version that every processor runs. */
#define ND_VECTOR_BYTES 16
#define ND_NAME(name) name##_portable
#include "events.inc"
#define ND_STATE 32
#include "kernels.inc"
#undef ND_STATE
#define ND_STATE 64
#include "kernels.inc"
