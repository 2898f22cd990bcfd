/* Certificates for libmicrohttpd's TLS, replaced while connections are open. */
#ifndef RESNEXT_HTTP_CONNECTIONS_TLS_H
#define RESNEXT_HTTP_CONNECTIONS_TLS_H

#include <gnutls/abstract.h>

#include "base/error.h"
#include "conf/conf.h"

struct tls_pair;

/* TLS 1.3, and the parts of TLS 1.2 with forward secrecy and authenticated encryption, in the
 * syntax of GnuTLS ("Priority strings" in its manual). */
extern const char tls_priorities[];

/* Reads tls_cert and tls_key, which must be set, and checks that they belong together. Warns if the
 * certificate has expired. ERR_CONFIG says which file is wrong; ERR_IO, ERR_NO_MEMORY. `*out`
 * belongs to the caller until tls_use. */
int tls_read(struct tls_pair **out, const struct conf *conf, struct error *err);
void tls_pair_free(struct tls_pair *pair);

/* New handshakes use this pair from now on, and tls owns it. Handshakes that have begun go on with
 * the old pair, which therefore stays until tls_end. If both pairs are the same, nothing changes.
 * One thread at a time. */
void tls_use(struct tls_pair *pair);

/* Frees all pairs. There must be no TLS connection left. */
void tls_end(void);

/* MHD_OPTION_HTTPS_CERT_CALLBACK. */
int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                 const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                 gnutls_pcert_st **certificates, unsigned *certificate_count,
                 gnutls_privkey_t *key);

#endif
