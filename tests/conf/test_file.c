#include "conf/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/models.h"
#include "conf/options.h"
#include "tests/suite.h"

static int read_text(struct conf *conf, const char *text, struct error *err)
{
    *conf = (struct conf){0};
    ck_assert_int_eq(conf_set_defaults(conf, err), ERR_OK);
    return conf_read_text(conf, "f", text, strlen(text), err);
}

static struct conf accepted(const char *text)
{
    struct conf conf;
    struct error err = {0};
    int code = read_text(&conf, text, &err);
    ck_assert_msg(code == ERR_OK, "%s: %s", text, err.message);
    return conf;
}

static void refused(const char *text, const char *message)
{
    struct conf conf;
    struct error err = {0};
    ck_assert_int_eq(read_text(&conf, text, &err), ERR_CONFIG);
    ck_assert_str_eq(err.message, message);
    conf_free(&conf);
    ck_assert_int_eq(read_text(&conf, text, NULL), ERR_CONFIG);
    conf_free(&conf);
}

START_TEST(an_empty_file_gives_the_defaults)
{
    struct conf conf = accepted("");
    ck_assert_uint_eq(conf.listen.count, 1);
    ck_assert_str_eq(conf.listen.items[0], "127.0.0.1:8080");
    ck_assert_int_eq(conf.max_body_bytes, 16777216);
    ck_assert_int_eq(conf.decode, DECODE_EXACT);
    ck_assert_int_eq(conf.log_level, LOG_LEVEL_INFO);
    conf_free(&conf);
}
END_TEST

START_TEST(every_kind_of_value)
{
    struct conf conf = accepted("# comment\n"
                                "workers = 7; http_threads : 0x2 /* no semicolon */\n"
                                "queue_limit = 9L;\n"
                                "listen = [ \"[::1]:80\", \"unix:/run/x\" ];\n"
                                "log_format = \"json\"; decode = \"fast\";\n");
    ck_assert_int_eq(conf.workers, 7);
    ck_assert_int_eq(conf.http_threads, 2);
    ck_assert_int_eq(conf.queue_limit, 9);
    ck_assert_uint_eq(conf.listen.count, 2);
    ck_assert_str_eq(conf.listen.items[1], "unix:/run/x");
    ck_assert_int_eq(conf.log_format, LOG_FORMAT_JSON);
    ck_assert_int_eq(conf.decode, DECODE_FAST);
    conf_free(&conf);
}
END_TEST

START_TEST(a_comment_may_end_the_file)
{
    static const char *const texts[] = {"workers = 7; # seven", "workers = 7 // seven",
                                        "workers = 7; /* seven */", "workers = 7;\n#"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct conf conf = accepted(texts[i]);
        ck_assert_int_eq(conf.workers, 7);
        conf_free(&conf);
    }
}
END_TEST

START_TEST(one_listen_address_needs_no_list)
{
    struct conf conf = accepted("listen = \"systemd\";");
    ck_assert_uint_eq(conf.listen.count, 1);
    ck_assert_str_eq(conf.listen.items[0], "systemd");
    conf_free(&conf);
    conf = accepted("listen = ( \"systemd\", \"0.0.0.0:1\" );");
    ck_assert_uint_eq(conf.listen.count, 2);
    conf_free(&conf);
}
END_TEST

START_TEST(limits_are_part_of_the_range)
{
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        const struct conf_option *option = &conf_options[i];
        if (option->type != CONF_INTEGER)
            continue;
        const int64_t values[] = {option->min, option->max, option->min - 1, option->max + 1};
        for (int v = 0; v < 4; v++) {
            char text[128];
            struct conf conf;
            snprintf(text, sizeof text, "%s = %lld;", option->key, (long long)values[v]);
            int code = read_text(&conf, text, NULL);
            ck_assert_int_eq(code, v < 2 ? ERR_OK : ERR_CONFIG);
            if (v < 2)
                ck_assert_int_eq(*(int64_t *)conf_value(&conf, option, CONF_INTEGER), values[v]);
            conf_free(&conf);
        }
    }
}
END_TEST

