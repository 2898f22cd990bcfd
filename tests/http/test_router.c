#include "http/router.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/endpoints/asset.h"
#include "tests/suite.h"

static json_t *read_paths(void)
{
    char path[4096];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof path, "%s/src/http/web/openapi.json", top ? top : ".");
    json_error_t why;
    json_t *contract = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    ck_assert_msg(contract != NULL, "%s: %s, line %d", path, why.text, why.line);
    json_t *paths = json_incref(json_object_get(contract, "paths"));
    ck_assert(json_is_object(paths));
    json_decref(contract);
    return paths;
}

/* A path of the contract as the router writes it: "/v2/models/{name}" is "/v2/models/" and a star.
 */
static void write_pattern(const char *path, char pattern[256])
{
    size_t length = 0;
    for (; *path; path++) {
        ck_assert_uint_lt(length, 255);
        pattern[length++] = *path == '{' ? '*' : *path;
        if (*path == '{')
            path = strchr(path, '}');
        ck_assert_ptr_nonnull(path);
    }
    pattern[length] = '\0';
}

/* Whether the router has this path and method; "get" stands for GET and HEAD. */
static bool is_route(const char *path, const char *method)
{
    char pattern[256];
    write_pattern(path, pattern);
    const struct route *route;
    for (size_t i = 0; (route = router_route(i)); i++)
        if (strcmp(route->path, pattern) == 0 && strcasecmp(route->method, method) == 0)
            return true;
    return false;
}

START_TEST(contract_and_routes_are_the_same)
{
    json_t *paths = read_paths(), *operations, *operation;
    const char *path, *method;
    size_t promised = 0, count = 0;
    json_object_foreach(paths, path, operations) json_object_foreach(operations, method, operation)
    {
        if (strcmp(method, "parameters") == 0)
            continue;
        ck_assert_msg(is_route(path, method), "no route for %s %s", method, path);
        promised++;
    }
    json_decref(paths);
    while (router_route(count))
        count++;
    ck_assert_msg(promised == count, "%zu calls in openapi.json, %zu routes", promised, count);
}
END_TEST

START_TEST(every_asset_has_a_route)
{
    ck_assert_uint_gt(asset_count, 0);
    for (size_t i = 0; i < asset_count; i++) {
        const char *path = assets[i].route.path;
        ck_assert_msg(is_route(path, "get"), "no route for %s", path);
        ck_assert_uint_gt(assets[i].length, 0);
        ck_assert(assets[i].etag[0] == '"' && strlen(assets[i].etag) == 34);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(assets[i].etag, assets[j].etag);
    }
}
END_TEST

TEST_MAIN("http/router", 10, contract_and_routes_are_the_same, every_asset_has_a_route)
