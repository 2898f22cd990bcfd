#include "base/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/suite.h"

/* Makes the file standard error; with `journal`, it is systemd's journal to the program. */
static void enter(int file, bool journal)
{
    struct stat st;
    char stream[64];
    dup2(file, STDERR_FILENO);
    ck_assert_int_eq(fstat(file, &st), 0);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev,
             (uintmax_t)st.st_ino + !journal);
    setenv("JOURNAL_STREAM", stream, 1);
}

static bool to_journal;

/* What one event writes to standard error; the caller frees it. */
static char *logged(enum log_level level, const char *message, const struct log_field *fields,
                    size_t count)
{
    char path[] = "test_log_XXXXXX";
    int file = mkstemp(path), old = dup(STDERR_FILENO);
    ck_assert(file >= 0 && old >= 0);
    enter(file, to_journal);
    log_event(level, message, fields, count);
    dup2(old, STDERR_FILENO);
    close(old);
    off_t length = lseek(file, 0, SEEK_END);
    char *text = calloc(1, (size_t)length + 1);
    ck_assert_int_eq(pread(file, text, (size_t)length, 0), length);
    close(file);
    unlink(path);
    return text;
}

/* The event as a JSON object, which must be one line of at most 4 KiB. */
static json_t *parsed(const char *message, const struct log_field *fields, size_t count)
{
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    char *text = logged(LOG_LEVEL_INFO, message, fields, count);
    size_t length = strlen(text);
    ck_assert_uint_le(length, 4096);
    ck_assert_ptr_eq(strchr(text, '\n'), text + length - 1);
    json_error_t error;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(object != NULL, "%s: %s", error.text, text);
    free(text);
    return object;
}

static const char *member(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

START_TEST(json_escapes_outside_bytes)
{
    const struct log_field fields[] = {
        {.key = "file", .text = "a\"b\\c\n\x7f\x01\t"},
        {.key = "utf8", .text = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {.key = "bad", .text = "a\xff\xc3(\xed\xa0\x80\xc0\x80\xf4\x90\x80\x80z\xe2\x82"},
    };
    json_t *object = parsed("say \"x\"\r\n", fields, 3);
    ck_assert_str_eq(member(object, "message"), "say \"x\"\r\n");
    ck_assert_str_eq(member(object, "level"), "info");
    ck_assert_str_eq(member(object, "file"), fields[0].text);
    ck_assert_str_eq(member(object, "utf8"), fields[1].text);
    const char *bad = member(object, "bad");
    ck_assert_int_eq(bad[0], 'a');
    ck_assert_ptr_nonnull(strstr(bad, "\xef\xbf\xbd("));
    ck_assert_ptr_nonnull(strstr(bad, "\xef\xbf\xbdz\xef\xbf\xbd"));
    json_decref(object);
}
END_TEST

/* The one-byte controls of Latin-1, of which U+009B starts a terminal's escape sequences. */
START_TEST(no_control_character_is_written_as_it_is)
{
    const struct log_field field = {.key = "path",
                                    .text = "/\xc2\x9b"
                                            "31m\xc2\x85\xc2\xa0"};
    json_t *object = parsed("quoted", &field, 1);
    ck_assert_str_eq(member(object, "path"), field.text);
    json_decref(object);
    for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
        log_configure(LOG_LEVEL_INFO, (enum log_format)format);
        char *text = logged(LOG_LEVEL_INFO, "say \xc2\x9b", &field, 1);
        ck_assert_ptr_null(strstr(text, "\xc2\x9b"));
        ck_assert_ptr_null(strstr(text, "\xc2\x85"));
        ck_assert_ptr_nonnull(strstr(text, "\\u009b31m\\u0085\xc2\xa0"));
        free(text);
    }
}
END_TEST

START_TEST(json_numbers)
{
    const double values[] = {0, -3, 12.3456, 123456789012345, 1e300, NAN, -INFINITY};
    struct log_field fields[7];
    char keys[7][2];
    for (int i = 0; i < 7; i++) {
        keys[i][0] = (char)('a' + i);
        keys[i][1] = '\0';
        fields[i] = (struct log_field){.key = keys[i], .number = values[i]};
    }
    json_t *object = parsed("numbers", fields, 7);
    ck_assert_double_eq(json_number_value(json_object_get(object, "b")), -3);
    ck_assert_double_eq(json_number_value(json_object_get(object, "c")), 12.346);
    ck_assert_double_eq(json_number_value(json_object_get(object, "d")), 123456789012345);
    ck_assert_double_eq(json_number_value(json_object_get(object, "e")), 1e300);
    ck_assert(json_is_null(json_object_get(object, "f")));
    ck_assert(json_is_null(json_object_get(object, "g")));
    json_decref(object);
}
END_TEST

START_TEST(time_is_utc_with_milliseconds)
{
    json_t *object = parsed("x", NULL, 0);
    int year, month, day, hour, minute, second, ms, end = 0;
    sscanf(member(object, "time"), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour,
           &minute, &second, &ms, &end);
    ck_assert_int_eq(end, 24);
    json_decref(object);
}
END_TEST

/* Every length around the limit, with characters of one, three and six bytes. */
START_TEST(long_lines_stay_valid_json)
{
    static const char *const units[] = {"x", "\xe2\x82\xac", "\x01", "\""};
    static char text[3 * 4200 + 1];
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        size_t n = strlen(units[u]);
        for (size_t count = 600; count < 4200; count += u == 0 ? 1 : 7) {
            for (size_t i = 0; i < count; i++)
                memcpy(text + i * n, units[u], n);
            text[count * n] = '\0';
            const struct log_field fields[] = {{.key = "a", .text = text},
                                               {.key = "second", .number = 12345678},
                                               {.key = "third", .text = "abc"}};
            json_decref(parsed("m", fields, 3));
            json_decref(parsed(text, fields + 1, 2));
        }
    }
}
END_TEST

