/* Every kernel that this machine can run, in every precision, against plain loops. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/kernel.h"
#include "tests/kernel/checker.h"
#include "tests/suite.h"

static void check_all(enum precision precision, enum conv_numbers numbers)
{
    size_t kernels, count = 0;
    const struct conv_kernel *const *list = kernel_conv_list(&kernels), *here[64];
    ck_assert_uint_le(kernels, sizeof here / sizeof here[0]);
    for (size_t k = 0; k < kernels; k++)
        if (list[k]->precision == precision && kernel_runs_here(list[k]))
            here[count++] = list[k];
    check_kernels(here, count, numbers);
}

START_TEST(f32_kernels_equal_plain_loops)
{
    check_all(PRECISION_F32, NUMBERS_USUAL);
}
END_TEST

START_TEST(bf16_kernels_equal_plain_loops)
{
    check_all(PRECISION_BF16, NUMBERS_USUAL);
}
END_TEST

/* A network whose numbers overflowed must not answer as if nothing had happened. */
START_TEST(not_a_number_passes_relu)
{
    check_all(PRECISION_F32, NUMBERS_EXTREME);
    check_all(PRECISION_BF16, NUMBERS_EXTREME);
}
END_TEST

START_TEST(int8_kernels_equal_plain_loops_to_the_bit)
{
    check_all(PRECISION_INT8, NUMBERS_USUAL);
}
END_TEST

START_TEST(int8_kernels_bear_extreme_numbers)
{
    check_all(PRECISION_INT8, NUMBERS_EXTREME);
}
END_TEST

/* Kernels with one fault each, which the checker must see. Their `impl` is the sound reference. */

static size_t last_output(const struct conv_call *call)
{
    const struct conv_shape *s = call->shape;
    return (size_t)(call->images * s->out_h * s->out_w * s->out_c) - 1;
}

static void run_off_by_one(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct conv_kernel *sound = self->impl;
    sound->method->run(sound, call);
    uint8_t *y = call->y;
    if (call->output == CONV_OUTPUT_ELEMENT &&
        call->tile_end == sound->method->tile_count(sound, call->shape, call->images))
        y[last_output(call)] ^= 1;
}

static void run_without_last_tile(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct conv_kernel *sound = self->impl;
    struct conv_call less = *call;
    if (less.tile_end == sound->method->tile_count(sound, call->shape, call->images) &&
        less.tile_end > less.tile_begin)
        less.tile_end--;
    sound->method->run(sound, &less);
}

static void run_all_tiles(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct conv_kernel *sound = self->impl;
    struct conv_call more = *call;
    more.residual = call->residual == call->y ? NULL : call->residual;
    more.tile_begin = 0;
    more.tile_end = sound->method->tile_count(sound, call->shape, call->images);
    if (call->tile_begin == call->tile_end)
        return;
    sound->method->run(sound, call->residual == call->y ? call : &more);
}

static void run_without_gate(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct conv_kernel *sound = self->impl;
    struct conv_call without = *call;
    without.gate = NULL;
    sound->method->run(sound, &without);
}

/* All images with the gate of the first one. */
static void run_with_one_gate(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct conv_kernel *sound = self->impl;
    size_t channels = (size_t)call->shape->out_c;
    struct conv_call one = *call;
    float gate[64];
    ck_assert_uint_le((size_t)call->images * channels, sizeof gate / sizeof gate[0]);
    for (size_t i = 0; call->gate && i < (size_t)call->images * channels; i++)
        gate[i] = call->gate[i % channels];
    one.gate = call->gate ? gate : NULL;
    sound->method->run(sound, &one);
}

static void run_off_by_one_if_bounded(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct conv_kernel *sound = self->impl;
    sound->method->run(sound, call);
    if (call->bounded && call->tile_end > call->tile_begin)
        ((uint8_t *)call->y)[last_output(call)] ^= 1;
}

static void run_beyond_y(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct conv_kernel *sound = self->impl;
    sound->method->run(sound, call);
    if (call->tile_end > call->tile_begin)
        ((uint8_t *)
             call->y)[(last_output(call) + 1) * conv_output_size(PRECISION_INT8, call->output)] = 0;
}

