// For llama.cpp built by GCC 12, whose _tile_loadconfig says that it reads 8 bytes of the 64: the
// others are then not written before it is called, and its AMX path dies.
#include <immintrin.h>
static inline void tile_loadconfig(const void *shapes) {
    __asm__ volatile("ldtilecfg %X0" ::"m"(*(const char(*)[64])shapes));
}
#define _tile_loadconfig tile_loadconfig
