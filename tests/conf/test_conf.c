#include "conf/conf.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/options.h"
#include "kernel/kernel.h"
#include "tests/suite.h"

enum { MAX_ARGUMENTS = 32 };

static char file_path[] = "test_conf_XXXXXX";

static void write_file(const char *text)
{
    memcpy(file_path + strlen(file_path) - 6, "XXXXXX", 6);
    int fd = mkstemp(file_path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* conf_load with the arguments that `line` has between blanks. */
static int load(struct conf *conf, enum conf_action *action, const char *line, struct error *err)
{
    char copy[512], *argv[MAX_ARGUMENTS + 1] = {"resnextd"}, *rest = NULL;
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        ck_assert_int_lt(argc, MAX_ARGUMENTS);
        argv[argc++] = word;
    }
    return conf_load(conf, action, argc, argv, err);
}

static struct conf loaded(const char *line)
{
    struct conf conf;
    enum conf_action action;
    struct error err = {0};
    ck_assert_msg(load(&conf, &action, line, &err) == ERR_OK, "%s: %s", line, err.message);
    ck_assert_int_eq(action, CONF_RUN);
    return conf;
}

static struct conf loaded_with_file(const char *text, const char *line)
{
    char arguments[512];
    write_file(text);
    snprintf(arguments, sizeof arguments, "--config %s %s", file_path, line);
    struct conf conf = loaded(arguments);
    unlink(file_path);
    return conf;
}

static void refused(const char *line, int code, const char *message)
{
    struct conf conf;
    enum conf_action action;
    struct error err = {0};
    ck_assert_int_eq(load(&conf, &action, line, &err), code);
    ck_assert_str_eq(err.message, message);
    conf_free(&conf);
    ck_assert_int_eq(load(&conf, &action, line, NULL), code);
    conf_free(&conf);
}

START_TEST(defaults_without_any_source)
{
    struct conf conf = loaded("");
    ck_assert_int_eq(conf.workers, 0);
    ck_assert_int_eq(conf.drain_timeout_s, 30);
    ck_assert_uint_eq(conf.model_count, 1);
    ck_assert(conf.models[0].is_default);
    conf_free(&conf);
}
END_TEST

START_TEST(precedence)
{
    static const char text[] = "workers = 1; queue_limit = 1; top_k = 1;";
    setenv("RESNEXTD_WORKERS", "2", 1);
    setenv("RESNEXTD_QUEUE_LIMIT", "2", 1);
    struct conf conf = loaded_with_file(text, "--workers 3");
    ck_assert_int_eq(conf.workers, 3);
    ck_assert_int_eq(conf.queue_limit, 2);
    ck_assert_int_eq(conf.top_k, 1);
    ck_assert_int_eq(conf.http_threads, 1);
    conf_free(&conf);
}
END_TEST

START_TEST(lists_are_replaced_by_the_stronger_source)
{
    static const char text[] = "listen = [ \"127.0.0.1:1\", \"127.0.0.1:2\" ];";
    struct conf conf = loaded_with_file(text, "");
    ck_assert_uint_eq(conf.listen.count, 2);
    conf_free(&conf);
    setenv("RESNEXTD_LISTEN", "127.0.0.1:3  systemd", 1);
    conf = loaded_with_file(text, "");
    ck_assert_uint_eq(conf.listen.count, 2);
    ck_assert_str_eq(conf.listen.items[0], "127.0.0.1:3");
    ck_assert_str_eq(conf.listen.items[1], "systemd");
    conf_free(&conf);
    conf = loaded_with_file(text, "--listen [::]:4 --listen=unix:/x");
    ck_assert_uint_eq(conf.listen.count, 2);
    ck_assert_str_eq(conf.listen.items[0], "[::]:4");
    ck_assert_str_eq(conf.listen.items[1], "unix:/x");
    conf_free(&conf);
}
END_TEST

START_TEST(sockets_of_systemd_are_the_default)
{
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", pid, 1);
    struct conf conf = loaded("");
    ck_assert_uint_eq(conf.listen.count, 1);
    ck_assert_str_eq(conf.listen.items[0], "systemd");
    conf_free(&conf);
    conf = loaded("--listen 127.0.0.1:1");
    ck_assert_str_eq(conf.listen.items[0], "127.0.0.1:1");
    conf_free(&conf);
    setenv("LISTEN_PID", "1", 1);
    conf = loaded("");
    ck_assert_str_eq(conf.listen.items[0], "127.0.0.1:8080");
    conf_free(&conf);
}
END_TEST

START_TEST(models_are_replaced_by_the_stronger_source)
{
    static const char text[] = "models = { a = { path = \"/a\"; default = true; }; };";
    setenv("RESNEXTD_MODEL", "/srv/b c=/srv/d", 1);
    struct conf conf = loaded_with_file(text, "");
    ck_assert_uint_eq(conf.model_count, 2);
    ck_assert_str_eq(conf.models[0].name, "b");
    ck_assert(conf.models[0].is_default);
    ck_assert_str_eq(conf.models[1].path, "/srv/d");
    conf_free(&conf);
    conf = loaded_with_file(text, "--model e=f/g");
    ck_assert_uint_eq(conf.model_count, 1);
    ck_assert_str_eq(conf.models[0].name, "e");
    ck_assert_str_eq(conf.models[0].path, "f/g");
    ck_assert(conf.models[0].is_default);
    conf_free(&conf);
}
END_TEST

START_TEST(dashes_equals_and_the_last_value)
{
    struct conf conf = loaded("--max-body-bytes=4096 --log-level debug --workers 1 --workers 2");
    ck_assert_int_eq(conf.max_body_bytes, 4096);
    ck_assert_int_eq(conf.log_level, LOG_LEVEL_DEBUG);
    ck_assert_int_eq(conf.workers, 2);
    conf_free(&conf);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
    refused("--worker 1", ERR_CONFIG, "unknown option \"--worker\"; did you mean \"--workers\"?");
    refused("--max-body-byte=1", ERR_CONFIG,
            "unknown option \"--max-body-byte\"; did you mean \"--max-body-bytes\"?");
    refused("--print-confg", ERR_CONFIG,
            "unknown option \"--print-confg\"; did you mean \"--print-config\"?");
    refused("--workers", ERR_CONFIG, "--workers: a value is missing");
    refused("--workers=", ERR_CONFIG,
            "--workers is \"\"; it must be a whole number, 0 to 1024 threads");
    refused("--workers 1x", ERR_CONFIG,
            "--workers is \"1x\"; it must be a whole number, 0 to 1024 threads");
    refused("--workers 99999999999999999999", ERR_CONFIG,
            "--workers is out of range; it must be 0 to 1024 threads");
    refused("--help=yes", ERR_CONFIG, "--help=yes: this option takes no value");
    refused("--colour 1", ERR_CONFIG, "unknown option \"--colour\"; --help lists all");
    refused("-h", ERR_CONFIG, "unknown option \"-h\"; use --help");
    refused("--port 80", ERR_CONFIG, "unknown option \"--port\"; use --listen ADDR:PORT");
    refused("--port=80", ERR_CONFIG, "unknown option \"--port\"; use --listen ADDR:PORT");
    refused("--precision fp16", ERR_CONFIG,
            "--precision is \"fp16\"; it must be one of f32|bf16|int8");
    refused("--listen unix:/a --listen unix:/a", ERR_CONFIG, "--listen has \"unix:/a\" twice");
    refused("--", ERR_CONFIG, "\"--\" is not an option; --help lists all");
    refused("--=1", ERR_CONFIG, "\"--=1\" is not an option; --help lists all");
    refused("model", ERR_CONFIG, "\"model\" is not an option; --help lists all");
    refused("--model=", ERR_CONFIG, "--model: no model name can be made from \"\"; write NAME=");
    refused("--listen localhost:1", ERR_CONFIG,
            "--listen: \"localhost:1\": the address must be numeric, as in "
            "127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080");
    refused("--config no/such", ERR_IO, "cannot open no/such: No such file or directory");
}
END_TEST

/* What main makes the exit code of. */
START_TEST(only_a_wrong_command_line_is_wrong_usage)
{
    static const char *const wrong[] = {
        "-h", "model", "--worker 1", "--workers", "--workers 1x", "--help=yes", "--help --no-such"};
    struct conf conf;
    enum conf_action action;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_int_eq(load(&conf, &action, wrong[i], NULL), ERR_CONFIG);
        ck_assert_int_eq(action, CONF_USAGE);
        conf_free(&conf);
    }
    ck_assert_int_eq(load(&conf, &action, "--config no/such", NULL), ERR_IO);
    ck_assert_int_eq(action, CONF_RUN);
    conf_free(&conf);
    setenv("RESNEXTD_WORKERS", "x", 1);
    ck_assert_int_eq(load(&conf, &action, "", NULL), ERR_CONFIG);
    ck_assert_int_eq(action, CONF_RUN);
    conf_free(&conf);
}
END_TEST

