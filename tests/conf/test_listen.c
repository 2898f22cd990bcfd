#include "conf/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "tests/suite.h"

static void refused(const char *text, const char *why)
{
    struct listen_address address;
    struct error err = {0};
    ck_assert_int_eq(conf_parse_listen(text, &address, &err), ERR_CONFIG);
    ck_assert_msg(strstr(err.message, why) != NULL, "\"%s\": %s", text, err.message);
    ck_assert_int_eq(conf_parse_listen(text, &address, NULL), ERR_CONFIG);
}

START_TEST(ipv4_with_port)
{
    struct listen_address address;
    struct sockaddr_in in;
    ck_assert_int_eq(conf_parse_listen("192.0.2.1:8080", &address, NULL), ERR_OK);
    ck_assert_int_eq(address.kind, LISTEN_TCP);
    ck_assert_uint_eq(address.length, sizeof in);
    memcpy(&in, &address.address, sizeof in);
    ck_assert_int_eq(in.sin_family, AF_INET);
    ck_assert_uint_eq(ntohs(in.sin_port), 8080);
    ck_assert_uint_eq(ntohl(in.sin_addr.s_addr), 0xc0000201);
}
END_TEST

START_TEST(ipv6_needs_brackets)
{
    struct listen_address address;
    struct sockaddr_in6 in6;
    ck_assert_int_eq(conf_parse_listen("[::1]:0", &address, NULL), ERR_OK);
    ck_assert_int_eq(address.kind, LISTEN_TCP);
    ck_assert_uint_eq(address.length, sizeof in6);
    memcpy(&in6, &address.address, sizeof in6);
    ck_assert_int_eq(in6.sin6_family, AF_INET6);
    ck_assert_uint_eq(ntohs(in6.sin6_port), 0);
    ck_assert_mem_eq(&in6.sin6_addr, &in6addr_loopback, sizeof in6addr_loopback);
    refused("::1:8080", "must be numeric");
    refused("[127.0.0.1]:8080", "must be numeric");
}
END_TEST

START_TEST(unix_paths_with_permissions)
{
    static const struct {
        const char *text, *path;
        int mode;
    } cases[] = {
        {"unix:/run/x:660", "/run/x", 0660}, {"unix:/run/x:0666", "/run/x", 0666},
        {"unix:/run/x:000", "/run/x", 0},    {"unix:/run/x", "/run/x", -1},
        {"unix:/a:b/x:600", "/a:b/x", 0600}, {"unix:/run/x:y", "/run/x:y", -1},
        {"unix:/8080:/x", "/8080:/x", -1},   {"unix:/run/x:66a", "/run/x:66a", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct listen_address address;
        struct sockaddr_un un;
        ck_assert_int_eq(conf_parse_listen(cases[i].text, &address, NULL), ERR_OK);
        memcpy(&un, &address.address, sizeof un);
        ck_assert_str_eq(un.sun_path, cases[i].path);
        ck_assert_int_eq(address.mode, cases[i].mode);
    }
    refused("unix:/run/x:1777", "000 to 777");
    refused("unix:/run/x:66", "000 to 777");
    refused("unix:/run/x:888", "000 to 777");
    refused("unix:/run/x:66000", "000 to 777");
    refused("unix:/run/x:777777777777777777777", "000 to 777");
    refused("unix::660", "must be absolute");
}
END_TEST

START_TEST(unix_paths)
{
    struct listen_address address;
    struct sockaddr_un un;
    char text[200] = "unix:/";
    ck_assert_int_eq(conf_parse_listen("unix:/run/a b/http", &address, NULL), ERR_OK);
    ck_assert_int_eq(address.kind, LISTEN_UNIX);
    memcpy(&un, &address.address, sizeof un);
    ck_assert_int_eq(un.sun_family, AF_UNIX);
    ck_assert_str_eq(un.sun_path, "/run/a b/http");

    memset(text + 6, 'x', 106);
    ck_assert_int_eq(conf_parse_listen(text, &address, NULL), ERR_OK);
    text[6 + 106] = 'x';
    refused(text, "at most 107");
    refused("unix:", "must be absolute");
    refused("unix:run/http", "must be absolute");
    refused("unix:/run/", "must be absolute");
}
END_TEST

START_TEST(systemd_has_no_address)
{
    struct listen_address address;
    ck_assert_int_eq(conf_parse_listen("systemd", &address, NULL), ERR_OK);
    ck_assert_int_eq(address.kind, LISTEN_SYSTEMD);
    ck_assert_uint_eq(address.length, 0);
    refused("systemd:8080", "must be numeric");
    refused("Systemd", "is none of");
}
END_TEST

START_TEST(two_texts_may_name_one_socket)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"127.0.0.1:80", "127.0.0.1:80", true},  {"127.0.0.1:80", "127.0.0.1:81", false},
        {"127.0.0.1:80", "127.0.0.2:80", false}, {"127.0.0.1:080", "127.0.0.1:80", true},
        {"127.0.0.1:0", "127.0.0.1:00", false},  {"[::1]:80", "[0::01]:80", true},
        {"[::1]:0", "[::1]:0", false},           {"0.0.0.0:80", "[::]:80", false},
        {"unix:/a", "unix:/a:660", true},        {"unix:/a:600", "unix:/a:660", true},
        {"unix:/a", "unix:/b", false},           {"systemd", "systemd", false},
        {"systemd", "unix:/a", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq(conf_listen_is_same(cases[i].a, cases[i].b), cases[i].same);
        ck_assert_int_eq(conf_listen_is_same(cases[i].b, cases[i].a), cases[i].same);
    }
}
END_TEST

START_TEST(the_rest_is_refused)
{
    char text[400];
    refused("", "is none of");
    refused("8080", "is none of");
    refused(":8080", "must be numeric");
    refused("localhost:8080", "must be numeric");
    refused("127.1:8080", "must be numeric");
    refused("127.0.0.1", "is none of");
    refused("127.0.0.1:", "port");
    refused("127.0.0.1:65536", "port");
    refused("127.0.0.1:-1", "port");
    refused("127.0.0.1:+1", "port");
    refused("127.0.0.1:80 ", "port");
    refused("127.0.0.1:000080", "port");
    refused("[]:80", "must be numeric");
    refused("[::1:80", "must be numeric");
    refused("[:80", "must be numeric");
    refused("]:80", "must be numeric");
    memset(text, '1', sizeof text);
    memcpy(text + sizeof text - 4, ":80", 4);
    refused(text, "must be numeric");
}
END_TEST

TEST_MAIN("conf/listen", 10, ipv4_with_port, ipv6_needs_brackets, unix_paths,
          unix_paths_with_permissions, systemd_has_no_address, two_texts_may_name_one_socket,
          the_rest_is_refused)
