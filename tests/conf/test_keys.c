#include "conf/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/credential.h"
#include "tests/suite.h"

/* SHA-256 of "abcdefghijklmnop" and of "secret-secret-secret", as sha256sum prints them. */
#define FIRST  "f39dac6cbaba535e2c207cd0cd8f154974223c848f727f98b3564cea569b41cf"
#define SECOND "d504fb47186bf6c7160a781f3cd073816855a6ea4389b9c5a79dbe93920739e8"

static struct key_list keys;
static struct error err;

/* keys_read of a file with this text. */
static int read_text(const char *text, size_t length)
{
    char path[] = "test_keys_XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, length), (ssize_t)length);
    close(fd);
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    int code = keys_read(&keys, path, &err);
    unlink(path);
    return code;
}

static void refused(const char *text, const char *why)
{
    ck_assert_int_eq(read_text(text, strlen(text)), ERR_CONFIG);
    ck_assert_msg(strstr(err.message, why) != NULL, "%s", err.message);
    keys_free(&keys);
}

START_TEST(known_keys_are_found_and_others_not)
{
    static const char text[] = "# ours\n\n" FIRST " gallery\n  " SECOND "\r\n";
    ck_assert_msg(read_text(text, sizeof text - 1) == ERR_OK, "%s", err.message);
    ck_assert_uint_eq(keys.count, 2);
    ck_assert_str_eq(keys_find(&keys, "abcdefghijklmnop")->name, "gallery");
    ck_assert_ptr_eq(keys_find(&keys, "secret-secret-secret"), &keys.keys[1]);
    ck_assert_str_eq(keys.keys[1].name, "");
    static const char *const others[] = {"", "abcdefghijklmno", "abcdefghijklmnopq", FIRST};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_assert_ptr_null(keys_find(&keys, others[i]));
    keys_free(&keys);
}
END_TEST

START_TEST(capital_digits_are_digits)
{
    char text[] = FIRST "\n";
    for (char *s = text; *s; s++)
        *s = (char)(*s >= 'a' && *s <= 'f' ? *s - 'a' + 'A' : *s);
    ck_assert_int_eq(read_text(text, strlen(text)), ERR_OK);
    ck_assert_ptr_nonnull(keys_find(&keys, "abcdefghijklmnop"));
    keys_free(&keys);
}
END_TEST

START_TEST(a_file_that_is_none_is_refused_with_its_line)
{
    refused("", "has no key");
    refused("# nothing\n", "has no key");
    refused(FIRST "\nabc\n", ":2:");
    refused(FIRST "0\n", ":1:");
    refused(FIRST " two words\n", ":1:");
    refused(FIRST " \x1b[2J\n", ":1:");
    refused("password1234567890\n", ":1:");
    ck_assert_ptr_null(strstr(err.message, "password"));
    ck_assert_int_eq(read_text(FIRST "\0\n", 66), ERR_CONFIG);
    keys_free(&keys);
    ck_assert_int_eq(keys_read(&keys, "/nonexistent", &err), ERR_IO);
    ck_assert_int_eq(keys_read(&keys, "/", &err), ERR_CONFIG);
}
END_TEST

START_TEST(credentials_are_found_in_their_folder)
{
    char path[PATH_MAX];
    unsetenv("CREDENTIALS_DIRECTORY");
    ck_assert_int_eq(text_resolve(path, "api_keys", "/etc/keys", &err), ERR_OK);
    ck_assert_str_eq(path, "/etc/keys");
    ck_assert_int_eq(text_resolve(path, "api_keys", "credential:keys", &err), ERR_CONFIG);
    setenv("CREDENTIALS_DIRECTORY", "/run/credentials/resnextd.service", 1);
    ck_assert_int_eq(text_resolve(path, "api_keys", "credential:keys", &err), ERR_OK);
    ck_assert_str_eq(path, "/run/credentials/resnextd.service/keys");
    static const char *const bad[] = {"credential:", "credential:../x", "credential:a/b",
                                      "credential:.."};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_int_eq(text_resolve(path, "api_keys", bad[i], &err), ERR_CONFIG);
}
END_TEST

TEST_MAIN("conf/keys", 10, known_keys_are_found_and_others_not, capital_digits_are_digits,
          a_file_that_is_none_is_refused_with_its_line, credentials_are_found_in_their_folder)