START_TEST(bad_variables_are_refused)
{
    setenv("RESNEXTD_WORKERS", " 1", 1);
    refused("", ERR_CONFIG,
            "RESNEXTD_WORKERS is \" 1\"; it must be a whole number, 0 to 1024 threads");
    unsetenv("RESNEXTD_WORKERS");
    setenv("RESNEXTD_LOG_LEVLE", "debug", 1);
    refused("", ERR_CONFIG,
            "unknown variable \"RESNEXTD_LOG_LEVLE\"; did you mean \"RESNEXTD_LOG_LEVEL\"?");
    unsetenv("RESNEXTD_LOG_LEVLE");
    setenv("RESNEXTD_LISTEN", "  ", 1);
    refused("", ERR_CONFIG, "RESNEXTD_LISTEN: there is no value");
    setenv("RESNEXTD_LISTEN", "unix:/a x", 1);
    refused("", ERR_CONFIG,
            "RESNEXTD_LISTEN: \"x\" is none of ADDR:PORT, [ADDR]:PORT, unix:PATH, systemd");
    unsetenv("RESNEXTD_LISTEN");
    setenv("RESNEXTD_MODEL", "/a /a", 1);
    refused("", ERR_CONFIG, "RESNEXTD_MODEL: there are two models called a; name one otherwise");
}
END_TEST

