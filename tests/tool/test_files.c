#include "tool/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/suite.h"

/* Makes a scratch directory and changes to it. */
static char scratch[] = "/tmp/test_files.XXXXXX";

static void enter_scratch(void)
{
    ck_assert_ptr_nonnull(mkdtemp(scratch));
    ck_assert_int_eq(chdir(scratch), 0);
}

static void leave_scratch(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", scratch);
    ck_assert_int_eq(system(command), 0);
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

START_TEST(a_tree_is_sorted_by_path)
{
    enter_scratch();
    mkdir("t", 0755);
    mkdir("t/a", 0755);
    static const char *const names[] = {"t/b.JPG", "t/a/z.jpeg", "t/a.jpg", "t/c.png", "t/jpg"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        put(names[i], "");
    ck_assert_int_eq(symlink("..", "t/a/up"), 0);
    struct file_list list = {0};
    struct error err;
    ck_assert_int_eq(files_add(&list, "t/c.png", 1, &err), ERR_OK);
    ck_assert_int_eq(files_add(&list, "t", 2, &err), ERR_OK);
    ck_assert_uint_eq(list.count, 4);
    ck_assert_str_eq(list.entries[0].path, "t/c.png");
    ck_assert_str_eq(list.entries[1].path, "t/a.jpg");
    ck_assert_str_eq(list.entries[2].path, "t/a/z.jpeg");
    ck_assert_str_eq(list.entries[3].path, "t/b.JPG");
    ck_assert_int_eq(list.entries[0].class_id, 1);
    ck_assert_int_eq(list.entries[3].class_id, 2);
    files_free(&list);
    leave_scratch();
}
END_TEST

START_TEST(what_is_hidden_is_passed_over_unless_it_is_named)
{
    enter_scratch();
    static const char *const folders[] = {
        "t", "t/.ipynb_checkpoints", "t/@eaDir", "t/__MACOSX", "t/a.b", ".h"};
    static const char *const names[] = {
        "t/._a.jpg",      "t/.jpg",           "t/.ipynb_checkpoints/a.jpg",
        "t/@eaDir/a.jpg", "t/__MACOSX/a.jpg", "t/a.b/._b.JPEG",
        "t/a.b/b.JPEG",   "t/a.jpg",          ".h/._c.jpg",
        ".h/c.jpg"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        mkdir(folders[i], 0755);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        put(names[i], "");
    struct file_list list = {0};
    ck_assert_int_eq(files_add(&list, "t", 0, NULL), ERR_OK);
    ck_assert_int_eq(files_add(&list, ".h", 0, NULL), ERR_OK);
    ck_assert_int_eq(files_add(&list, "t/._a.jpg", 0, NULL), ERR_OK);
    ck_assert_uint_eq(list.count, 4);
    ck_assert_str_eq(list.entries[0].path, "t/a.b/b.JPEG");
    ck_assert_str_eq(list.entries[1].path, "t/a.jpg");
    ck_assert_str_eq(list.entries[2].path, ".h/c.jpg");
    ck_assert_str_eq(list.entries[3].path, "t/._a.jpg");
    files_free(&list);
    leave_scratch();
}
END_TEST

START_TEST(a_tree_without_pictures_is_a_problem)
{
    enter_scratch();
    mkdir("t", 0755);
    struct file_list list = {0};
    ck_assert_int_eq(files_add(&list, "t", 0, NULL), ERR_OK);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_ptr_nonnull(list.entries[0].problem);
    files_free(&list);
    files_free(&list);
    leave_scratch();
}
END_TEST

START_TEST(reading_keeps_to_the_limit)
{
    enter_scratch();
    put("five", "12345");
    put("empty", "");
    struct file_bytes bytes = {0};
    struct error err;
    ck_assert_int_eq(files_read("five", 5, &bytes, &err), ERR_OK);
    ck_assert_uint_eq(bytes.length, 5);
    ck_assert_mem_eq(bytes.data, "12345", 5);
    ck_assert_int_eq(files_read("five", 4, &bytes, &err), ERR_BODY_TOO_LARGE);
    ck_assert_int_eq(files_read("empty", 5, &bytes, &err), ERR_OK);
    ck_assert_uint_eq(bytes.length, 0);
    free(bytes.data);
    leave_scratch();
}
END_TEST

/* Standard input has no size, so its bytes are counted as they are read. */
START_TEST(standard_input_keeps_to_the_limit)
{
    enum { LENGTH = 200000 };
    enter_scratch();
    char *text = malloc(LENGTH + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', LENGTH);
    text[LENGTH] = '\0';
    put("long", text);
    struct file_bytes bytes = {0};
    struct error err;
    for (int limit = LENGTH - 1; limit <= LENGTH + 1; limit++) {
        int fd = open("long", O_RDONLY);
        ck_assert_int_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
        close(fd);
        int code = files_read("-", (size_t)limit, &bytes, &err);
        ck_assert_int_eq(code, limit < LENGTH ? ERR_BODY_TOO_LARGE : 0);
        ck_assert(limit < LENGTH || bytes.length == LENGTH);
    }
    free(bytes.data);
    free(text);
    leave_scratch();
}
END_TEST

START_TEST(only_regular_files_are_read)
{
    enter_scratch();
    ck_assert_int_eq(mkfifo("fifo", 0600), 0);
    struct file_bytes bytes = {0};
    struct error err;
    static const char *const names[] = {"fifo", ".", "/dev/zero", "absent"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_int_eq(files_read(names[i], 100, &bytes, &err), ERR_IO);
    free(bytes.data);
    leave_scratch();
}
END_TEST

TEST_MAIN("tool/files", 10, a_tree_is_sorted_by_path,
          what_is_hidden_is_passed_over_unless_it_is_named, a_tree_without_pictures_is_a_problem,
          reading_keeps_to_the_limit, standard_input_keeps_to_the_limit,
          only_regular_files_are_read)