static void run_with_old_scratch(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct conv_kernel *sound = self->impl;
    uint8_t before = *(uint8_t *)call->scratch;
    sound->method->run(sound, call);
    if (call->output == CONV_OUTPUT_ELEMENT && call->tile_end > call->tile_begin && before == 0xff)
        ((uint8_t *)call->y)[last_output(call)] ^= 0x10;
}

static void run_beyond_scratch(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct conv_kernel *sound = self->impl;
    sound->method->run(sound, call);
    ((uint8_t *)call->scratch)[1] = 0xff;
}

static void run_beyond_x(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct conv_kernel *sound = self->impl;
    const struct conv_shape *s = call->shape;
    size_t in = (size_t)(call->images * s->in_h * s->in_w * s->in_c);
    volatile uint8_t behind = ((const uint8_t *)call->x)[(in + 63) / 64 * 64 + KERNEL_OVERREAD];
    (void)behind;
    sound->method->run(sound, call);
}

static size_t scratch_of_a_byte(const struct conv_kernel *self, const struct conv_shape *shape)
{
    (void)self;
    (void)shape;
    return 1;
}

static size_t packed_by_height(const struct conv_kernel *self, const struct conv_shape *shape)
{
    const struct conv_kernel *sound = self->impl;
    return sound->method->packed_size(sound, shape) + (shape->out_h > 4);
}

/* What the checker says of the int8 reference with another run function and packed_size (or NULL).
 * The size of the case's y is not a multiple of 64 bytes: so a byte can be written behind it. */
static bool passes(void (*run)(const struct conv_kernel *self, const struct conv_call *call),
                   size_t (*packed_size)(const struct conv_kernel *self,
                                         const struct conv_shape *shape))
{
    static const struct conv_case small = {5, 5, 9, 21, 3, 1, 1, 2};
    struct kernel_isas isas;
    struct conv_data d;
    ck_assert(kernel_isas_select("ref", &isas));
    conv_data_create(&d, &small, PRECISION_INT8, NUMBERS_USUAL, 5);
    const struct conv_kernel *sound = kernel_conv(isas, PRECISION_INT8, &d.shape);
    struct conv_kernel copy = *sound;
    struct conv_method spoiled = *sound->method;
    spoiled.run = run;
    spoiled.scratch_size = scratch_of_a_byte;
    if (packed_size)
        spoiled.packed_size = packed_size;
    copy.impl = sound;
    copy.method = &spoiled;
    struct check c = {.kernel = &copy, .data = &d};
    bool fine = check_kernel(&c, 0);
    ck_assert(fine == (c.why[0] == '\0'));
    conv_data_destroy(&d);
    return fine;
}

START_TEST(spoiled_kernels_are_found_out)
{
    void (*run)(const struct conv_kernel *, const struct conv_call *) =
        kernel_conv((struct kernel_isas){0, 1}, PRECISION_INT8,
                    &(struct conv_shape){5, 5, 9, 5, 5, 21, 3, 1, 1, 1})
            ->method->run;
    ck_assert(passes(run, NULL));
    ck_assert(!passes(run, packed_by_height));
    ck_assert(!passes(run_off_by_one, NULL));
    ck_assert(!passes(run_off_by_one_if_bounded, NULL));
    ck_assert(!passes(run_without_last_tile, NULL));
    ck_assert(!passes(run_all_tiles, NULL));
    ck_assert(!passes(run_without_gate, NULL));
    ck_assert(!passes(run_with_one_gate, NULL));
    ck_assert(!passes(run_beyond_y, NULL));
    ck_assert(!passes(run_beyond_scratch, NULL));
    ck_assert(!passes(run_with_old_scratch, NULL));
}
END_TEST

/* Reading further than is allowed ends the program. */
START_TEST(reading_too_far_is_found_out)
{
    int status;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        fclose(stderr);
        passes(run_beyond_x, NULL);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}
END_TEST

TEST_MAIN("kernel/conv", 120, f32_kernels_equal_plain_loops, bf16_kernels_equal_plain_loops,
          not_a_number_passes_relu, int8_kernels_equal_plain_loops_to_the_bit,
          int8_kernels_bear_extreme_numbers, spoiled_kernels_are_found_out,
          reading_too_far_is_found_out)