START_TEST(variables_of_kubernetes_do_no_harm)
{
    setenv("RESNEXTD_SERVICE_HOST", "10.0.0.1", 1);
    setenv("RESNEXTD_SERVICE_PORT", "8080", 1);
    setenv("RESNEXTD_PORT", "tcp://10.0.0.1:8080", 1);
    setenv("RESNEXTD_PORT_8080_TCP_ADDR", "10.0.0.1", 1);
    /* Of services called resnextd-tls and resnextd-max: nearly tls_cert and max_parts. */
    setenv("RESNEXTD_TLS_PORT", "tcp://10.0.0.2:443", 1);
    setenv("RESNEXTD_MAX_PORT", "udp://[fd00::2]:53", 1);
    struct conf conf = loaded("");
    ck_assert_ptr_null(conf.tls_cert);
    conf_free(&conf);
    setenv("RESNEXTD_TLS_PORT", "443", 1);
    refused("", ERR_CONFIG,
            "unknown variable \"RESNEXTD_TLS_PORT\"; did you mean \"RESNEXTD_TLS_CERT\"?");
}
END_TEST

START_TEST(actions)
{
    static const struct {
        const char *line;
        enum conf_action action;
    } cases[] = {
        {"--check-config", CONF_CHECK},
        {"--workers 1 --print-config", CONF_PRINT},
        {"--config no/such --help", CONF_HELP},
        {"--version --config no/such", CONF_VERSION},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct conf conf;
        enum conf_action action;
        ck_assert_int_eq(load(&conf, &action, cases[i].line, NULL), ERR_OK);
        ck_assert_int_eq(action, cases[i].action);
        conf_free(&conf);
    }
    refused("--check-config --config no/such", ERR_IO,
            "cannot open no/such: No such file or directory");
}
END_TEST

