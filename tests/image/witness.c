#include "tests/image/witness.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include "base/check.h"

enum { KINDS_MAX = 200 };

struct witness {
    struct jpeg_error_mgr callbacks; /* first, so that libjpeg's pointer to it is one to this */
    jmp_buf escape;
    bool warned[KINDS_MAX];
};

static void on_error(j_common_ptr info)
{
    longjmp(((struct witness *)info->err)->escape, 1);
}

static void on_message(j_common_ptr info, int level)
{
    if (level >= 0)
        return;
    CHECK(info->err->msg_code < KINDS_MAX);
    ((struct witness *)info->err)->warned[info->err->msg_code] = true;
}

static void decode(struct jpeg_decompress_struct *info, struct bytes file)
{
    jpeg_mem_src(info, file.data, file.length);
    jpeg_read_header(info, TRUE);
    jpeg_start_decompress(info);
    JSAMPARRAY row =
        info->mem->alloc_sarray((j_common_ptr)info, JPOOL_IMAGE,
                                info->output_width * (JDIMENSION)info->output_components, 1);
    while (info->output_scanline < info->output_height)
        jpeg_read_scanlines(info, row, 1);
}

void witness_print(struct bytes file)
{
    struct witness witness = {0};
    struct jpeg_decompress_struct info = {.err = jpeg_std_error(&witness.callbacks)};
    char text[JMSG_LENGTH_MAX];
    witness.callbacks.error_exit = on_error;
    witness.callbacks.emit_message = on_message;
    if (setjmp(witness.escape) == 0) {
        jpeg_create_decompress(&info);
        decode(&info, file);
        printf("decodes");
    } else {
        witness.callbacks.format_message((j_common_ptr)&info, text);
        printf("fails: %s", text);
    }
    for (int i = 0; i < KINDS_MAX; i++) {
        if (witness.warned[i])
            printf("; %s", witness.callbacks.jpeg_message_table[i]);
    }
    printf("\n");
    jpeg_destroy_decompress(&info);
}
