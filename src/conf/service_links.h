/* Environment variables that describe the neighbours of a container. */
#ifndef RESNEXT_CONF_SERVICE_LINKS_H
#define RESNEXT_CONF_SERVICE_LINKS_H

#include <stdbool.h>

/* Whether a variable has the form of those that Kubernetes makes for a service (kubelet's envvars:
 * X_SERVICE_HOST, X_SERVICE_PORT, X_SERVICE_PORT_PORTNAME, X_PORT=tcp://ADDR:N, X_PORT_N_TCP and
 * its _PROTO, _PORT and _ADDR) or Docker for a link (the same without SERVICE, X_NAME=/US/THEM and
 * X_ENV_ANYTHING). `key` is in lower case, without RESNEXTD_, so that X may be missing: a service
 * called resnextd makes RESNEXTD_PORT, one called resnextd-tls RESNEXTD_TLS_PORT. */
bool conf_is_service_link(const char *key, const char *value);

#endif
