/* Connections that are turned away because too many are open. */
#ifndef RESNEXT_HTTP_REFUSAL_H
#define RESNEXT_HTTP_REFUSAL_H

/* Answers 503 on a fresh socket, naming the option that was reached, without reading. */
void refusal_send(int fd, const char *id, const char *option);

/* The line in the log. */
void refusal_log(const char *id, const char *client, const char *option);

#endif
