#include "base/log.h"

#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

static atomic_int current_level = LOG_LEVEL_INFO;
static atomic_int current_format = LOG_FORMAT_TEXT;

static const struct {
    const char *name;
    const char *journal_prefix;
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", "<3>"},
    [LOG_LEVEL_WARNING] = {"warning", "<4>"},
    [LOG_LEVEL_INFO] = {"info", "<6>"},
    [LOG_LEVEL_DEBUG] = {"debug", "<7>"},
};

/* A line under construction; what does not fit is cut, the newline always fits. */
struct line {
    size_t length;
    char text[4096];
};

void log_configure(enum log_level level, enum log_format format)
{
    atomic_store(&current_level, level);
    atomic_store(&current_format, format);
}

static void put(struct line *line, const char *s, size_t n)
{
    size_t room = sizeof line->text - 2 - line->length;
    n = n < room ? n : room;
    memcpy(line->text + line->length, s, n);
    line->length += n;
}

static void put_string(struct line *line, const char *s)
{
    put(line, s, strlen(s));
}

/* A quoted string in JSON's escapes; invalid UTF-8 becomes U+FFFD. */
static void put_quoted(struct line *line, const char *text)
{
    put_string(line, "\"");
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = utf8_length(s);
        char escape[8];
        if (n == 0) {
            put_string(line, "\xef\xbf\xbd");
            n = 1;
        } else if (*s < 0x20 || *s == 0x7f || *s == '"' || *s == '\\') {
            snprintf(escape, sizeof escape, *s == '"' || *s == '\\' ? "\\%c" : "\\u%04x", *s);
            put_string(line, escape);
        } else {
            put(line, (const char *)s, n);
        }
        s += n;
    }
    put_string(line, "\"");
}

static void put_number(struct line *line, double number)
{
    char digits[32];
    if (!isfinite(number))
        snprintf(digits, sizeof digits, "null");
    else if (number == trunc(number) && fabs(number) < 1e15)
        snprintf(digits, sizeof digits, "%.0f", number);
    else
        snprintf(digits, sizeof digits, "%.3f", number);
    put_string(line, digits);
}

static void put_value(struct line *line, const struct log_field *field)
{
    if (field->text)
        put_quoted(line, field->text);
    else
        put_number(line, field->number);
}

static void put_time(struct line *line)
{
    struct timespec now;
    struct tm utc;
    char stamp[48];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(stamp + n, sizeof stamp - n, ".%03ldZ", now.tv_nsec / 1000000);
    put_string(line, stamp);
}

static void format_json(struct line *line, enum log_level level, const char *message,
                        const struct log_field *fields, size_t count)
{
    put_string(line, "{\"time\":\"");
    put_time(line);
    put_string(line, "\",\"level\":");
    put_quoted(line, levels[level].name);
    put_string(line, ",\"message\":");
    put_quoted(line, message);
    for (size_t i = 0; i < count; i++) {
        put_string(line, ",");
        put_quoted(line, fields[i].key);
        put_string(line, ":");
        put_value(line, &fields[i]);
    }
    put_string(line, "}");
}

/* Message text is the program's own, but may quote outside bytes: control characters are cut. */
static void put_message(struct line *line, const char *message)
{
    size_t start = line->length;
    put_string(line, message);
    for (size_t i = start; i < line->length; i++)
        if ((unsigned char)line->text[i] < 0x20 || line->text[i] == 0x7f)
            line->text[i] = '?';
}

static void format_text(struct line *line, enum log_level level, const char *message,
                        const struct log_field *fields, size_t count)
{
    if (getenv("JOURNAL_STREAM")) {
        put_string(line, levels[level].journal_prefix);
    } else {
        put_time(line);
        put_string(line, " ");
        put_string(line, levels[level].name);
        put_string(line, " ");
    }
    put_message(line, message);
    for (size_t i = 0; i < count; i++) {
        put_string(line, " ");
        put_string(line, fields[i].key);
        put_string(line, "=");
        put_value(line, &fields[i]);
    }
}

void log_event(enum log_level level, const char *message, const struct log_field *fields,
               size_t count)
{
    if ((int)level > atomic_load(&current_level))
        return;
    struct line line = {0};
    if (atomic_load(&current_format) == LOG_FORMAT_JSON)
        format_json(&line, level, message, fields, count);
    else
        format_text(&line, level, message, fields, count);
    line.text[line.length++] = '\n';
    ssize_t written = write(STDERR_FILENO, line.text, line.length);
    (void)written;
}

#define LOG_FUNCTION(name, level)                                                                  \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        char message[1024];                                                                        \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        vsnprintf(message, sizeof message, format, args);                                          \
        va_end(args);                                                                              \
        log_event(level, message, NULL, 0);                                                        \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
