/* What the library is: from which sources, of which interface, for which processors. */
#include "tiles.h"

#ifndef ND_SOURCE_HASH
#error "build it by setup.py, which tells the hash of the sources"
#endif

/* Python reads this mark in the file, before it loads the library. */
#define ND_MARK "neurodeploy native sources "
static const char mark[] __attribute__((used)) = ND_MARK ND_SOURCE_HASH;

const char *nd_source_hash(void)
{
    return mark + sizeof ND_MARK - 1;
}

int nd_abi(void)
{
    return ND_ABI;
}

const char *nd_isa_name(int isa)
{
    static const char *const names[] = {"portable", "avx2", "avx512", "amx"};
    return isa >= 0 && isa < 4 ? names[isa] : "";
}

/* What the compiler's test of the processor says: it also asks whether the operating system keeps
 * the wide registers. */
int nd_isa_supported(int isa)
{
    if (isa == 0)
        return 1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (isa == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
               __builtin_cpu_supports("bmi2");
    if (isa == 2)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               nd_isa_supported(1);
    if (isa == 3)
        return nd_isa_supported(2) && nd_tiles_supported();
#endif
    return 0;
}
