// Which of the libraries this processor can run: the number of its x86-64 level, or of the fourth with products of
// bfloat16 by vectors (5) or by tiles, too (6); 1 elsewhere.

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

// Whether the processor has tiles and the system lets this process use them, which it must ask for.
static bool tiles() {
    constexpr long REQUEST_PERMISSION = 0x1023, TILE_DATA = 18;  // arch_prctl(2)
    unsigned a = 7, b, c = 0, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    bool tiles = d >> 24 & 1, bf16 = d >> 22 & 1;
    return tiles && bf16 && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}
#else
static bool tiles() { return false; }
#endif

extern "C" int processor_level() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool third = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    bool fourth = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
    if (!third) return 1;
    if (!fourth) return 3;
    return !__builtin_cpu_supports("avx512bf16") ? 4 : tiles() ? 6 : 5;
#else
    return 1;
#endif
}
