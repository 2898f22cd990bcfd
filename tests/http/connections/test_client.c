#include "http/connections/client.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <sys/un.h>

#include "tests/suite.h"

static struct client client4(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(1)};
    struct client client;
    ck_assert_int_eq(inet_pton(AF_INET, text, &address.sin_addr), 1);
    client_describe(&client, (const struct sockaddr *)(const void *)&address);
    ck_assert_str_eq(client.text, text);
    return client;
}

static struct client client6(const char *text)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(1)};
    struct client client;
    ck_assert_int_eq(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
    client_describe(&client, (const struct sockaddr *)(const void *)&address);
    ck_assert_str_eq(client.text, text);
    return client;
}

static bool same(struct client a, struct client b)
{
    return IN6_ARE_ADDR_EQUAL(&a.source, &b.source);
}

START_TEST(a_64_of_ipv6_is_one_client)
{
    ck_assert(same(client6("2001:db8:1:2::1"), client6("2001:db8:1:2:ffff:1:2:3")));
    ck_assert(!same(client6("2001:db8:1:2::1"), client6("2001:db8:1:3::1")));
    ck_assert(same(client6("::1"), client6("::2")));
}
END_TEST

START_TEST(an_address_of_ipv4_is_one_client)
{
    ck_assert(same(client4("192.0.2.1"), client4("192.0.2.1")));
    ck_assert(!same(client4("192.0.2.1"), client4("192.0.2.2")));
    ck_assert(same(client4("192.0.2.1"), client6("::ffff:192.0.2.1")));
    ck_assert(!same(client6("::ffff:192.0.2.1"), client6("::ffff:192.0.2.2")));
    ck_assert(!same(client4("192.0.2.1"), client6("::1")));
}
END_TEST

START_TEST(only_a_unix_socket_has_no_address)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct client client;
    client_describe(&client, (const struct sockaddr *)(const void *)&address);
    ck_assert_str_eq(client.text, "unix");
    ck_assert(IN6_IS_ADDR_UNSPECIFIED(&client.source));
    struct client local = client6("::1"), other = client4("127.0.0.1");
    ck_assert(!IN6_IS_ADDR_UNSPECIFIED(&local.source));
    ck_assert(!IN6_IS_ADDR_UNSPECIFIED(&other.source));
}
END_TEST

TEST_MAIN("http/client", 10, a_64_of_ipv6_is_one_client, an_address_of_ipv4_is_one_client,
          only_a_unix_socket_has_no_address)
