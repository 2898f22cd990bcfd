#include "conf/service_links.h"

#include <stdio.h>
#include <string.h>

#include "conf/options.h"
#include "tests/suite.h"

/* What follows the name of a service or of a link, and a value. The first ones are those of
 * Kubernetes' documentation for a service of one port, with and without a name for it. */
static const struct {
    const char *ending, *value;
} made[] = {
    {"service_host", "10.0.0.11"},
    {"service_host", "fd00::11"},
    {"service_port", "6379"},
    {"service_port_http", "6379"},
    {"service_port_http_metrics", "9090"},
    {"port", "tcp://10.0.0.11:6379"},
    {"port", "udp://10.0.0.11:53"},
    {"port", "sctp://[fd00::11]:53"},
    {"port_6379_tcp", "tcp://10.0.0.11:6379"},
    {"port_6379_tcp_proto", "tcp"},
    {"port_6379_tcp_port", "6379"},
    {"port_6379_tcp_addr", "10.0.0.11"},
    {"port_53_udp", "udp://10.0.0.11:53"},
    {"port_53_udp_addr", "10.0.0.11"},
    {"port_3868_sctp_port", "3868"},
    {"port_6379_tcp_port_end", "6381"},
    {"name", "/web/cache"},
    {"env_workers", "4"},
    {"env_http_threads", ""},
};
enum { MADE = sizeof made / sizeof made[0] };

START_TEST(variables_of_services_and_links_are_known)
{
    static const char *const services[] = {"",       "tls_",  "max_",     "log_",         "models_",
                                           "a_b_c_", "port_", "port_80_", "service_port_"};
    for (size_t s = 0; s < sizeof services / sizeof services[0]; s++)
        for (size_t i = 0; i < MADE; i++) {
            char key[64];
            snprintf(key, sizeof key, "%s%s", services[s], made[i].ending);
            ck_assert_msg(conf_is_service_link(key, made[i].value), "%s", key);
        }
}
END_TEST

START_TEST(no_option_is_one)
{
    ck_assert(!conf_is_service_link("model", "/srv/models/a"));
    for (size_t o = 0; o < CONF_OPTION_COUNT; o++)
        for (size_t i = 0; i < MADE; i++)
            ck_assert_msg(!conf_is_service_link(conf_options[o].key, made[i].value), "%s",
                          conf_options[o].key);
}
END_TEST

START_TEST(what_only_resembles_them_is_not)
{
    static const struct {
        const char *key, *value;
    } cases[] = {
        {"tls_port", "443"},
        {"tls_port", "http://10.0.0.1:80"},
        {"tls_port", "tcp:10.0.0.1:80"},
        {"tls_port", ""},
        {"max_ports", "tcp://10.0.0.1:80"},
        {"max_parts", "tcp://10.0.0.1:80"},
        {"workres", "4"},
        {"rapport", "tcp://10.0.0.1:80"},
        {"port_80", "tcp://10.0.0.1:80"},
        {"port_80_tcpx", "tcp://10.0.0.1:80"},
        {"port_http_tcp", "tcp://10.0.0.1:80"},
        {"port__tcp", "tcp://10.0.0.1:80"},
        {"port_80_", "tcp://10.0.0.1:80"},
        {"microservice_host", "10.0.0.1"},
        {"service_hosts", "10.0.0.1"},
        {"service_ports", "80"},
        {"name", "cache"},
        {"name", "/srv"},
        {"tls_name", ""},
        {"env", "4"},
        {"env_", "4"},
        {"environment", "4"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_msg(!conf_is_service_link(cases[i].key, cases[i].value), "%s=%s", cases[i].key,
                      cases[i].value);
}
END_TEST

TEST_MAIN("conf/service_links", 10, variables_of_services_and_links_are_known, no_option_is_one,
          what_only_resembles_them_is_not)
