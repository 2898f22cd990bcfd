/* The frame of a unit test: include it, write START_TEST cases, end with TEST_MAIN. */
#ifndef RESNEXT_TESTS_SUITE_H
#define RESNEXT_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

/* What passes is not reported: libcheck writes a message for each, which in a loop over pixels
 * takes most of the time. The location of a crash is then the test's. */
#define _mark_point(file, line) ((void)0)

static int suite_run(const char *name, void (*add)(TCase *), double timeout_s)
{
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create(name);
    tcase_set_timeout(cases, timeout_s);
    add(cases);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* TEST_MAIN("folder/file", 10, test_a, test_b): one case each, `timeout_s` seconds at most. */
#define TEST_MAIN(name, timeout_s, ...)                                                            \
    static void add_cases(TCase *tcase)                                                            \
    {                                                                                              \
        const TTest *const all[] = {__VA_ARGS__};                                                  \
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)                                    \
            tcase_add_test(tcase, all[i]);                                                         \
    }                                                                                              \
    int main(void)                                                                                 \
    {                                                                                              \
        return suite_run(name, add_cases, timeout_s);                                              \
    }

#endif
