#include "tool/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

enum { INTERVAL_NS = 100000000, DEFAULT_COLUMNS = 80, MAX_BAR = 40 };

static bool terminal_can_redraw(void)
{
    const char *kind = getenv("TERM");
    return isatty(STDERR_FILENO) && kind && *kind && strcmp(kind, "dumb") != 0;
}

void progress_start(struct progress *progress, size_t total)
{
    *progress = (struct progress){
        .visible = total > 1 && terminal_can_redraw(),
        .total = total,
        .started_ns = clock_monotonic_ns(),
    };
}

static int columns(void)
{
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : DEFAULT_COLUMNS;
}

static void format_eta(char *text, size_t size, double seconds)
{
    long s = seconds < 360000 ? (long)(seconds + 0.5) : 359999;
    if (s >= 3600)
        snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
}

static void draw(struct progress *progress, int64_t now)
{
    double elapsed = clock_ns_to_s(now - progress->started_ns) + 1e-9;
    double rate = (double)progress->done / elapsed;
    char eta[24], failed[32] = "", text[128], bar[MAX_BAR + 1];
    format_eta(eta, sizeof eta, (double)(progress->total - progress->done) / rate);
    if (progress->failed)
        snprintf(failed, sizeof failed, ", %zu failed", progress->failed);
    int width = snprintf(text, sizeof text, " %zu/%zu  %.1f/s  ETA %s%s", progress->done,
                         progress->total, rate, eta, failed);
    int free_columns = columns() - width - 3; /* some terminals wrap at the last column */
    size_t cells = free_columns > MAX_BAR ? MAX_BAR : free_columns > 0 ? (size_t)free_columns : 0;
    size_t full = (size_t)((double)cells * (double)progress->done / (double)progress->total);
    memset(bar, '#', full);
    memset(bar + full, '.', cells - full);
    bar[cells] = '\0';
    fprintf(stderr, "\r\033[K[%s]%.*s", bar, columns() > 4 ? columns() - 4 : 0, text);
    progress->drawn = true;
    progress->drawn_ns = now;
}

void progress_step(struct progress *progress, bool failed)
{
    progress->done++;
    progress->failed += failed;
    int64_t now = clock_monotonic_ns();
    if (progress->visible && (!progress->drawn || now - progress->drawn_ns >= INTERVAL_NS))
        draw(progress, now);
}

void progress_clear(struct progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}
