#include "http/connections/tls.h"

#include <gnutls/x509.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "conf/credential.h"

const char tls_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:"
                              "-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-MAC-ALL:+AEAD:%SERVER_PRECEDENCE";

enum { FILE_MAX = 1 << 20, CHAIN_MAX = 16, KEY_ID = 32 };

struct tls_pair {
    struct tls_pair *older;
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned count;
    gnutls_privkey_t key;
    unsigned char id[KEY_ID];          /* of the key */
    unsigned char fingerprint[KEY_ID]; /* SHA-256 of the certificate file */
};

/* GnuTLS asks for certificates without saying for whom, so there is one list for the process. */
static _Atomic(struct tls_pair *) current;

static int bad_file(struct error *err, const char *key, const char *path, int code)
{
    return error_set(err, ERR_CONFIG, "%s: %s: %s", key, path, gnutls_strerror(code));
}

static int read_pem(struct text *text, char path[PATH_MAX], const char *key, const char *value,
                    struct error *err)
{
    int code = text_resolve(path, key, value, err);
    if (code != ERR_OK)
        return code;
    code = text_read(text, path, FILE_MAX, err);
    return code == ERR_OK ? ERR_OK : error_prefix(err, code, "%s", key);
}

static void warn_of_expiry(gnutls_x509_crt_t certificate, const char *path)
{
    time_t end = gnutls_x509_crt_get_expiration_time(certificate);
    if (end < time(NULL))
        log_warning("tls_cert: %s has expired", path);
}

static int take_chain(struct tls_pair *pair, const struct text *text, const char *path,
                      struct error *err)
{
    const gnutls_datum_t pem = {(unsigned char *)text->bytes, (unsigned)text->length};
    gnutls_x509_crt_t certificates[CHAIN_MAX];
    unsigned found = CHAIN_MAX;
    size_t size = sizeof pair->fingerprint, id_size = sizeof pair->id;
    int code = gnutls_x509_crt_list_import(certificates, &found, &pem, GNUTLS_X509_FMT_PEM,
                                           GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    if (code < 0)
        return bad_file(err, "tls_cert", path, code);
    code = gnutls_x509_crt_get_key_id(certificates[0], GNUTLS_KEYID_USE_SHA256, pair->id, &id_size);
    if (code == 0)
        code = gnutls_fingerprint(GNUTLS_DIG_SHA256, &pem, pair->fingerprint, &size);
    if (code == 0)
        warn_of_expiry(certificates[0], path);
    for (unsigned i = 0; i < found; i++) {
        if (code == 0)
            code = gnutls_pcert_import_x509(&pair->chain[i], certificates[i], 0);
        pair->count += code == 0;
        gnutls_x509_crt_deinit(certificates[i]);
    }
    return code == 0 ? ERR_OK : bad_file(err, "tls_cert", path, code);
}

static int take_key(struct tls_pair *pair, const struct text *text, const char *path,
                    struct error *err)
{
    const gnutls_datum_t pem = {(unsigned char *)text->bytes, (unsigned)text->length};
    gnutls_x509_privkey_t key;
    unsigned char id[KEY_ID];
    size_t size = sizeof id;
    int code = gnutls_x509_privkey_init(&key);
    if (code != 0)
        return bad_file(err, "tls_key", path, code);
    code = gnutls_x509_privkey_import(key, &pem, GNUTLS_X509_FMT_PEM);
    if (code == 0)
        code = gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, id, &size);
    if (code == 0)
        code = gnutls_privkey_init(&pair->key);
    if (code == 0)
        code = gnutls_privkey_import_x509(pair->key, key, GNUTLS_PRIVKEY_IMPORT_COPY);
    gnutls_x509_privkey_deinit(key);
    if (code != 0)
        return bad_file(err, "tls_key", path, code);
    if (memcmp(id, pair->id, sizeof id) != 0)
        return error_set(err, ERR_CONFIG,
                         "tls_key: %s is not the key of the first certificate in %s", path,
                         "tls_cert");
    return ERR_OK;
}

int tls_read(struct tls_pair **out, const struct conf *conf, struct error *err)
{
    char path[PATH_MAX];
    struct text text;
    struct tls_pair *pair = calloc(1, sizeof *pair);
    if (!pair)
        return error_set(err, ERR_NO_MEMORY, "no memory for the certificates");
    int code = read_pem(&text, path, "tls_cert", conf->tls_cert, err);
    if (code == ERR_OK) {
        code = take_chain(pair, &text, path, err);
        text_free(&text);
    }
    if (code == ERR_OK)
        code = read_pem(&text, path, "tls_key", conf->tls_key, err);
    if (code == ERR_OK) {
        text_warn_if_public(&text, path);
        code = take_key(pair, &text, path, err);
        text_free(&text);
    }
    if (code == ERR_OK)
        *out = pair;
    else
        tls_pair_free(pair);
    return code;
}

void tls_pair_free(struct tls_pair *pair)
{
    for (unsigned i = 0; i < pair->count; i++)
        gnutls_pcert_deinit(&pair->chain[i]);
    if (pair->key)
        gnutls_privkey_deinit(pair->key);
    free(pair);
}

void tls_use(struct tls_pair *pair)
{
    struct tls_pair *old = atomic_load(&current);
    if (old && memcmp(old->id, pair->id, KEY_ID) == 0 &&
        memcmp(old->fingerprint, pair->fingerprint, KEY_ID) == 0) {
        tls_pair_free(pair);
        return;
    }
    pair->older = old;
    atomic_store(&current, pair);
}

void tls_end(void)
{
    struct tls_pair *pair = atomic_exchange(&current, NULL);
    while (pair) {
        struct tls_pair *older = pair->older;
        tls_pair_free(pair);
        pair = older;
    }
}

int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                 const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                 gnutls_pcert_st **certificates, unsigned *certificate_count, gnutls_privkey_t *key)
{
    (void)session;
    (void)authorities;
    (void)authority_count;
    (void)algorithms;
    (void)algorithm_count;
    struct tls_pair *pair = atomic_load(&current);
    *certificates = pair->chain;
    *certificate_count = pair->count;
    *key = pair->key;
    return 0;
}
