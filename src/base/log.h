/* Log lines to standard error: text or JSON, one line for each event, written by one write(2). A
 * line has at most 4 KiB: longer texts are cut, fields that do not fit are left out, and the line
 * stays well formed. For systemd's journal (JOURNAL_STREAM) text lines have a priority prefix. Any
 * thread. A full or closed pipe or a full disk loses lines, but never stops the program. Warnings
 * and errors that repeat are written a few times in ten seconds, then counted. */
#ifndef RESNEXT_BASE_LOG_H
#define RESNEXT_BASE_LOG_H

#include <stddef.h>

#include "base/names.h"

#define LOG_LEVEL_NAMES(NAME)                                                                      \
    NAME(LOG_LEVEL_ERROR, "error")                                                                 \
    NAME(LOG_LEVEL_WARNING, "warning")                                                             \
    NAME(LOG_LEVEL_INFO, "info")                                                                   \
    NAME(LOG_LEVEL_DEBUG, "debug")
#define LOG_FORMAT_NAMES(NAME) NAME(LOG_FORMAT_TEXT, "text") NAME(LOG_FORMAT_JSON, "json")

/* The most severe first. */
enum log_level { LOG_LEVEL_NAMES(NAME_VALUE) };
enum log_format { LOG_FORMAT_NAMES(NAME_VALUE) };
extern const char *const log_level_names[], *const log_format_names[];

/* A key and its value: a string if `text` is not NULL, else `number`. Client bytes are safe in
 * `text`: control characters, quotes and invalid UTF-8 are escaped. */
struct log_field {
    const char *key;
    const char *text;
    double number;
};

/* Sets the lowest level that is logged and the format. May be called at any time. Default: info,
 * text. */
void log_configure(enum log_level level, enum log_format format);

/* The number of lines lost. */
unsigned long log_dropped(void);

/* One event with its fields. */
void log_event(enum log_level level, const char *message, const struct log_field *fields,
               size_t count);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
