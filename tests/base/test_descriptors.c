#include "base/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/suite.h"

START_TEST(what_is_closed_stays_taken_and_fails)
{
    char byte = 'x';
    int old = dup(STDERR_FILENO);
    close(STDIN_FILENO);
    close(STDERR_FILENO);
    descriptors_fill_standard();
    int next = open("/dev/null", O_RDONLY);
    ssize_t got = read(STDIN_FILENO, &byte, 1);
    int read_error = errno;
    ssize_t put = write(STDERR_FILENO, &byte, 1);
    int write_error = errno;
    dup2(old, STDERR_FILENO);
    ck_assert_int_gt(next, STDERR_FILENO);
    ck_assert(got == -1 && read_error == EBADF);
    ck_assert(put == -1 && write_error == EBADF);
}
END_TEST

START_TEST(what_is_open_stays_as_it_is)
{
    int file = open("/dev/zero", O_RDONLY);
    char byte = 'x';
    ck_assert_int_eq(dup2(file, STDIN_FILENO), STDIN_FILENO);
    descriptors_fill_standard();
    ck_assert_int_eq(read(STDIN_FILENO, &byte, 1), 1);
    ck_assert_int_eq(byte, 0);
}
END_TEST

TEST_MAIN("base/descriptors", 10, what_is_closed_stays_taken_and_fails, what_is_open_stays_as_it_is)
