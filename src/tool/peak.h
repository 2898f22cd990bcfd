/* The limit of every kernel: how many operations a core can do at all. */
#ifndef RESNEXT_TOOL_PEAK_H
#define RESNEXT_TOOL_PEAK_H

#include "base/cpu.h"
#include "kernel/element.h"

/* 10^9 operations a second, a multiply and an add being two, and the instruction set that reached
 * it. In float32 "avx512", "avx2" (both with FMA), "generic" (separate multiplies and adds); in
 * int8 "avx512_vnni", "avx_vnni", "avx2" (products added up in 16 bits); in bf16 "avx512_bf16";
 * those of float32 where the machine has no instruction for a precision. */
struct fma_peak {
    double gflops;
    const char *isa;
};

/* Measures the core that the calling thread runs on, for about 0.1 s: the best of many short runs
 * on registers alone, with the widest that `features` has; the machine must have it. Any number of
 * threads at once; they share what their cores share. */
struct fma_peak peak_measure(struct cpu_features features, enum precision precision);

#endif
