#include "serve/metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"

static struct metrics *metrics;
static double gauges[GAUGE_COUNT];
static char *page;

static void create(void)
{
    static const char *const endpoints[] = {"/a", "/b"};
    struct error err;
    ck_assert_int_eq(metrics_create(&metrics, endpoints, 2, &err), ERR_OK);
    ck_assert_uint_eq(metrics_model(metrics, "m"), 0);
}

static void render(void)
{
    size_t length;
    page = metrics_render(metrics, gauges, &length);
    ck_assert_ptr_nonnull(page);
    ck_assert_uint_eq(length, strlen(page));
}

static bool has_line(const char *line)
{
    const char *hit = page;
    while ((hit = strstr(hit, line))) {
        if ((hit == page || hit[-1] == '\n') && hit[strlen(line)] == '\n')
            return true;
        hit++;
    }
    return false;
}

static void destroy(void)
{
    free(page);
    metrics_destroy(metrics);
}

START_TEST(every_metric_has_type_and_help)
{
    create();
    render();
    static const char *const names[] = {
#define COUNTER(id, name, first, second, third, help) name " counter",
#define HISTOGRAM(id, name, label, help)              name " histogram",
#define GAUGE(id, name, type, help)                   name " " type,
#define INFO(id, name, help)                          name " gauge",
#include "serve/metrics.def"
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char line[128];
        snprintf(line, sizeof line, "# TYPE %s", names[i]);
        ck_assert_msg(has_line(line), "missing: %s", line);
        snprintf(line, sizeof line, "# HELP %.*s ", (int)strcspn(names[i], " "), names[i]);
        ck_assert_msg(strstr(page, line), "missing: %s", line);
    }
    destroy();
}
END_TEST

START_TEST(errors_with_a_reason_are_counted)
{
    create();
    metrics_reject(metrics, ERR_NO_TIME);
    metrics_reject(metrics, ERR_PARAMETER);
    metrics_add(metrics, COUNTER_rejected, REASON_CONNECTIONS, 0, 0, 2);
    render();
    ck_assert(has_line("resnextd_rejected_total{reason=\"expected_wait\"} 1"));
    ck_assert(has_line("resnextd_rejected_total{reason=\"connections\"} 2"));
    size_t count = 0;
    for (const char *at = page; (at = strstr(at, "resnextd_rejected_total{")); at++)
        count++;
    ck_assert_uint_eq(count, 10);
    destroy();
}
END_TEST

START_TEST(counters_count_by_their_labels)
{
    create();
    metrics_add(metrics, COUNTER_requests, 1, 0, metrics_code(metrics, 404), 2);
    metrics_add(metrics, COUNTER_requests, 2, metrics_no_model(metrics), metrics_code(metrics, 299),
                1);
    metrics_add(metrics, COUNTER_upload_bytes, 0, 0, 0, 5000000000);
    render();
    ck_assert(has_line("resnextd_requests_total{endpoint=\"/b\",model=\"m\",code=\"404\"} 2"));
    ck_assert(has_line("resnextd_requests_total{endpoint=\"other\",model=\"\",code=\"other\"} 1"));
    ck_assert(has_line("resnextd_upload_bytes_total 5000000000"));
    ck_assert(has_line("resnextd_images_total{model=\"m\"} 0"));
    ck_assert(!strstr(page, "resnextd_images_total{model=\"other\"}"));
    destroy();
}
END_TEST

START_TEST(every_error_status_has_a_code)
{
    create();
    size_t other = metrics_code(metrics, 299);
    ck_assert_uint_ne(metrics_code(metrics, 200), other);
    for (int i = 0; i < ERR_COUNT; i++)
        ck_assert_uint_ne(metrics_code(metrics, error_status(-1 - i)), other);
    destroy();
}
END_TEST

