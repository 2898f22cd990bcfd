#include "tool/peak.h"

#include "base/clock.h"

/* One register per sum in flight. Two units with a latency of five cycles need ten sums. With two
 * factors and two scratch registers these twelve fit in 16. */
#define SUM_REGISTERS 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
enum {
    SUMS = sizeof((const char[]){SUM_REGISTERS}),
    ROUNDS = 400000,
    DURATION_NS = 100000000,
};

/* One short run: adds a product to each sum, or sets sum = sum * one + small, ROUNDS times. */
typedef void peak_function(void);

static void loop_generic(void)
{
    typedef float vector4 __attribute__((vector_size(16)));
    vector4 sums[SUMS], one = {1, 1, 1, 1}, small = one * 0x1p-20F;
    __asm__ volatile(""
                     : "+m"(one),
                       "+m"(small)); /* keeps the compiler from knowing that `one` is 1 */
#pragma GCC unroll 12
    for (int i = 0; i < SUMS; i++)
        sums[i] = one;
    for (int r = 0; r < ROUNDS; r++)
#pragma GCC unroll 12
        for (int i = 0; i < SUMS; i++)
            sums[i] = sums[i] * one + small;
#pragma GCC unroll 12
    for (int i = 0; i < SUMS; i++)
        __asm__ volatile("" : : "m"(sums[i])); /* keeps the compiler from dropping the loop */
}

#ifdef __x86_64__

enum {
    F32_ONE = 0x3f800000,
    F32_SMALL = 0x35800000, /* 2^-20 */
    BF16_ONES = 0x3f803f80,
    BF16_SMALLS = 0x35803580,
    BYTES = 0x01010101,
    WORDS = 0x00010001,
};

#define TEXT(...)    TEXT_OF(__VA_ARGS__)
#define TEXT_OF(...) #__VA_ARGS__
#define FOR_EACH_SUM ".irp sum, " TEXT(SUM_REGISTERS) "\n\t"

/* In assembly, since the result must not depend on whether a compiler keeps twelve sums in
 * registers: with -O2 gcc does not. Registers 12 and 13 are filled with `first` and `second`.
 * `instructions` add to register \\sum and may use 14 and 15. */
#define PEAK_FUNCTION(name, registers, first, second, instructions)                                \
    static void name(void)                                                                         \
    {                                                                                              \
        int rounds = ROUNDS;                                                                       \
        const uint32_t one = (first), other = (second);                                            \
        __asm__ volatile("vbroadcastss %[one], %%" registers "12\n\t"                              \
                         "vbroadcastss %[other], %%" registers "13\n\t" FOR_EACH_SUM               \
                         "vmovaps %%" registers "12, %%" registers "\\sum\n\t"                     \
                         ".endr\n"                                                                 \
                         "1:\n\t" FOR_EACH_SUM instructions "\n\t"                                 \
                         ".endr\n\t"                                                               \
                         "decl %[rounds]\n\t"                                                      \
                         "jnz 1b\n\t"                                                              \
                         "vzeroupper"                                                              \
                         : [rounds] "+r"(rounds)                                                   \
                         : [one] "m"(one), [other] "m"(other)                                      \
                         : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",   \
                           "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");  \
    }
PEAK_FUNCTION(loop_avx2, "ymm", F32_ONE, F32_SMALL, "vfmadd213ps %%ymm13, %%ymm12, %%ymm\\sum")
PEAK_FUNCTION(loop_avx512, "zmm", F32_ONE, F32_SMALL, "vfmadd213ps %%zmm13, %%zmm12, %%zmm\\sum")
PEAK_FUNCTION(loop_avx512_bf16, "zmm", BF16_ONES, BF16_SMALLS,
              "vdpbf16ps %%zmm13, %%zmm12, %%zmm\\sum")
PEAK_FUNCTION(loop_avx512_vnni, "zmm", BYTES, BYTES, "vpdpbusd %%zmm13, %%zmm12, %%zmm\\sum")
PEAK_FUNCTION(loop_avx_vnni, "ymm", BYTES, BYTES, "%{vex%} vpdpbusd %%ymm13, %%ymm12, %%ymm\\sum")
PEAK_FUNCTION(loop_avx2_bytes, "ymm", BYTES, WORDS,
              "vpmaddubsw %%ymm13, %%ymm12, %%ymm14\n\t"
              "vpmaddubsw %%ymm12, %%ymm13, %%ymm15\n\t"
              "vpaddw %%ymm15, %%ymm14, %%ymm14\n\t"
              "vpmaddwd %%ymm13, %%ymm14, %%ymm14\n\t"
              "vpaddd %%ymm14, %%ymm\\sum, %%ymm\\sum")

#endif

/* A loop to measure, with the multiply-adds per sum and round, and its instruction set. */
struct peak_loop {
    peak_function *run;
    int lanes;
    const char *isa;
};

/* The best loop that the features allow; that of float32 if the precision has none. */
static struct peak_loop choose(struct cpu_features cpu, enum precision precision)
{
    struct peak_loop best = {0}, floats = {0};
#define ISA(name, needs)                                                                           \
    const bool has_##name = needs;                                                                 \
    (void)has_##name;
#define PEAK(isa, kind, lanes, loop)                                                               \
    if (has_##isa && kind == precision)                                                            \
        best = (struct peak_loop){loop, lanes, #isa};                                              \
    if (has_##isa && kind == PRECISION_F32)                                                        \
        floats = (struct peak_loop){loop, lanes, #isa};
#include "kernel/kernels.def"
    (void)cpu;
    return best.run ? best : floats;
}

struct fma_peak peak_measure(struct cpu_features features, enum precision precision)
{
    struct peak_loop loop = choose(features, precision);
    struct fma_peak peak = {.isa = loop.isa};
    double operations = 2.0 * ROUNDS * SUMS * loop.lanes;
    int64_t start = clock_monotonic_ns(), before = start, now;
    do {
        loop.run();
        now = clock_monotonic_ns();
        double gflops = operations / (double)(now - before);
        peak.gflops = gflops > peak.gflops ? gflops : peak.gflops;
        before = now;
    } while (now - start < DURATION_NS);
    return peak;
}
