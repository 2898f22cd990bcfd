/* Messages to the service manager: sd_notify(3) without its wait. */
#ifndef RESNEXT_BASE_NOTIFY_H
#define RESNEXT_BASE_NOTIFY_H

#include <stdbool.h>

/* A start or a reload is over. */
#define NOTIFY_READY "READY=1\nSTATUS=serving"

/* Sends `state`, lines of NAME=VALUE, to the socket that NOTIFY_SOCKET names, if any. If the
 * manager does not read, this waits for at most a second; then the message is lost with a warning,
 * and the result is false. Allocates nothing. Any thread. */
bool notify(const char *state);

#endif
