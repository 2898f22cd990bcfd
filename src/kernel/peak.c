#include "kernel/peak.h"

#include "base/clock.h"

/* Sums in flight: two units of five cycles' latency need ten; with two factors they still fit into
 * 16 registers. */
enum { SUMS = 12, ROUNDS = 400000, DURATION_NS = 100000000 };

/* One short run: ROUNDS times sum = sum * one + small, for all sums. */
typedef void burn(void);

static void burn_generic(void)
{
    typedef float vector4 __attribute__((vector_size(16)));
    vector4 sums[SUMS], one = {1, 1, 1, 1}, small = one * 0x1p-20F;
    __asm__ volatile("" : "+m"(one), "+m"(small)); /* or the compiler knows that it is 1 */
#pragma GCC unroll 12
    for (int i = 0; i < SUMS; i++)
        sums[i] = one;
    for (int r = 0; r < ROUNDS; r++)
#pragma GCC unroll 12
        for (int i = 0; i < SUMS; i++)
            sums[i] = sums[i] * one + small;
#pragma GCC unroll 12
    for (int i = 0; i < SUMS; i++)
        __asm__ volatile("" : : "m"(sums[i])); /* or it need not compute anything */
}

#ifdef __x86_64__

/* In assembly, because the figure must not depend on how well a compiler keeps twelve sums in
 * registers: with -O2 gcc does not. */
#define BURN_FMA(registers)                                                                        \
    do {                                                                                           \
        int rounds = ROUNDS;                                                                       \
        const float one = 1, small = 0x1p-20F;                                                     \
        __asm__ volatile("vbroadcastss %[one], %%" registers "12\n\t"                              \
                         "vbroadcastss %[small], %%" registers "13\n\t"                            \
                         ".irp sum, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n\t"                      \
                         "vmovaps %%" registers "12, %%" registers "\\sum\n\t"                     \
                         ".endr\n"                                                                 \
                         "1:\n\t"                                                                  \
                         ".irp sum, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n\t"                      \
                         "vfmadd213ps %%" registers "13, %%" registers "12, %%" registers          \
                         "\\sum\n\t"                                                               \
                         ".endr\n\t"                                                               \
                         "decl %[rounds]\n\t"                                                      \
                         "jnz 1b\n\t"                                                              \
                         "vzeroupper"                                                              \
                         : [rounds] "+r"(rounds)                                                   \
                         : [one] "m"(one), [small] "m"(small)                                      \
                         : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",   \
                           "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");  \
    } while (0)

static void burn_avx2(void)
{
    BURN_FMA("ymm");
}

static void burn_avx512(void)
{
    BURN_FMA("zmm");
}

#endif

/* The widest that the features allow, its lanes and its name. */
static burn *choose(struct cpu_features features, int *lanes, const char **isa)
{
#ifdef __x86_64__
    if (features.avx512f) {
        *lanes = 16;
        *isa = "avx512";
        return burn_avx512;
    }
    if (features.avx2) {
        *lanes = 8;
        *isa = "avx2";
        return burn_avx2;
    }
#else
    (void)features;
#endif
    *lanes = 4;
    *isa = "generic";
    return burn_generic;
}

struct fma_peak fma_peak_measure(struct cpu_features features)
{
    struct fma_peak peak = {0};
    int lanes;
    burn *run = choose(features, &lanes, &peak.isa);
    double operations = 2.0 * ROUNDS * SUMS * lanes;
    int64_t start = clock_monotonic_ns(), before = start, now;
    do {
        run();
        now = clock_monotonic_ns();
        double gflops = operations / (double)(now - before);
        peak.gflops = gflops > peak.gflops ? gflops : peak.gflops;
        before = now;
    } while (now - start < DURATION_NS);
    return peak;
}
