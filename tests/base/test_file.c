#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/suite.h"

static char folder[] = "test_file_XXXXXX";

static void enter_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static void leave_folder(void)
{
    ck_assert_int_eq(chdir(".."), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(only_regular_files_are_opened)
{
    struct stat status;
    enter_folder();
    ck_assert_int_eq(mkfifo("fifo", 0600), 0);
    ck_assert_int_eq(file_open_regular("fifo", &status), -1);
    ck_assert_int_eq(errno, 0);
    ck_assert(S_ISFIFO(status.st_mode));
    ck_assert_int_eq(file_open_regular(".", &status), -1);
    ck_assert_int_eq(errno, 0);
    ck_assert(S_ISDIR(status.st_mode));
    ck_assert_int_eq(file_open_regular("/dev/zero", &status), -1);
    ck_assert_int_eq(errno, 0);
    ck_assert_int_eq(file_open_regular("none", &status), -1);
    ck_assert_int_eq(errno, ENOENT);
    unlink("fifo");
    leave_folder();
}
END_TEST

START_TEST(a_file_is_read_from_an_offset_to_its_end)
{
    struct stat status;
    char text[16];
    enter_folder();
    FILE *f = fopen("five", "we");
    ck_assert_ptr_nonnull(f);
    fputs("abcde", f);
    fclose(f);
    int fd = file_open_regular("five", &status);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(status.st_size, 5);
    ck_assert_int_eq(file_read(fd, text, sizeof text, 0), 5);
    ck_assert_mem_eq(text, "abcde", 5);
    ck_assert_int_eq(file_read(fd, text, 2, 1), 2);
    ck_assert_mem_eq(text, "bc", 2);
    ck_assert_int_eq(file_read(fd, text, sizeof text, 5), 0);
    ck_assert_int_eq(file_read(fd, text, 4, FILE_STREAM), 4);
    ck_assert_int_eq(file_read(fd, text, 4, FILE_STREAM), 1);
    close(fd);
    ck_assert_int_eq(file_read(fd, text, 4, 0), -1);
    ck_assert_int_eq(errno, EBADF);
    unlink("five");
    leave_folder();
}
END_TEST

/* A pipe gives what it has. */
START_TEST(a_stream_is_read_until_it_ends)
{
    int ends[2];
    char text[16];
    ck_assert_int_eq(pipe(ends), 0);
    if (fork() == 0) {
        for (int i = 0; i < 3; i++) {
            usleep(1000);
            if (write(ends[1], "abc", 3) != 3)
                _exit(1);
        }
        _exit(0);
    }
    close(ends[1]);
    ck_assert_int_eq(file_read(ends[0], text, sizeof text, FILE_STREAM), 9);
    ck_assert_mem_eq(text, "abcabcabc", 9);
    close(ends[0]);
}
END_TEST

TEST_MAIN("base/file", 10, only_regular_files_are_opened, a_file_is_read_from_an_offset_to_its_end,
          a_stream_is_read_until_it_ends)
