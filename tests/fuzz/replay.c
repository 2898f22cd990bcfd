/* Runs a fuzz target over its seed corpus where there is no libFuzzer: fuzz_NAME reads every file
 * of tests/fuzz/corpus/NAME and speaks TAP. A crash ends the plan early, which is a failure. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_seed(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int replay(const char *path)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &status) != 0)
        return -1;
    size_t size = (size_t)status.st_size;
    /* Exactly the file's size, so that a sanitizer sees the first byte read past it. */
    uint8_t *data = malloc(size);
    size_t got = fread(data, 1, size, file);
    fclose(file);
    if (got == size)
        LLVMFuzzerTestOneInput(data, size);
    free(data);
    return got == size ? 0 : -1;
}

int main(int argc, char **argv)
{
    const char *source = getenv("top_srcdir"), *name = argc > 0 ? strstr(argv[0], "fuzz_") : NULL;
    char folder[2048], path[4096];
    if (!source || !name) {
        fprintf(stderr, "run this from make check\n");
        return EXIT_FAILURE;
    }
    snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", source, name + strlen("fuzz_"));
    struct dirent **seeds;
    int count = scandir(folder, &seeds, is_seed, alphasort);
    if (count <= 0) {
        printf("1..1\nnot ok 1 - there are no seeds in %s\n", folder);
        return EXIT_FAILURE;
    }
    int failed = 0;
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, seeds[i]->d_name);
        int code = replay(path);
        printf("%sok %d - %s\n", code == 0 ? "" : "not ", i + 1, seeds[i]->d_name);
        fflush(stdout);
        failed += code != 0;
        free(seeds[i]);
    }
    free(seeds);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
