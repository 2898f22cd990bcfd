#include "base/threads.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/suite.h"

/* A made-up hierarchy in the working folder: root/a/b, with a membership file beside it. */
static char root[] = "test_threads_XXXXXX";

static void set(const char *file, const char *content)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, file);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(content, f);
    fclose(f);
}

static int cpus_of(const char *membership)
{
    char membership_path[64], mount[64];
    set("membership", membership);
    snprintf(membership_path, sizeof membership_path, "%s/membership", root);
    snprintf(mount, sizeof mount, "%s/mount", root);
    return thread_cgroup_cpus(membership_path, mount);
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

START_TEST(the_smallest_limit_counts)
{
    make_tree();
    ck_assert_int_eq(cpus_of("0::/a/b\n"), INT_MAX);
    set("mount/a/b/cpu.max", "max 100000\n");
    ck_assert_int_eq(cpus_of("0::/a/b\n"), INT_MAX);
    set("mount/a/b/cpu.max", "800000 100000\n");
    ck_assert_int_eq(cpus_of("0::/a/b\n"), 8);
    set("mount/a/cpu.max", "250000 100000\n");
    ck_assert_int_eq(cpus_of("0::/a/b\n"), 3);
    ck_assert_int_eq(cpus_of("0::/a\n"), 3);
    ck_assert_int_eq(cpus_of("0::/\n"), INT_MAX);
    set("mount/cpu.max", "1000 100000\n");
    ck_assert_int_eq(cpus_of("0::/a/b\n"), 1);
    ck_assert_int_eq(cpus_of("0::/\n"), 1);
    remove_tree();
}
END_TEST

START_TEST(only_the_unified_hierarchy_counts)
{
    make_tree();
    set("mount/a/cpu.max", "200000 100000\n");
    ck_assert_int_eq(cpus_of("4:cpu:/a\n1:name=systemd:/a\n"), INT_MAX);
    ck_assert_int_eq(cpus_of("4:cpu:/x\n0::/a\n"), 2);
    ck_assert_int_eq(cpus_of("0::/a"), 2);
    ck_assert_int_eq(cpus_of(""), INT_MAX);
    ck_assert_int_eq(thread_cgroup_cpus("no/such/file", root), INT_MAX);
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

START_TEST(the_budget_follows_the_affinity)
{
    cpu_set_t all, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    ck_assert_int_ge(thread_cpu_budget(), 1);
    ck_assert_int_le(thread_cpu_budget(), CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_int_eq(thread_cpu_budget(), 1);
}
END_TEST

struct seen {
    pthread_mutex_t go_on; /* held until the name was read */
    sigset_t blocked;
};

static void *look_around(void *arg)
{
    struct seen *seen = arg;
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    pthread_mutex_lock(&seen->go_on);
    pthread_mutex_unlock(&seen->go_on);
    return NULL;
}

START_TEST(threads_block_every_signal)
{
    struct seen seen = {.go_on = PTHREAD_MUTEX_INITIALIZER};
    char name[16];
    struct error err;
    pthread_t thread;
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    pthread_mutex_lock(&seen.go_on);
    ck_assert_int_eq(thread_start(&thread, "look", look_around, &seen, &err), ERR_OK);
    ck_assert_int_eq(pthread_getname_np(thread, name, sizeof name), 0);
    pthread_mutex_unlock(&seen.go_on);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    ck_assert_str_eq(name, "look");
    ck_assert_int_eq(sigismember(&seen.blocked, SIGTERM), 1);
    ck_assert_int_eq(sigismember(&seen.blocked, SIGHUP), 1);
    ck_assert_int_eq(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}
END_TEST

TEST_MAIN("base/threads", 10, the_smallest_limit_counts, only_the_unified_hierarchy_counts,
          odd_limits_are_no_limits, the_budget_follows_the_affinity, threads_block_every_signal)
