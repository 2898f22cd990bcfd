#include "tool/csv.h"

#include <stdio.h>
#include <string.h>

#include "tests/suite.h"

enum { SPACE = 3 };
static struct error err;

/* All rows of `text`, fields in brackets, rows with their line: "1[a][b]3[c]". */
static int read_all(const char *text, size_t length, char out[256])
{
    char copy[256], *fields[SPACE];
    size_t used = 0;
    struct csv csv;
    memcpy(copy, text, length);
    copy[length] = '\0';
    out[0] = '\0';
    int code = csv_open(&csv, copy, length, fields, SPACE, &err);
    while (code == ERR_OK && (code = csv_next(&csv, &err)) == ERR_OK) {
        if (csv.count == 0)
            return ERR_OK;
        used += (size_t)snprintf(out + used, 256 - used, "%zu", csv.row);
        for (size_t i = 0; i < csv.count; i++)
            used += (size_t)snprintf(out + used, 256 - used, "[%s]", fields[i]);
    }
    return code;
}

static void expect(const char *text, const char *wanted)
{
    char out[256];
    ck_assert_msg(read_all(text, strlen(text), out) == ERR_OK, "%s: %s", text, err.message);
    ck_assert_str_eq(out, wanted);
}

START_TEST(rows_are_read)
{
    expect("", "");
    expect("\n\n\r\n", "");
    expect("a,b\nc,d\n", "1[a][b]2[c][d]");
    expect("a,b\r\n\r\nc,d", "1[a][b]3[c][d]");
    expect("a,\n,b\n,", "1[a][]2[][b]3[][]");
    expect(" a , b\t,c ", "1[a][b][c]");
    expect("\xef\xbb\xbf"
           "a,b",
           "1[a][b]");
}
END_TEST

START_TEST(quotes_hold_commas_lines_and_quotes)
{
    expect("\"a,b\",\"c\"\"d\"\n", "1[a,b][c\"d]");
    expect("\"two\nlines\" ,b\n\"\",x", "1[two\nlines][b]3[][x]");
    expect("\" a \",b", "1[ a ][b]");
}
END_TEST

START_TEST(what_is_no_table_is_refused_with_its_line)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"a,b\n\"c", "line 2: a quote that opens here has no end"},
        {"\"", "line 1: a quote that opens here has no end"},
        {"a\"b,c", "line 1: a quote inside a field; the whole field must be in quotes"},
        {"\n\"a\"b,c", "line 2: something follows a closing quote; inside, it must be doubled"},
        {"a\na,b,c,d", "line 2: there are more than 3 fields"},
    };
    char out[256];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq(read_all(cases[i].text, strlen(cases[i].text), out), ERR_PARAMETER);
        ck_assert_str_eq(err.message, cases[i].message);
    }
    ck_assert_int_eq(read_all("a\0b", 3, out), ERR_PARAMETER);
}
END_TEST

TEST_MAIN("tool/csv", 10, rows_are_read, quotes_hold_commas_lines_and_quotes,
          what_is_no_table_is_refused_with_its_line)
