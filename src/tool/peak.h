/* The peak arithmetic rate of a core, the upper limit for every kernel. */
#ifndef RESNEXT_TOOL_PEAK_H
#define RESNEXT_TOOL_PEAK_H

#include "base/cpu.h"
#include "kernel/element.h"

/* 10^9 operations per second and the instruction set that reached them. A multiply-add is two
 * operations. The instruction set is "avx512", "avx2" (both with FMA) or "generic" (separate
 * multiplies and adds) in float32, "avx512_vnni", "avx_vnni" or "avx2" (16-bit sums) in int8,
 * "avx512_bf16" in bf16. A precision without such instructions gets the peak of float32. */
struct fma_peak {
    double gflops;
    const char *isa;
};

/* Measures the core of the calling thread for about 0.1 s. The result is the best of many short
 * runs that use registers only and the widest instructions in `features`, which the machine must
 * have. Any number of threads at once, each measured with what their cores share. */
struct fma_peak peak_measure(struct cpu_features features, enum precision precision);

#endif
