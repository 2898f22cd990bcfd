/* The instruction sets of the CPU that the system lets programs use. */
#ifndef RESNEXT_BASE_CPU_H
#define RESNEXT_BASE_CPU_H

#include <stdbool.h>
#include <stdint.h>

/* All false on anything but x86-64. */
struct cpu_features {
    bool avx2; /* with FMA */
    bool avx_vnni;
    bool avx512; /* F, BW, DQ and VL, as every server that has any of them */
    bool avx512_vnni, avx512_bf16;
};

/* The registers that describe the CPU, by CPUID leaf (Intel's manual, volume 2, CPUID), and XCR0:
 * the state that the system saves. Zero where the CPU has no such leaf or register. */
struct cpu_registers {
    uint32_t leaf1_ecx, leaf7_ebx, leaf7_ecx, leaf7_1_eax;
    uint64_t xcr0;
};

/* An instruction set counts only if the system saves its registers too: CPUID alone promises
 * instructions that would raise SIGILL. */
struct cpu_features cpu_features_from(const struct cpu_registers *registers);

/* Of this machine. Any thread. */
struct cpu_features cpu_features(void);

/* The CPU's name for people, as in "AMD EPYC"; without one, the architecture's. Any thread. */
enum { CPU_NAME_MAX = 66 };
void cpu_name(char name[CPU_NAME_MAX]);

#endif
