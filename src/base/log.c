#include "base/log.h"

#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

static atomic_int current_level = LOG_LEVEL_INFO;
static atomic_int current_format = LOG_FORMAT_TEXT;
static atomic_ulong dropped;
static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER;

const char *const log_level_names[] = {LOG_LEVEL_NAMES(NAME_TEXT) NULL};
const char *const log_format_names[] = {LOG_FORMAT_NAMES(NAME_TEXT) NULL};

static const char *const journal_prefixes[] = {
    [LOG_LEVEL_ERROR] = "<3>",
    [LOG_LEVEL_WARNING] = "<4>",
    [LOG_LEVEL_INFO] = "<6>",
    [LOG_LEVEL_DEBUG] = "<7>",
};

/* A line under construction. What does not fit is left out or cut in a way that keeps the line well
 * formed: ordinary text ends at `FULL`, and what must close it has the rest. */
enum { LINE_MAX_BYTES = 4096, FULL = LINE_MAX_BYTES - sizeof("\"}\n") };

struct line {
    size_t length;
    char text[LINE_MAX_BYTES];
};

void log_configure(enum log_level level, enum log_format format)
{
    atomic_store(&current_level, level);
    atomic_store(&current_format, format);
}

/* Appends all of it or nothing. */
static bool put(struct line *line, const char *s, size_t n)
{
    if (line->length + n > FULL)
        return false;
    memcpy(line->text + line->length, s, n);
    line->length += n;
    return true;
}

static bool put_string(struct line *line, const char *s)
{
    return put(line, s, strlen(s));
}

static void put_closing(struct line *line, char c)
{
    line->text[line->length++] = c;
}

/* One character of a quoted string, in JSON's escapes; invalid UTF-8 becomes U+FFFD. Moves *s on.
 */
static bool put_character(struct line *line, const unsigned char **s)
{
    const unsigned char *c = *s;
    size_t n = utf8_length(c);
    bool special = *c == '"' || *c == '\\';
    char escape[8];
    *s += n == 0 ? 1 : n;
    if (n == 0)
        return put_string(line, "\xef\xbf\xbd");
    if (!special && !utf8_is_control(c))
        return put(line, (const char *)c, n);
    snprintf(escape, sizeof escape, special ? "\\%c" : "\\u%04x", c[n - 1]);
    return put_string(line, escape);
}

/* A quoted string, cut between characters where the line is full. */
static bool put_quoted(struct line *line, const char *text)
{
    if (!put_string(line, "\""))
        return false;
    const unsigned char *s = (const unsigned char *)text;
    while (*s && put_character(line, &s))
        ;
    put_closing(line, '"');
    return true;
}

static bool put_number(struct line *line, double number)
{
    char digits[32];
    if (!isfinite(number))
        snprintf(digits, sizeof digits, "null");
    else if (fabs(number) >= 1e15)
        snprintf(digits, sizeof digits, "%.17g", number);
    else
        snprintf(digits, sizeof digits, number == trunc(number) ? "%.0f" : "%.3f", number);
    return put_string(line, digits);
}

/* Each field whole or not at all. */
static void put_fields(struct line *line, const struct log_field *fields, size_t count, bool json)
{
    for (size_t i = 0; i < count; i++) {
        const struct log_field *f = &fields[i];
        size_t before = line->length;
        bool fits =
            json ? put_string(line, ",") && put_quoted(line, f->key) && put_string(line, ":")
                 : put_string(line, " ") && put_string(line, f->key) && put_string(line, "=");
        if (!fits || !(f->text ? put_quoted(line, f->text) : put_number(line, f->number)))
            line->length = before;
    }
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
    put_quoted(line, log_level_names[level]);
    put_string(line, ",\"message\":");
    put_quoted(line, message);
    put_fields(line, fields, count, true);
    put_closing(line, '}');
}

/* Message text is the program's own, but may quote outside bytes: control characters become '?'. */
static void put_message(struct line *line, const char *message)
{
    while (*message) {
        const unsigned char *c = (const unsigned char *)message;
        bool control = utf8_is_control(c);
        if (!put(line, control ? "?" : message, 1))
            return;
        message += control ? utf8_length(c) : 1;
    }
}

