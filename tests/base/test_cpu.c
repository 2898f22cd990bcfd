#include "base/cpu.h"

#include <stdio.h>
#include <string.h>

#include "tests/suite.h"

/* A CPU that has everything, under a system that saves every register. */
static const struct cpu_registers everything = {~0U, ~0U, ~0U, ~0U, ~(uint64_t)0};

static bool any(struct cpu_features f)
{
    return f.avx2 || f.avx_vnni || f.avx512 || f.avx512_vnni || f.avx512_bf16;
}

START_TEST(a_full_machine_has_everything)
{
    struct cpu_features f = cpu_features_from(&everything);
    ck_assert(f.avx2 && f.avx_vnni && f.avx512 && f.avx512_vnni && f.avx512_bf16);
    ck_assert(!any(cpu_features_from(&(struct cpu_registers){0})));
}
END_TEST

/* XCR0: bit 1 SSE, bit 2 the upper halves of YMM, bits 5 to 7 the AVX-512 registers. */
START_TEST(registers_must_be_saved)
{
    struct cpu_registers r = everything;
    r.xcr0 = 0x03;
    ck_assert(!any(cpu_features_from(&r)));
    for (uint64_t missing = 0x20; missing <= 0x80; missing <<= 1) {
        r.xcr0 = 0xe7 & ~missing;
        struct cpu_features f = cpu_features_from(&r);
        ck_assert(f.avx2 && f.avx_vnni);
        ck_assert(!f.avx512 && !f.avx512_vnni && !f.avx512_bf16);
    }
    r.xcr0 = 0xe7;
    ck_assert(cpu_features_from(&r).avx512);
    r.leaf1_ecx &= ~(1U << 27); /* OSXSAVE: without it XCR0 means nothing */
    ck_assert(!any(cpu_features_from(&r)));
}
END_TEST

START_TEST(each_set_has_a_bit_of_its_own)
{
    struct cpu_registers r = everything;
    r.leaf1_ecx &= ~(1U << 12);
    ck_assert(!any(cpu_features_from(&r))); /* no FMA */
    r = everything;
    r.leaf7_ebx &= ~(1U << 16);
    struct cpu_features f = cpu_features_from(&r);
    ck_assert(f.avx2 && f.avx_vnni && !f.avx512 && !f.avx512_vnni && !f.avx512_bf16);
    r = everything;
    r.leaf7_ecx &= ~(1U << 11);
    f = cpu_features_from(&r);
    ck_assert(f.avx512 && f.avx512_bf16 && f.avx_vnni && !f.avx512_vnni);
    r = everything;
    r.leaf7_1_eax = 1U << 5;
    f = cpu_features_from(&r);
    ck_assert(f.avx512_bf16 && f.avx512_vnni && !f.avx_vnni);
    r.leaf7_1_eax = 1U << 4;
    f = cpu_features_from(&r);
    ck_assert(!f.avx512_bf16 && f.avx512_vnni && f.avx_vnni);
}
END_TEST

/* A line of /proc/cpuinfo's first processor, with a space at its end; "" if there is none. */
static void cpuinfo(const char *key, char *line, size_t size)
{
    bool found = false;
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && !found && fgets(line, (int)size - 1, f))
        found = strncmp(line, key, strlen(key)) == 0;
    if (f)
        fclose(f);
    line[found ? strcspn(line, "\n") : 0] = '\0';
    strcat(line, " ");
}

/* The kernel lists what it lets programs use. */
START_TEST(the_kernel_says_the_same)
{
    char flags[8192], name[8192], own[CPU_NAME_MAX];
    cpuinfo("flags", flags, sizeof flags);
    cpuinfo("model name", name, sizeof name);
    struct cpu_features f = cpu_features();
    ck_assert_int_eq(f.avx2, strstr(flags, " avx2 ") && strstr(flags, " fma "));
    ck_assert_int_eq(f.avx_vnni, strstr(flags, " avx_vnni ") != NULL);
    ck_assert_int_eq(f.avx512, strstr(flags, " avx512f ") != NULL);
    ck_assert_int_eq(f.avx512_vnni, strstr(flags, " avx512_vnni ") != NULL);
    ck_assert_int_eq(f.avx512_bf16, strstr(flags, " avx512_bf16 ") != NULL);
    cpu_name(own);
    ck_assert_uint_gt(strlen(own), 0);
    if (strlen(name) > 1)
        ck_assert_msg(strstr(name, own) != NULL, "%s is not in %s", own, name);
}
END_TEST

TEST_MAIN("base/cpu", 10, a_full_machine_has_everything, registers_must_be_saved,
          each_set_has_a_bit_of_its_own, the_kernel_says_the_same)