START_TEST(histograms_are_cumulative)
{
    create();
    metrics_observe(metrics, HISTOGRAM_stage_duration, STAGE_DECODE, 700000);
    metrics_observe(metrics, HISTOGRAM_stage_duration, STAGE_DECODE, 1000000);
    metrics_observe(metrics, HISTOGRAM_stage_duration, STAGE_DECODE, 60000000000);
    render();
#define DECODE(suffix, le) "resnextd_stage_duration_seconds" suffix "{stage=\"decode\"" le "} "
    ck_assert(has_line(DECODE("_bucket", ",le=\"0.0005\"") "0"));
    ck_assert(has_line(DECODE("_bucket", ",le=\"0.001\"") "2"));
    ck_assert(has_line(DECODE("_bucket", ",le=\"10\"") "2"));
    ck_assert(has_line(DECODE("_bucket", ",le=\"+Inf\"") "3"));
    ck_assert(has_line(DECODE("_count", "") "3"));
    ck_assert(has_line(DECODE("_sum", "") "60.0017"));
    destroy();
}
END_TEST

START_TEST(models_can_be_added_until_there_is_no_room)
{
    create();
    char name[16];
    for (int i = 1; i < METRICS_MODELS_MAX; i++) {
        snprintf(name, sizeof name, "m%d", i);
        ck_assert_uint_eq(metrics_model(metrics, name), (size_t)i);
    }
    ck_assert_uint_eq(metrics_model(metrics, "m7"), 7);
    size_t other = metrics_model(metrics, "one more");
    ck_assert_uint_eq(other, METRICS_MODELS_MAX);
    metrics_add(metrics, COUNTER_images, other, 0, 0, 3);
    render();
    ck_assert(has_line("resnextd_images_total{model=\"m7\"} 0"));
    ck_assert(has_line("resnextd_images_total{model=\"other\"} 3"));
    ck_assert_ptr_null(strstr(page, "one more"));
    destroy();
}
END_TEST

START_TEST(label_values_are_escaped)
{
    create();
    const char *const labels[] = {"model", "a\"b\\c\nd", NULL};
    char **lines = calloc(2, sizeof *lines);
    lines[0] = metrics_info_line(labels);
    ck_assert_ptr_nonnull(lines[0]);
    metrics_set_info(metrics, INFO_model_info, lines);
    render();
    ck_assert(has_line("resnextd_model_info{model=\"a\\\"b\\\\c\\nd\"} 1"));
    destroy();
}
END_TEST

START_TEST(unknown_gauges_are_left_out)
{
    create();
    gauges[GAUGE_queue_depth] = 7;
    gauges[GAUGE_open_fds] = NAN;
    render();
    ck_assert(has_line("resnextd_queue_depth 7"));
    ck_assert(!strstr(page, "process_open_fds"));
    destroy();
}
END_TEST

START_TEST(the_process_is_described)
{
    metrics_process(gauges);
    ck_assert_double_gt(gauges[GAUGE_resident_bytes], 1e5);
    ck_assert_double_gt(gauges[GAUGE_virtual_bytes], gauges[GAUGE_resident_bytes]);
    ck_assert_double_ge(gauges[GAUGE_open_fds], 1);
    ck_assert_double_ge(gauges[GAUGE_max_fds], gauges[GAUGE_open_fds]);
    ck_assert_double_gt(gauges[GAUGE_cpu_seconds], 0);
    double before = gauges[GAUGE_open_fds];
    FILE *f = fopen("/dev/null", "r");
    metrics_process(gauges);
    fclose(f);
    ck_assert_double_eq(gauges[GAUGE_open_fds], before + 1);
}
END_TEST

TEST_MAIN("serve/metrics", 10, every_metric_has_type_and_help, errors_with_a_reason_are_counted,
          counters_count_by_their_labels, every_error_status_has_a_code, histograms_are_cumulative,
          models_can_be_added_until_there_is_no_room, label_values_are_escaped,
          unknown_gauges_are_left_out, the_process_is_described)