/* JOURNAL_STREAM may be inherited while standard error goes elsewhere (systemd.exec(5)). */
static bool writes_to_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t device, inode;
    struct stat st;
    return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static void format_text(struct line *line, enum log_level level, const char *message,
                        const struct log_field *fields, size_t count)
{
    if (writes_to_journal()) {
        put_string(line, journal_prefixes[level]);
    } else {
        put_time(line);
        put_string(line, " ");
        put_string(line, log_level_names[level]);
        put_string(line, " ");
    }
    put_message(line, message);
    put_fields(line, fields, count, false);
}

/* Whether standard error takes a line without making us wait. A pipe that poll(2) calls writable
 * has space for PIPE_BUF bytes, which is the longest line; only another process that writes to the
 * same pipe at this very moment can take it away. */
static bool has_space(void)
{
    struct pollfd stream = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&stream, 1, 0) > 0 && stream.revents & POLLOUT;
}

static void write_line(const struct line *line)
{
    pthread_mutex_lock(&write_lock);
    if (!has_space() || write(STDERR_FILENO, line->text, line->length) < 0)
        atomic_fetch_add(&dropped, 1);
    pthread_mutex_unlock(&write_lock);
}

static void put_event(enum log_level level, const char *message, const struct log_field *fields,
                      size_t count)
{
    struct line line;
    line.length = 0; /* no need to clear the rest */
    if (atomic_load(&current_format) == LOG_FORMAT_JSON)
        format_json(&line, level, message, fields, count);
    else
        format_text(&line, level, message, fields, count);
    put_closing(&line, '\n');
    write_line(&line);
}

/* --- repeats --- */

/* Of warnings and errors with the same message, so many are written in a period; the others are
 * counted, and the count is written when the period is over and something else is logged. */
enum { REPEATS_WRITTEN = 5, REPEATS_TRACKED = 16, REPEAT_TEXT = 128 };

enum { REPEAT_PERIOD_S = 10 };

struct repeat {
    char message[REPEAT_TEXT]; /* as much of it as tells messages apart */
    enum log_level level;
    int64_t since_ns;
    unsigned count;
};

static struct repeat repeats[REPEATS_TRACKED];
static pthread_mutex_t repeat_lock = PTHREAD_MUTEX_INITIALIZER;

static void tell_repeats(const struct repeat *r)
{
    const struct log_field fields[] = {
        {.key = "times", .number = r->count - REPEATS_WRITTEN},
        {.key = "line", .text = r->message},
    };
    put_event(r->level, "repeated lines were left out", fields, 2);
}

/* Forgets the oldest of those whose period is over, and copies it if it has something to tell. */
static bool expire_one(int64_t now, struct repeat *out)
{
    bool found = false;
    pthread_mutex_lock(&repeat_lock);
    for (size_t i = 0; i < REPEATS_TRACKED && !found; i++) {
        if (repeats[i].count == 0 || now - repeats[i].since_ns < REPEAT_PERIOD_S * NS_PER_S)
            continue;
        found = repeats[i].count > REPEATS_WRITTEN;
        *out = repeats[i];
        repeats[i].count = 0;
    }
    pthread_mutex_unlock(&repeat_lock);
    return found;
}

/* Counts one more of a message; false if there were enough of it. What finds no place is written.
 */
static bool may_repeat(enum log_level level, const char *message, int64_t now)
{
    struct repeat *free_one = NULL, *r = NULL;
    pthread_mutex_lock(&repeat_lock);
    for (size_t i = 0; i < REPEATS_TRACKED && !r; i++) {
        if (repeats[i].count == 0)
            free_one = &repeats[i];
        else if (repeats[i].level == level &&
                 strncmp(repeats[i].message, message, REPEAT_TEXT - 1) == 0)
            r = &repeats[i];
    }
    if (!r && free_one) {
        r = free_one;
        *r = (struct repeat){.level = level, .since_ns = now};
        snprintf(r->message, sizeof r->message, "%s", message);
    }
    bool may = !r || ++r->count <= REPEATS_WRITTEN;
    pthread_mutex_unlock(&repeat_lock);
    return may;
}

void log_event(enum log_level level, const char *message, const struct log_field *fields,
               size_t count)
{
    struct repeat over;
    if ((int)level > atomic_load(&current_level))
        return;
    int64_t now = clock_monotonic_ns();
    while (expire_one(now, &over))
        tell_repeats(&over);
    if (level > LOG_LEVEL_WARNING || may_repeat(level, message, now))
        put_event(level, message, fields, count);
}

unsigned long log_dropped(void)
{
    return atomic_load(&dropped);
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
