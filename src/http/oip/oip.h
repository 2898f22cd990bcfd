/* The Open Inference Protocol v2: what has a path that begins with /v2. */
#ifndef RESNEXT_HTTP_OIP_OIP_H
#define RESNEXT_HTTP_OIP_OIP_H

#include <stdbool.h>

/* Whether answers to this path have the protocol's form: errors are {"error": message}. */
bool oip_owns(const char *path);

#endif
