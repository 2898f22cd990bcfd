#include "image/orientation.h"

#include <string.h>

#include "tests/suite.h"

#define EXIF         "Exif\0\0"
#define LITTLE       EXIF "II*\0\x08\0\0\0"
#define BIG          EXIF "MM\0*\0\0\0\x08"
#define BYTES(text)  text, sizeof(text) - 1
#define BIG_ENTRY(v) "\x01\x12\0\x03\0\0\0\x01\0" v "\0\0"

START_TEST(orientation_is_read_from_any_bytes)
{
    static const struct {
        const char *app1;
        size_t length;
        int want;
    } cases[] = {
        {BYTES(""), 0},
        {BYTES("http://ns.adobe.com/xap/1.0/"), 0},
        {BYTES("Exif"), 0},
        {BYTES("Exif\0"), 0},
        {BYTES("Exif\0\xff"
               "MM\0*\0\0\0\x08"
               "\0\x01" BIG_ENTRY("\x06")),
         0},
        {BYTES(EXIF), 1},
        {BYTES(EXIF "II*\0\x08\0\0"), 1},
        {BYTES(LITTLE), 1},
        {BYTES(BIG "\0"), 1},
        {BYTES(BIG "\0\x01"), 1},
        {BYTES(LITTLE "\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"), 6},
        {BYTES(LITTLE "\x01\0\x12\x01\x04\0\x01\0\0\0\x08\0\0\0"), 8},
        {BYTES(BIG "\0\x01" BIG_ENTRY("\x03")), 3},
        {BYTES(BIG "\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0"), 1},               /* one byte short */
        {BYTES(BIG "\0\x02\x01\x0f\0\x02\0\0\0\x01xxxx" BIG_ENTRY("\x05")), 5}, /* the second */
        {BYTES(BIG "\0\x01\x01\x0f\0\x02\0\0\0\x01xxxx" BIG_ENTRY("\x05")), 1}, /* not counted */
        {BYTES(BIG "\xff\xff" BIG_ENTRY("\x02") BIG_ENTRY("\x07")), 7}, /* the last counts */
        {BYTES(BIG "\0\x01" BIG_ENTRY("\0")), 1},
        {BYTES(BIG "\0\x01" BIG_ENTRY("\x09")), 1},
        {BYTES(BIG "\0\x01\x01\x12\0\x01\0\0\0\x01\x06\0\0\0"), 1},   /* of type BYTE */
        {BYTES(BIG "\0\x01\x01\x12\0\x08\0\0\0\x01\0\x06\0\0"), 6},   /* of type SSHORT */
        {BYTES(BIG "\0\x01\x01\x12\0\x08\0\0\0\x01\xff\xfa\0\0"), 1}, /* -6 */
        {BYTES(BIG "\0\x01\x01\x12\0\x03\0\0\0\x02\0\x06\0\x03"), 6}, /* two values */
        {BYTES(BIG "\0\x01\x01\x12\0\x03\0\0\0\0\0\x06\0\0"), 1},     /* none */
        {BYTES(BIG "\0\x01\x01\x12\0\x0b\0\0\0\x01\x40\xc0\0\0"), 6}, /* the FLOAT 6.0 */
        {BYTES(BIG "\0\x01\x01\x12\0\x05\0\0\0\x01\0\0\0\x16\0\0\0\x0c\0\0\0\x02"), 6}, /* 12 / 2 */
        {BYTES(BIG "\0\x01\x01\x12\0\x05\0\0\0\x01\0\0\0\x16\0\0\0\x0c\0\0\0\0"), 1},   /* 12 / 0 */
        {BYTES(BIG "\0\x01\x01\x12\0\x05\0\0\0\x01\0\0\0\x17\0\0\0\x0c\0\0\0\x02"),
         1}, /* a byte short */
        {BYTES(BIG "\0\x01\x01\x12\0\x05\xff\xff\xff\xff\0\0\0\x08"), 1},
        {BYTES(BIG "\0\x02\x01\x0f\0\x02\0\0\0\x05\0\0\0\xff" BIG_ENTRY("\x06")),
         1}, /* behind lost text */
        {BYTES(BIG "\0\x02\x01\x0f\0\x63\0\0\0\x05\0\0\0\xff" BIG_ENTRY("\x06")),
         6}, /* and an odd type */
        {BYTES(EXIF BIG "\0\x01" BIG_ENTRY("\x06")), 6},
        {BYTES(EXIF "XX\0*\0\0\0\x08\0\x01" BIG_ENTRY("\x06")), 1},
        {BYTES(EXIF "MM\0*\xff\xff\xff\xff\0\x01" BIG_ENTRY("\x06")), 1},
        {BYTES(EXIF "MM\0*\0\0\0\x15\0\x01" BIG_ENTRY("\x06")), 1}, /* at its last byte */
        {BYTES(EXIF "MM\0*\0\0\0\x0a..\0\x01" BIG_ENTRY("\x06")), 6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        /* A copy of just that size, so that a sanitizer sees a read past it. */
        uint8_t *copy = malloc(cases[i].length ? cases[i].length : 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, cases[i].app1, cases[i].length);
        int got = orientation_parse(copy, cases[i].length);
        ck_assert_msg(got == cases[i].want, "case %zu: %d", i, got);
        free(copy);
    }
}
END_TEST

/* 1 2 3
 * 4 5 6 after each orientation is undone, as EXIF 2.3 draws it. */
START_TEST(pixels_are_put_upright)
{
    static const int file[2][3] = {{1, 2, 3}, {4, 5, 6}};
    static const int upright[9][6] = {
        [ORIENTATION_NORMAL] = {1, 2, 3, 4, 5, 6},
        [ORIENTATION_FLIP_X] = {3, 2, 1, 6, 5, 4},
        [ORIENTATION_ROTATE_180] = {6, 5, 4, 3, 2, 1},
        [ORIENTATION_FLIP_Y] = {4, 5, 6, 1, 2, 3},
        [ORIENTATION_TRANSPOSE] = {1, 4, 2, 5, 3, 6},
        [ORIENTATION_ROTATE_90] = {4, 1, 5, 2, 6, 3},
        [ORIENTATION_TRANSVERSE] = {6, 3, 5, 2, 4, 1},
        [ORIENTATION_ROTATE_270] = {3, 6, 2, 5, 1, 4},
    };
    for (int i = ORIENTATION_NORMAL; i <= ORIENTATION_ROTATE_270; i++) {
        enum orientation o = (enum orientation)i;
        bool swaps = orientation_swaps(o);
        int columns = swaps ? 2 : 3, rows = swaps ? 3 : 2;
        for (int at = 0; at < 6; at++) {
            int x = at % columns, y = at / columns;
            x = orientation_reverses_columns(o) ? columns - 1 - x : x;
            y = orientation_reverses_rows(o) ? rows - 1 - y : y;
            ck_assert_int_eq(swaps ? file[x][y] : file[y][x], upright[o][at]);
        }
    }
}
END_TEST

TEST_MAIN("image/orientation", 10, orientation_is_read_from_any_bytes, pixels_are_put_upright)
