/* Mistakes on purpose, one by name, for test_detectors.py: built as the unit tests are, it must be
 * caught by what the build claims to detect. Ends with 0 when nobody minds. */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile size_t eight = 8; /* what the compiler must not know */
static long shared;

static int leak(void)
{
    void *volatile block = malloc(eight * 100);
    memset(block, 1, eight);
    block = NULL;
    return 0;
}

static int overflow(void)
{
    volatile char *volatile block = malloc(eight);
    block[eight] = 1;
    free((void *)block);
    return 0;
}

static int use_after_free(void)
{
    volatile char *volatile block = malloc(eight);
    block[0] = 1;
    free((void *)block);
    return block[0] == 2;
}

static int undefined(void)
{
    volatile int max = INT_MAX;
    max = max + (int)eight;
    return max == 0;
}

static int uninitialised(void)
{
    volatile char *volatile block = malloc(eight);
    if (block[1] == 1)
        puts("one");
    free((void *)block);
    return 0;
}

static void *count_up(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < eight * 1000; i++)
        shared++;
    return NULL;
}

static int race(void)
{
    pthread_t one, two;
    if (pthread_create(&one, NULL, count_up, NULL) != 0 ||
        pthread_create(&two, NULL, count_up, NULL) != 0)
        return 1;
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    return shared == 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } mistakes[] = {
        {"leak", leak},
        {"overflow", overflow},
        {"use_after_free", use_after_free},
        {"undefined", undefined},
        {"uninitialised", uninitialised},
        {"race", race},
    };
    for (size_t i = 0; argc == 2 && i < sizeof mistakes / sizeof mistakes[0]; i++)
        if (strcmp(argv[1], mistakes[i].name) == 0)
            return mistakes[i].run();
    return argc == 1 ? 0 : 2;
}