/* What `print` writes to standard output; the caller frees it. */
static char *printed(void (*print)(const struct conf *), const struct conf *conf)
{
    char path[] = "test_print_XXXXXX";
    int file = mkstemp(path), old = dup(STDOUT_FILENO);
    ck_assert(file >= 0 && old >= 0);
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    print(conf);
    fflush(stdout);
    dup2(old, STDOUT_FILENO);
    close(old);
    off_t length = lseek(file, 0, SEEK_END);
    char *text = calloc(1, (size_t)length + 1);
    ck_assert_int_eq(pread(file, text, (size_t)length, 0), length);
    close(file);
    unlink(path);
    return text;
}

START_TEST(what_is_printed_can_be_read_again)
{
    struct conf conf = loaded("--listen unix:/run/\"odd\\name\" --listen [::1]:0 --workers 12 "
                              "--log-format json --decode fast --max-pixels 1000000000 "
                              "--model a=/srv/\x01\x7f\xc3\xa9 --model /srv/b");
    char *first = printed(conf_print, &conf);
    struct conf again = loaded_with_file(first, "");
    char *second = printed(conf_print, &again);
    ck_assert_str_eq(first, second);
    ck_assert_str_eq(again.listen.items[0], "unix:/run/\"odd\\name\"");
    ck_assert_str_eq(again.models[0].path, "/srv/\x01\x7f\xc3\xa9");
    ck_assert(again.models[0].is_default && !again.models[1].is_default);
    ck_assert_int_eq(again.max_pixels, 1000000000);
    free(first);
    free(second);
    conf_free(&conf);
    conf_free(&again);
}
END_TEST

static void print_help(const struct conf *conf)
{
    (void)conf;
    conf_print_help();
}