START_TEST(a_cut_string_is_the_beginning_of_the_whole)
{
    static char text[5000];
    memset(text, 'x', sizeof text - 1);
    const struct log_field field = {.key = "a", .text = text};
    json_t *object = parsed("m", &field, 1);
    size_t length = strlen(member(object, "a"));
    ck_assert_uint_gt(length, 3900);
    ck_assert_int_eq(strncmp(member(object, "a"), text, length), 0);
    json_decref(object);
}
END_TEST

START_TEST(text_lines)
{
    const struct log_field fields[] = {{.key = "file", .text = "a b\n\"c\""},
                                       {.key = "n", .number = 2.5}};
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    char *text = logged(LOG_LEVEL_WARNING, "odd\r\nname", fields, 2);
    ck_assert_ptr_nonnull(
        strstr(text, "Z warning odd??name file=\"a b\\u000a\\\"c\\\"\" n=2.500\n"));
    free(text);
    to_journal = true;
    text = logged(LOG_LEVEL_ERROR, "m", fields + 1, 1);
    ck_assert_str_eq(text, "<3>m n=2.500\n");
    free(text);
}
END_TEST

START_TEST(long_text_lines_end_with_one_newline)
{
    static char text[8000];
    memset(text, '\n', sizeof text - 1);
    const struct log_field fields[] = {{.key = "a", .text = text}, {.key = "b", .text = text}};
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    for (int message_is_long = 0; message_is_long < 2; message_is_long++) {
        char *line = logged(LOG_LEVEL_INFO, message_is_long ? text : "m", fields, 2);
        ck_assert_uint_le(strlen(line), 4096);
        ck_assert_uint_gt(strlen(line), 3900);
        ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
        free(line);
    }
}
END_TEST

START_TEST(levels_are_filtered)
{
    static const enum log_level levels[] = {LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO,
                                            LOG_LEVEL_DEBUG};
    for (int min = 0; min < 4; min++) {
        log_configure(levels[min], LOG_FORMAT_TEXT);
        for (int level = 0; level < 4; level++) {
            char *text = logged(levels[level], "m", NULL, 0);
            ck_assert_int_eq(text[0] != '\0', level <= min);
            free(text);
        }
    }
}
END_TEST

/* How many of `count` lines a pipe that nobody reads takes without blocking the writer. */
static int taken(const char *message, enum log_level level, int count)
{
    int ends[2], lines = 0, old = dup(STDERR_FILENO);
    char byte;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    dup2(ends[1], STDERR_FILENO);
    for (int i = 0; i < count; i++)
        log_event(level, message, NULL, 0);
    dup2(old, STDERR_FILENO);
    close(old);
    close(ends[1]);
    while (read(ends[0], &byte, 1) == 1)
        lines += byte == '\n';
    close(ends[0]);
    return lines;
}

START_TEST(a_full_pipe_loses_lines_and_counts_them)
{
    enum { LINES = 5000 };
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    unsigned long before = log_dropped();
    int lines = taken("a line of some length, again and again", LOG_LEVEL_INFO, LINES);
    ck_assert_int_gt(lines, 100);
    ck_assert_int_lt(lines, LINES);
    ck_assert_uint_eq(log_dropped() - before, (unsigned long)(LINES - lines));
}
END_TEST

START_TEST(repeated_warnings_are_left_out)
{
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    unsigned long before = log_dropped();
    ck_assert_int_eq(taken("the same trouble", LOG_LEVEL_WARNING, 100), 5);
    ck_assert_int_eq(taken("the same trouble", LOG_LEVEL_INFO, 100), 100);
    ck_assert_int_eq(taken("another trouble", LOG_LEVEL_WARNING, 3), 3);
    ck_assert_uint_eq(log_dropped(), before);
}
END_TEST

START_TEST(a_closed_standard_error_is_survived)
{
    close(STDERR_FILENO);
    log_configure(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
    log_error("nobody %s this", "reads");
}
END_TEST

TEST_MAIN("base/log", 60, json_escapes_outside_bytes, no_control_character_is_written_as_it_is,
          json_numbers, time_is_utc_with_milliseconds, long_lines_stay_valid_json,
          a_cut_string_is_the_beginning_of_the_whole, text_lines,
          long_text_lines_end_with_one_newline, levels_are_filtered,
          a_full_pipe_loses_lines_and_counts_them, repeated_warnings_are_left_out,
          a_closed_standard_error_is_survived)
