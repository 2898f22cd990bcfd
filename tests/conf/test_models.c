#include "conf/models.h"

#include <string.h>
#include <unistd.h>

#include "tests/suite.h"

static void named(const char *text, const char *name, const char *path)
{
    struct conf conf = {0};
    struct error err = {0};
    ck_assert_msg(conf_models_add_text(&conf, text, &err) == ERR_OK, "%s: %s", text, err.message);
    ck_assert_uint_eq(conf.model_count, 1);
    ck_assert_str_eq(conf.models[0].name, name);
    ck_assert_str_eq(conf.models[0].path, path);
    ck_assert(!conf.models[0].is_default);
    conf_models_clear(&conf);
}

static void refused(const char *text, const char *why)
{
    struct conf conf = {0};
    struct error err = {0};
    ck_assert_int_eq(conf_models_add_text(&conf, text, &err), ERR_CONFIG);
    ck_assert_msg(strstr(err.message, why) != NULL, "\"%s\": %s", text, err.message);
    ck_assert_uint_eq(conf.model_count, 0);
    conf_models_clear(&conf);
}

START_TEST(a_folder_gives_its_name)
{
    named("resnet18", "resnet18", "resnet18");
    named("/srv/models/resnet18/", "resnet18", "/srv/models/resnet18/");
    named("a//resnext50_32x4d.a1_in1k//", "resnext50_32x4d_a1_in1k",
          "a//resnext50_32x4d.a1_in1k//");
    refused("", "no model name");
    refused("///", "no model name");
    refused("a/50x", "write NAME=a/50x");
    refused("..", "no model name");
}
END_TEST

START_TEST(a_name_may_be_given)
{
    named("photos=/srv/x=y", "photos", "/srv/x=y");
    named("/srv/run=3", "run_3", "/srv/run=3");
    refused("photos=", "model photos has no path");
    refused("50x=/srv/x/7", "no model name");
}
END_TEST

START_TEST(long_names_are_refused)
{
    char text[CONF_MODEL_NAME_MAX + 8];
    memset(text, 'n', sizeof text);
    memcpy(text + CONF_MODEL_NAME_MAX, "=/srv/m", 8);
    struct conf conf = {0};
    ck_assert_int_eq(conf_models_add_text(&conf, text, NULL), ERR_OK);
    ck_assert_uint_eq(strlen(conf.models[0].name), CONF_MODEL_NAME_MAX);
    conf_models_clear(&conf);
    memset(text, 'n', sizeof text);
    text[CONF_MODEL_NAME_MAX + 1] = '\0';
    refused(text, "no model name");
}
END_TEST

START_TEST(names_are_unique)
{
    struct conf conf = {0};
    struct error err = {0};
    ck_assert_int_eq(conf_models_add_text(&conf, "a/x", &err), ERR_OK);
    ck_assert_int_eq(conf_models_add_text(&conf, "b/x", &err), ERR_CONFIG);
    ck_assert_str_eq(err.message, "there are two models called x; name one otherwise");
    conf_models_clear(&conf);
}
END_TEST

START_TEST(there_is_always_one_default)
{
    struct conf conf = {0};
    ck_assert_int_eq(conf_models_complete(&conf, NULL), ERR_OK);
    ck_assert_uint_eq(conf.model_count, 1);
    ck_assert_str_eq(conf.models[0].name, "resnext29-cifar10");
    ck_assert_str_eq(conf.models[0].path, PKGDATADIR "/models/resnext29-cifar10");
    ck_assert(conf.models[0].is_default);
    conf_models_clear(&conf);

    conf_models_add(&conf, "a", "x", NULL, false, NULL);
    conf_models_add(&conf, "b", "y", NULL, false, NULL);
    ck_assert_int_eq(conf_models_complete(&conf, NULL), ERR_OK);
    ck_assert(conf.models[0].is_default && !conf.models[1].is_default);
    conf_models_clear(&conf);

    conf_models_add(&conf, "a", "x", NULL, false, NULL);
    conf_models_add(&conf, "b", "y", "f32", true, NULL);
    conf.precision = 1; /* bf16 */
    ck_assert_int_eq(conf_models_complete(&conf, NULL), ERR_OK);
    ck_assert(!conf.models[0].is_default && conf.models[1].is_default);
    ck_assert_str_eq(precision_name(conf.models[0].precision), "bf16");
    ck_assert_str_eq(precision_name(conf.models[1].precision), "f32");
    conf_models_clear(&conf);
}
END_TEST

START_TEST(without_any_model_the_message_says_how_to_name_one)
{
    struct conf conf = {0};
    struct error err;
    ck_assert_int_eq(conf_models_complete(&conf, NULL), ERR_OK);
    if (access(conf.models[0].path, F_OK) != 0) {
        ck_assert_int_eq(conf_models_check(&conf, &err), ERR_CONFIG);
        ck_assert_ptr_nonnull(strstr(err.message, conf.models[0].path));
        ck_assert_ptr_nonnull(strstr(err.message, "name one with --model DIR"));
    } else {
        ck_assert_int_eq(conf_models_check(&conf, &err), ERR_OK);
    }
    conf_models_clear(&conf);
    ck_assert_int_eq(conf_models_add_text(&conf, "/no/such/model", NULL), ERR_OK);
    ck_assert_int_eq(conf_models_check(&conf, &err), ERR_OK); /* loading says what is wrong */
    conf_models_clear(&conf);
}
END_TEST

TEST_MAIN("conf/models", 10, a_folder_gives_its_name, a_name_may_be_given, long_names_are_refused,
          names_are_unique, there_is_always_one_default,
          without_any_model_the_message_says_how_to_name_one)
