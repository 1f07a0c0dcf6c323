// For llama.cpp built by GCC 12, whose _tile_loadconfig says that it reads 8 bytes of the 64: the
// others may then not be written before it, and AMX refuses what it finds.
#ifdef __AMX_TILE__
#include <immintrin.h>
static inline void tile_loadconfig(const void *shapes) {
    __asm__ volatile("ldtilecfg %X0" ::"m"(*(const char(*)[64])shapes));
}
#define _tile_loadconfig tile_loadconfig
#endif
