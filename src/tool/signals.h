/* Keeps the signals that end a program (SIGHUP, SIGINT, SIGTERM) back while it has files that it
 * must remove. One thread; others must not take these signals. */
#ifndef RESNEXT_TOOL_SIGNALS_H
#define RESNEXT_TOOL_SIGNALS_H

#include <signal.h>

void signals_hold(sigset_t *before);

/* Delivers those that have come since. `before` is from signals_hold. */
void signals_release(const sigset_t *before);

#endif
