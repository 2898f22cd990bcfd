#include "base/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/names.h"
#include "base/number.h"

/* A resource: the controller's name in version 1, and how one cgroup's folder tells its limit,
 * UINT64_MAX without one. */
struct resource {
    const char *controller;
    uint64_t (*limit)(const char *folder);
};

/* Words of a small file; false if there are fewer. */
static bool read_words(const char *folder, const char *file, int count, char words[][32])
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    int got = 0;
    while (got < count && fscanf(f, "%31s", words[got]) == 1)
        got++;
    fclose(f);
    return got == count;
}

/* "max" and -1 are no numbers: no limit. */
static bool parse(const char *word, uint64_t *number)
{
    int64_t value = number_parse(word, strlen(word));
    *number = (uint64_t)value;
    return value >= 0;
}

static uint64_t cpu_limit(const char *folder)
{
    char words[2][32];
    uint64_t quota, period;
    if (!read_words(folder, "cpu.max", 2, words) &&
        !(read_words(folder, "cpu.cfs_quota_us", 1, words) &&
          read_words(folder, "cpu.cfs_period_us", 1, words + 1)))
        return UINT64_MAX;
    if (!parse(words[0], &quota) || !parse(words[1], &period) || period == 0)
        return UINT64_MAX;
    return quota / period + (quota % period != 0);
}

/* Version 1 says a number near 2^63 where there is no limit. */
static uint64_t memory_limit(const char *folder)
{
    char word[1][32];
    uint64_t bytes;
    if (!read_words(folder, "memory.max", 1, word) &&
        !read_words(folder, "memory.limit_in_bytes", 1, word))
        return UINT64_MAX;
    return parse(word[0], &bytes) && bytes < UINT64_MAX / 4 ? bytes : UINT64_MAX;
}

/* From `path` below the hierarchy's `root` up to it. A container may see its own cgroup at the root
 * although its path is the host's: folders that are not there are passed over. */
static uint64_t smallest_limit(const struct resource *resource, const char *root, const char *path)
{
    char folder[PATH_MAX];
    uint64_t smallest = UINT64_MAX;
    int length = snprintf(folder, sizeof folder, "%s%s", root, path);
    if (length < 0 || length >= PATH_MAX)
        return smallest;
    while (strlen(folder) >= strlen(root)) {
        uint64_t limit = resource->limit(folder);
        smallest = limit < smallest ? limit : smallest;
        *strrchr(folder, '/') = '\0';
    }
    return smallest;
}

/* Of one line, "id:controllers:/path". Version 2 is the one without controllers. */
static uint64_t limit_of_line(const struct resource *resource, char *line, const char *mount)
{
    char root[PATH_MAX];
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path || path[1] != '/')
        return UINT64_MAX;
    *path++ = '\0';
    controllers++;
    if (*controllers == '\0')
        return smallest_limit(resource, mount, path);
    if (!names_list_has(controllers, resource->controller))
        return UINT64_MAX;
    int length = snprintf(root, sizeof root, "%s/%s", mount, resource->controller);
    return length < PATH_MAX ? smallest_limit(resource, root, path) : UINT64_MAX;
}

static uint64_t limit_of(const struct resource *resource, const char *membership, const char *mount)
{
    char line[PATH_MAX + 64];
    uint64_t smallest = UINT64_MAX;
    FILE *f = fopen(membership, "re");
    if (!f)
        return smallest;
    while (fgets(line, sizeof line, f)) {
        uint64_t limit = limit_of_line(resource, line, mount);
        smallest = limit < smallest ? limit : smallest;
    }
    fclose(f);
    return smallest;
}

int cgroup_cpus(const char *membership, const char *mount)
{
    static const struct resource cpu = {"cpu", cpu_limit};
    uint64_t cpus = limit_of(&cpu, membership, mount);
    return cpus < INT_MAX ? (int)cpus : INT_MAX;
}

uint64_t cgroup_memory(const char *membership, const char *mount)
{
    static const struct resource memory = {"memory", memory_limit};
    return limit_of(&memory, membership, mount);
}