START_TEST(help_names_every_option_in_80_columns)
{
    char *help = printed(print_help, NULL), *rest = NULL;
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        char option[80];
        snprintf(option, sizeof option, "\n  --%s ", conf_options[i].key);
        for (char *s = option; *s; s++)
            if (*s == '_')
                *s = '-';
        ck_assert_msg(strstr(help, option) != NULL, "%s", option);
    }
    for (char *line = strtok_r(help, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        ck_assert_msg(strlen(line) <= 80 || strstr(line, "/resnextd") != NULL, "%s", line);
    free(help);
}
END_TEST

START_TEST(isa_offers_every_instruction_set)
{
    const char *const *isa_names = kernel_isa_choices + 1;
    ck_assert_str_eq(kernel_isa_choices[0], "auto");
    for (int i = 0; isa_names[i]; i++) {
        char line[64];
        snprintf(line, sizeof line, "--isa %s", isa_names[i]);
        struct conf conf = loaded(line);
        ck_assert_int_eq(conf.isa, i + 1);
        ck_assert_str_eq(kernel_isa_choices[conf.isa], isa_names[i]);
        conf_free(&conf);
    }
}
END_TEST

START_TEST(the_service_and_its_administration_share_no_socket)
{
    refused("--listen 127.0.0.1:80 --listen unix:/a:660 --admin-listen unix:/a", ERR_CONFIG,
            "listen has \"unix:/a:660\" and admin_listen \"unix:/a\"; give admin_listen another "
            "port or path");
    struct conf systemd = loaded("--listen systemd --admin-listen systemd");
    struct conf any = loaded("--listen 127.0.0.1:0 --admin-listen 127.0.0.1:0");
    conf_free(&systemd);
    conf_free(&any);
}
END_TEST

START_TEST(a_reload_loses_neither_file_nor_keys)
{
    struct conf guarded = loaded_with_file("api_keys = \"/keys\";\n", "");
    struct conf other = loaded_with_file("api_keys = \"/other\";\ntop_k = 1;\n", "");
    struct conf open = loaded_with_file("top_k = 1;\n", "");
    struct conf without_file = loaded("--api-keys /keys");
    struct conf empty = loaded_with_file("", "--api-keys /keys");
    struct conf silent = loaded_with_file("# top_k = 1;\n", "--api-keys /keys");
    struct error err = {0};
    ck_assert_int_eq(conf_check_reload(&guarded, &other, &err), ERR_OK);
    ck_assert_int_eq(conf_check_reload(&open, &guarded, &err), ERR_OK);
    ck_assert_int_eq(conf_check_reload(&open, &open, &err), ERR_OK);
    ck_assert_int_eq(conf_check_reload(&without_file, &guarded, &err), ERR_OK);
    ck_assert_int_eq(conf_check_reload(&without_file, &without_file, &err), ERR_OK);
    ck_assert_int_eq(conf_check_reload(&guarded, &open, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "api_keys is not set any more"));
    ck_assert_int_eq(conf_check_reload(&without_file, &open, &err), ERR_CONFIG);
    ck_assert_int_eq(conf_check_reload(&guarded, &without_file, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, guarded.file));
    ck_assert_ptr_nonnull(strstr(err.message, " is gone or empty"));
    ck_assert_int_eq(conf_check_reload(&guarded, &empty, &err), ERR_CONFIG);
    ck_assert_int_eq(conf_check_reload(&guarded, &silent, &err), ERR_CONFIG);
    ck_assert_int_eq(conf_check_reload(&empty, &guarded, &err), ERR_OK);
    ck_assert_int_eq(conf_check_reload(&empty, &without_file, &err), ERR_OK);
    conf_free(&empty);
    conf_free(&silent);
    conf_free(&guarded);
    conf_free(&other);
    conf_free(&open);
    conf_free(&without_file);
}
END_TEST

/* `names` with commas. */
static void check_restart_needed(const char *running, const char *wanted, const char *names)
{
    struct conf a = loaded(running), b = loaded(wanted);
    struct conf_keys keys = conf_report_restart_only(&a, &b);
    char joined[256] = "";
    for (size_t i = 0; i < keys.count; i++) {
        strcat(joined, i > 0 ? "," : "");
        strcat(joined, keys.items[i]);
    }
    ck_assert_str_eq(joined, names);
    conf_free(&a);
    conf_free(&b);
}

START_TEST(what_needs_a_restart_is_named)
{
    check_restart_needed("--top-k=3", "--top-k=4 --tls-cert=", "");
    check_restart_needed("--listen=127.0.0.1:1", "--http-threads=2", "listen,http_threads");
    check_restart_needed("", "--tls-cert=/a --tls-key=/b", "tls_cert,tls_key");
    check_restart_needed("--tls-cert=/a --tls-key=/b", "", "tls_cert,tls_key");
    check_restart_needed("--tls-cert=/a --tls-key=/b", "--tls-cert=/c --tls-key=/d", "");
}
END_TEST

TEST_MAIN("conf/conf", 10, defaults_without_any_source, precedence,
          lists_are_replaced_by_the_stronger_source, sockets_of_systemd_are_the_default,
          models_are_replaced_by_the_stronger_source, dashes_equals_and_the_last_value,
          bad_arguments_are_refused, only_a_wrong_command_line_is_wrong_usage,
          bad_variables_are_refused, variables_of_kubernetes_do_no_harm, actions,
          the_service_and_its_administration_share_no_socket, isa_offers_every_instruction_set,
          what_is_printed_can_be_read_again, help_names_every_option_in_80_columns,
          a_reload_loses_neither_file_nor_keys, what_needs_a_restart_is_named)
