#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/options.h"

/* A string as libconfig reads it back. */
static void print_quoted(const char *text)
{
    putchar('"');
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        if (*s == '"' || *s == '\\')
            printf("\\%c", *s);
        else if (*s < 0x20 || *s == 0x7f)
            printf("\\x%02x", *s);
        else
            putchar(*s);
    }
    putchar('"');
}

static void print_list(const struct text_list *list)
{
    printf("[");
    for (size_t i = 0; i < list->count; i++) {
        printf(i == 0 ? " " : ", ");
        print_quoted(list->items[i]);
    }
    printf(" ]");
}

static void print_option(const struct conf *conf, const struct conf_option *option)
{
    const void *value = (const char *)conf + option->offset;
    printf("%s = ", option->key);
    switch (option->type) {
    case CONF_INTEGER:
        printf("%" PRId64, *(const int64_t *)value);
        break;
    case CONF_CHOICE:
        print_quoted(option->names[*(const unsigned *)value]);
        break;
    case CONF_TEXT:
        print_quoted(*(char *const *)value ? *(char *const *)value : "");
        break;
    case CONF_TEXT_LIST:
        print_list(value);
        break;
    }
    printf(";\n");
}

static void print_models(const struct conf *conf)
{
    printf("models = {\n");
    for (size_t i = 0; i < conf->model_count; i++) {
        const struct conf_model *model = &conf->models[i];
        printf("    %s = { path = ", model->name);
        print_quoted(model->path);
        printf("; precision = ");
        print_quoted(precision_name(model->precision));
        printf("; default = %s; };\n", model->is_default ? "true" : "false");
    }
    printf("};\n");
}

void conf_print(const struct conf *conf)
{
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++)
        print_option(conf, &conf_options[i]);
    print_models(conf);
}

/* Text in lines of at most 72 columns, each after 8 blanks. */
static void print_wrapped(const char *text)
{
    enum { INDENT = 8, WIDTH = 80 };
    int column = 0;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (column > 0 && column + 1 + length > WIDTH) {
            putchar('\n');
            column = 0;
        }
        if (column == 0)
            column = printf("%*s%.*s", INDENT, "", length, text);
        else
            column += printf(" %.*s", length, text);
        text += length;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_option_help(const struct conf_option *option)
{
    char text[512];
    printf("  %s", conf_name(text, option->key, CONF_ARGUMENT));
    switch (option->type) {
    case CONF_INTEGER:
        puts(" N");
        snprintf(text, sizeof text, "%s. %" PRId64 " to %" PRId64 " %s; default %" PRId64 ".",
                 option->help, option->min, option->max, option->unit, option->initial);
        break;
    case CONF_CHOICE:
        conf_list_names(text, option);
        printf(" %s\n", text);
        snprintf(text, sizeof text, "%s. Default %s.", option->help, option->initial_text);
        break;
    case CONF_TEXT:
        puts(" TEXT");
        snprintf(text, sizeof text, "%s. Not set by default.", option->help);
        break;
    case CONF_TEXT_LIST:
        puts(" TEXT (repeatable)");
        snprintf(text, sizeof text,
                 option->initial_text ? "%s. Default %s." : "%s. Not set by default.", option->help,
                 option->initial_text);
        break;
    }
    print_wrapped(text);
}

void conf_print_help(void)
{
    puts("Usage: resnextd [OPTION]...\n"
         "Classifies uploaded JPEGs over HTTP.\n"
         "\n"
         "  --config FILE\n"
         "        read this file; default " SYSCONFDIR "/resnextd/resnextd.conf, if it exists.\n"
         "  --model DIR, --model NAME=DIR (repeatable)\n"
         "        serve these models instead of those in the file; the first is the\n"
         "        default. Without any: the model in " PKGDATADIR "/models.\n"
         "  --check-config\n"
         "        check the configuration and the files it names, and exit.\n"
         "  --print-config\n"
         "        print the configuration in effect, in the syntax of the file, and exit.\n"
         "  --hash-api-key\n"
         "        read a key from standard input, print its line for the file that\n"
         "        api_keys names, and exit.\n"
         "  --help, --version\n"
         "        print this, or the version, and exit.\n"
         "\n"
         "Each option below is also KEY = VALUE in the file, with '_' for '-', and the\n"
         "environment variable RESNEXTD_KEY (RESNEXTD_MODEL for models). The command\n"
         "line overrides the environment, and the environment overrides the file.\n");
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++)
        print_option_help(&conf_options[i]);
}
