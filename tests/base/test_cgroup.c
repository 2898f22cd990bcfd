#include "base/cgroup.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/suite.h"

/* A made-up hierarchy in the working folder: root/a/b, with a membership file beside it. */
static char root[] = "test_cgroup_XXXXXX";

static void set(const char *file, const char *content)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, file);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(content, f);
    fclose(f);
}

struct view {
    char membership[64], mount[64];
};

static struct view view_of(const char *membership)
{
    struct view view;
    set("membership", membership);
    snprintf(view.membership, sizeof view.membership, "%s/membership", root);
    snprintf(view.mount, sizeof view.mount, "%s/mount", root);
    return view;
}

static int cpus_of(const char *membership)
{
    struct view view = view_of(membership);
    return cgroup_cpus(view.membership, view.mount);
}

static uint64_t memory_of(const char *membership)
{
    struct view view = view_of(membership);
    return cgroup_memory(view.membership, view.mount);
}

static void make_folder(const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", root, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void make_tree(void)
{
    ck_assert_ptr_nonnull(mkdtemp(root));
    make_folder("mount");
    make_folder("mount/a");
    make_folder("mount/a/b");
}

static void remove_tree(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
}

/* A file is written, or none, and then a member has so many CPUs. */
struct step {
    const char *file, *content, *membership;
    int cpus;
};

static void check_steps(const struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (steps[i].file)
            set(steps[i].file, steps[i].content);
        int cpus = cpus_of(steps[i].membership);
        ck_assert_msg(cpus == steps[i].cpus, "step %zu: %d CPUs, not %d", i, cpus, steps[i].cpus);
    }
}

START_TEST(the_smallest_limit_counts)
{
    static const struct step steps[] = {
        {NULL, NULL, "0::/a/b\n", INT_MAX},
        {"mount/a/b/cpu.max", "max 100000\n", "0::/a/b\n", INT_MAX},
        {"mount/a/b/cpu.max", "800000 100000\n", "0::/a/b\n", 8},
        {"mount/a/cpu.max", "250000 100000\n", "0::/a/b\n", 3},
        {NULL, NULL, "0::/a\n", 3},
        {NULL, NULL, "0::/\n", INT_MAX},
        {"mount/cpu.max", "1000 100000\n", "0::/a/b\n", 1},
        {NULL, NULL, "0::/\n", 1},
    };
    make_tree();
    check_steps(steps, sizeof steps / sizeof steps[0]);
    remove_tree();
}
END_TEST

START_TEST(each_hierarchy_has_its_own_path)
{
    static const struct step steps[] = {
        {"mount/a/cpu.max", "200000 100000\n", "4:cpu:/a\n1:name=systemd:/a\n", INT_MAX},
        {NULL, NULL, "4:cpu:/x\n0::/a\n", 2},
        {NULL, NULL, "0::/a", 2},
        {NULL, NULL, "", INT_MAX},
    };
    make_tree();
    check_steps(steps, sizeof steps / sizeof steps[0]);
    ck_assert_int_eq(cgroup_cpus("no/such/file", root), INT_MAX);
    remove_tree();
}
END_TEST

START_TEST(odd_limits_are_no_limits)
{
    make_tree();
    const char *odd[] = {"", "\n", "100000", "x 100000\n", "100000 0\n", "100000 x\n"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        set("mount/a/cpu.max", odd[i]);
        ck_assert_int_eq(cpus_of("0::/a\n"), INT_MAX);
    }
    set("mount/a/cpu.max", "18446744073709551615 1\n");
    ck_assert_int_eq(cpus_of("0::/a\n"), INT_MAX);
    remove_tree();
}
END_TEST

START_TEST(version_1_counts_too)
{
    static const struct step steps[] = {
        {"mount/cpu/a/cpu.cfs_quota_us", "-1\n", "4:cpu,cpuacct:/a\n", INT_MAX},
        {"mount/cpu/a/cpu.cfs_quota_us", "50000\n", "4:cpu,cpuacct:/a\n", 1},
        {"mount/cpu/a/cpu.cfs_quota_us", "150000\n", "4:cpuacct,cpu:/a\n0::/\n", 2},
        {NULL, NULL, "4:cpu:/a/no/such\n", 2},
        {NULL, NULL, "4:cpuacct,cpuset:/a\n", INT_MAX},
        {"mount/a/cpu.max", "100000 100000\n", "4:cpu:/a\n0::/a\n", 1},
    };
    make_tree();
    make_folder("mount/cpu");
    make_folder("mount/cpu/a");
    set("mount/cpu/a/cpu.cfs_period_us", "100000\n");
    check_steps(steps, sizeof steps / sizeof steps[0]);
    remove_tree();
}
END_TEST

START_TEST(a_container_sees_its_own_cgroup_at_the_root)
{
    make_tree();
    make_folder("mount/cpu");
    set("mount/cpu/cpu.cfs_period_us", "100000\n");
    set("mount/cpu/cpu.cfs_quota_us", "300000\n");
    ck_assert_int_eq(cpus_of("4:cpu:/docker/0123\n"), 3);
    remove_tree();
}
END_TEST

START_TEST(memory_is_the_smallest_of_both_versions)
{
    make_tree();
    ck_assert_uint_eq(memory_of("0::/a/b\n"), UINT64_MAX);
    set("mount/a/b/memory.max", "max\n");
    ck_assert_uint_eq(memory_of("0::/a/b\n"), UINT64_MAX);
    set("mount/a/memory.max", "67108864\n");
    ck_assert_uint_eq(memory_of("0::/a/b\n"), 67108864);
    make_folder("mount/memory");
    make_folder("mount/memory/a");
    set("mount/memory/memory.limit_in_bytes", "9223372036854771712\n");
    set("mount/memory/a/memory.limit_in_bytes", "1048576\n");
    ck_assert_uint_eq(memory_of("9:memory:/\n"), UINT64_MAX);
    ck_assert_uint_eq(memory_of("9:memory:/a\n0::/a/b\n"), 1048576);
    remove_tree();
}
END_TEST

START_TEST(odd_memberships_limit_nothing)
{
    make_tree();
    set("mount/cpu.max", "100000 100000\n");
    const char *odd[] = {"", "\n", "0", "0:", "0::", "0::a\n", ":::/\n"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        ck_assert_int_eq(cpus_of(odd[i]), INT_MAX);
    remove_tree();
}
END_TEST

TEST_MAIN("base/cgroup", 10, the_smallest_limit_counts, each_hierarchy_has_its_own_path,
          odd_limits_are_no_limits, version_1_counts_too,
          a_container_sees_its_own_cgroup_at_the_root, memory_is_the_smallest_of_both_versions,
          odd_memberships_limit_nothing)