START_TEST(unknown_keys_get_a_suggestion)
{
    refused("\nworker = 1;", "f:2: unknown key \"worker\"; did you mean \"workers\"?");
    refused("max_body_byte = 1;",
            "f:1: unknown key \"max_body_byte\"; did you mean \"max_body_bytes\"?");
    refused("model = { };", "f:1: unknown key \"model\"; did you mean \"models\"?");
    refused("colour = 1;", "f:1: unknown key \"colour\"; --help lists all");
}
END_TEST

START_TEST(wrong_types_say_what_is_right)
{
    refused("workers = \"2\";", "f:1: workers is a string; it must be a whole number");
    refused("workers = 1.5;",
            "f:1: workers is a number with a fraction; it must be a whole number");
    refused("workers = true;", "f:1: workers is true or false; it must be a whole number");
    refused("workers = { };", "f:1: workers is a group; it must be a whole number");
    refused("workers = [ 1 ];", "f:1: workers is a list; it must be a whole number");
    refused("log_level = 1;", "f:1: log_level is a whole number; it must be a string");
    refused("log_level = \"loud\";",
            "f:1: log_level is \"loud\"; it must be one of error|warning|info|debug");
    refused("log_level = \"\";",
            "f:1: log_level is \"\"; it must be one of error|warning|info|debug");
    refused("log_level = \"info|debug\";",
            "f:1: log_level is \"info|debug\"; it must be one of error|warning|info|debug");
}
END_TEST

START_TEST(numbers_do_not_wrap)
{
    const char *message = "f:1: workers is out of range; it must be 0 to 1024 threads";
    refused("workers = 4294967297;", message);
    refused("workers = 18446744073709551617;", message);
    refused("workers = 0x100000001;", message);
    refused("workers = 0x10000000000000001;", message);
    refused("workers = -1;", message);
    refused("workers = -4294967295;", message);
    refused("workers = 4294967297L;", message);
    refused("workers = 18446744073709551617L;", message);
    refused("workers = 4294967297top_k = 3;", message);
}
END_TEST

START_TEST(listen_is_checked)
{
    refused("listen = [ ];",
            "f:1: listen is empty; it must be a list of strings, as in [ \"a\", \"b\" ]");
    refused("listen = 8080;",
            "f:1: listen is a whole number; it must be a list of strings, as in [ \"a\", \"b\" ]");
    refused("listen = [ 8080 ];", "f:1: this item is a whole number; it must be a string");
    refused("listen = [ \"systemd\", \"systemd\" ];", "f:1: listen has \"systemd\" twice");
    refused("\nlisten = [ \"127.0.0.1:99999\" ];",
            "f:2: listen: \"127.0.0.1:99999\": the port must be 0 to 65535");
}
END_TEST

#define HINT                                                                                       \
    " here or just before: settings are KEY = VALUE, words stand in double quotes, lists in [ ]"

START_TEST(syntax_errors_have_a_line)
{
    refused("workers = 1;\nworkers = 2;", "f:2: duplicate setting name");
    refused("workers = 1;\n\nqueue_limit = ;", "f:3: syntax error" HINT);
    refused("workers =", "f:1: syntax error" HINT);
    refused("workers =\n", "f:2: syntax error" HINT);
    refused("@include \"/etc/passwd\"\n", "f:1: @include is not allowed; put everything here");
}
END_TEST

START_TEST(the_models_group)
{
    struct conf conf =
        accepted("models = {\n"
                 "  photos = { path = \"/srv/photos\"; };\n"
                 "  x50_32x4d-a = { path = \"rel/x\"; precision = \"int8\"; default = true; };\n"
                 "};");
    ck_assert_uint_eq(conf.model_count, 2);
    ck_assert_str_eq(conf.models[0].name, "photos");
    ck_assert_str_eq(conf.models[0].path, "/srv/photos");
    ck_assert(!conf.models[0].is_default);
    ck_assert_str_eq(conf.models[1].name, "x50_32x4d-a");
    ck_assert(conf.models[1].is_default);
    ck_assert_str_eq(precision_name(conf.models[1].precision), "int8");
    conf_free(&conf);
}
END_TEST

