// Which of the libraries this processor can run: the number of its x86-64 level, 5 for the
// fourth with products of bfloat16, or 1 elsewhere.

extern "C" int processor_level() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool third = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    bool fourth = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
    if (!third) return 1;
    return !fourth ? 3 : __builtin_cpu_supports("avx512bf16") ? 5 : 4;
#else
    return 1;
#endif
}
