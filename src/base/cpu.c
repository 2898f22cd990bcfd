#include "base/cpu.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

static bool has(uint64_t value, uint64_t bits)
{
    return (value & bits) == bits;
}

struct cpu_features cpu_features_from(const struct cpu_registers *r)
{
    enum { FMA = 1 << 12, OSXSAVE = 1 << 27, AVX = 1 << 28 }; /* leaf 1, ecx */
    enum { AVX2 = 1 << 5, AVX512F = 1 << 16 };                /* leaf 7, ebx */
    enum { AVX512DQ = 1 << 17, AVX512BW = 1 << 30 };
    const uint32_t AVX512VL = 1U << 31;
    enum { AVX512_VNNI = 1 << 11 };                   /* leaf 7, ecx */
    enum { AVX_VNNI = 1 << 4, AVX512_BF16 = 1 << 5 }; /* leaf 7.1, eax */
    enum { YMM_STATE = 0x06, ZMM_STATE = 0xe6 };      /* XCR0 */
    struct cpu_features f = {0};
    bool ymm = has(r->leaf1_ecx, OSXSAVE | AVX) && has(r->xcr0, YMM_STATE);
    f.avx2 = ymm && has(r->leaf1_ecx, FMA) && has(r->leaf7_ebx, AVX2);
    f.avx_vnni = f.avx2 && has(r->leaf7_1_eax, AVX_VNNI);
    f.avx512 = f.avx2 && has(r->xcr0, ZMM_STATE) &&
               has(r->leaf7_ebx, AVX512F | AVX512DQ | AVX512BW | AVX512VL);
    f.avx512_vnni = f.avx512 && has(r->leaf7_ecx, AVX512_VNNI);
    f.avx512_bf16 = f.avx512 && has(r->leaf7_1_eax, AVX512_BF16);
    return f;
}

/* Virtual machines take microseconds for each CPUID, so it is read once. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct cpu_features features;

#ifdef __x86_64__

static uint64_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static void read_features(void)
{
    struct cpu_registers r = {0};
    unsigned eax, ebx, ecx, edx, subleaves;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
        r.leaf1_ecx = ecx;
    if (__get_cpuid_count(7, 0, &subleaves, &ebx, &ecx, &edx)) {
        r.leaf7_ebx = ebx;
        r.leaf7_ecx = ecx;
        if (subleaves >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx))
            r.leaf7_1_eax = eax;
    }
    if (r.leaf1_ecx & bit_OSXSAVE)
        r.xcr0 = read_xcr0();
    features = cpu_features_from(&r);
}

/* The brand string: 48 characters in the registers of three leaves. */
static bool read_brand(char text[49])
{
    enum { FIRST_LEAF = 0x80000002U };
    for (unsigned i = 0; i < 3; i++) {
        unsigned r[4];
        if (!__get_cpuid(FIRST_LEAF + i, &r[0], &r[1], &r[2], &r[3]))
            return false;
        memcpy(text + 16 * i, r, sizeof r);
    }
    text[48] = '\0';
    return true;
}

#else

static void read_features(void)
{
}

static bool read_brand(char text[49])
{
    (void)text;
    return false;
}

#endif

struct cpu_features cpu_features(void)
{
    pthread_once(&once, read_features);
    return features;
}

void cpu_name(char name[CPU_NAME_MAX])
{
    char brand[49];
    struct utsname system;
    if (read_brand(brand)) {
        size_t end = strlen(brand), start = strspn(brand, " ");
        while (end > start && brand[end - 1] == ' ')
            end--;
        brand[end] = '\0';
        snprintf(name, CPU_NAME_MAX, "%s", brand + start);
    } else {
        bool known = uname(&system) == 0;
        snprintf(name, CPU_NAME_MAX, "%.*s", CPU_NAME_MAX - 1, known ? system.machine : "unknown");
    }
}