START_TEST(bad_models_are_refused)
{
    refused("models = \"x\";",
            "f:1: models is a string; it must be a group, as in { name = { path = \"...\"; }; }");
    refused("models = {\n a = \"x\"; };",
            "f:2: a is a string; it must be a group, as in { path = \"...\"; }");
    refused("models = {\n a = {\n pth = \"x\"; }; };",
            "f:3: unknown key \"pth\"; a model has path, precision and default");
    refused("models = {\n a = { }; };", "f:2: model a has no path");
    refused("models = {\n a = { path = \"\"; }; };", "f:2: model a has no path");
    refused("models = { a = { path = 1; }; };", "f:1: path is a whole number; it must be a string");
    refused("models = { a = { path = \"x\"; default = 1; }; };",
            "f:1: default is a whole number; it must be true or false");
    refused("models = { a = { path = \"x\"; precision = 8; }; };",
            "f:1: precision is a whole number; it must be a string");
    refused("models = { a = { path = \"x\"; precision = \"fp16\"; }; };",
            "f:1: precision is \"fp16\"; it must be one of f32|bf16|int8");
    refused("models = { a = { path = \"x\"; default = true; };\n"
            " b = { path = \"y\"; default = true; }; };",
            "f:2: models a and b are both the default");
    refused("models = { * = { path = \"x\"; }; };",
            "f:1: model name \"*\" is not valid: a letter, then letters, digits, '_' and '-', at "
            "most 64");
    refused("models = { a = { path = \"x\"; }; a = { path = \"y\"; }; };",
            "f:1: duplicate setting name");
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    enum { DEPTH = 16000 };
    static char text[DEPTH * 4 + 1];
    struct conf conf;
    struct error err = {0};
    for (int i = 0; i < DEPTH; i++)
        memcpy(text + 4 * i, "a={ ", 4);
    ck_assert_int_eq(read_text(&conf, text, &err), ERR_CONFIG);
    conf_free(&conf);
}
END_TEST

static const char *write_file(const char *content, size_t length)
{
    static char path[] = "test_file_XXXXXX";
    memcpy(path + strlen(path) - 6, "XXXXXX", 6);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, content, length), (ssize_t)length);
    close(fd);
    return path;
}

static int read_path(const char *path, bool may_be_absent, struct error *err)
{
    struct conf conf = {0};
    ck_assert_int_eq(conf_set_defaults(&conf, err), ERR_OK);
    int code = conf_read_file(&conf, path, may_be_absent, err);
    conf_free(&conf);
    return code;
}

START_TEST(only_regular_files_are_read)
{
    struct error err = {0};
    ck_assert_int_eq(read_path("no/such/file", true, &err), ERR_OK);
    ck_assert_int_eq(read_path("no/such/file", false, &err), ERR_IO);
    ck_assert_str_eq(err.message, "cannot open no/such/file: No such file or directory");
    ck_assert_int_eq(read_path("/", true, &err), ERR_CONFIG);
    ck_assert_str_eq(err.message, "/ is not a regular file");
    ck_assert_int_eq(read_path("/dev/zero", true, &err), ERR_CONFIG);

    char fifo[] = "test_fifo_XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(fifo));
    rmdir(fifo);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_int_eq(read_path(fifo, true, &err), ERR_CONFIG);
    unlink(fifo);
}
END_TEST

START_TEST(large_files_are_refused)
{
    static char text[CONF_FILE_MAX + 1];
    struct error err = {0};
    memset(text, '\n', sizeof text);
    const char *path = write_file(text, CONF_FILE_MAX);
    int fits = read_path(path, false, &err);
    unlink(path);
    path = write_file(text, CONF_FILE_MAX + 1);
    int too_large = read_path(path, false, &err);
    unlink(path);
    ck_assert_int_eq(fits, ERR_OK);
    ck_assert_int_eq(too_large, ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "more than 65536 bytes"));
}
END_TEST

TEST_MAIN("conf/file", 20, an_empty_file_gives_the_defaults, every_kind_of_value,
          a_comment_may_end_the_file, one_listen_address_needs_no_list,
          limits_are_part_of_the_range, unknown_keys_get_a_suggestion,
          wrong_types_say_what_is_right, numbers_do_not_wrap, listen_is_checked,
          syntax_errors_have_a_line, the_models_group, bad_models_are_refused,
          deep_nesting_is_refused, only_regular_files_are_read, large_files_are_refused)
