/* What the mixed client says and what it must hear, as a file:
 *
 *   kind NAME WEIGHT MANNER ARGUMENT SIZE EXPECTED    then SIZE bytes to send and a line break;
 *   expect ENDPOINT ANSWERS                           EXPECTED times, answers in this order;
 *   answer STATUS PIECES                              ANSWERS times, any of which is right;
 *   piece SIZE                                        PIECES times, then SIZE bytes, a line break
 *
 * A body is right that starts with the first piece, ends with the last and has the others in this
 * order between them, so that what differs each time (an id, a duration) can stand between pieces;
 * one piece is the whole body, and with PIECES -1 any body is right. STATUS 0: the connection ends
 * without an answer. ENDPOINT is what answers are counted under, - for those that the server does
 * not count. */
#ifndef RESNEXT_TESTS_LOAD_SCRIPT_H
#define RESNEXT_TESTS_LOAD_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

enum { NAME_SIZE = 64, ENDPOINTS_MAX = 32, STATUS_COUNT = 600 };

/* How a kind of client behaves. */
enum manner {
    KEEP,   /* sends all, reads its answers, keeps the connection */
    CUT,    /* leaves after ARGUMENT percent of what it has to say */
    LEAVE,  /* leaves when it has said all */
    UNREAD, /* leaves when an answer is there, without reading it */
    SLOW,   /* says ARGUMENT bytes every 20 ms, and reads its answers */
    STALL,  /* falls silent after ARGUMENT percent, and reads what it gets for it */
    MANNER_COUNT,
};

struct piece {
    char *bytes;
    size_t size;
};

struct answer {
    int status, piece_count;
    struct piece *pieces;
};

struct expected {
    int endpoint; /* index; -1: not counted */
    int answer_count;
    struct answer *answers;
};

struct counts {
    size_t jobs, right, wrong, refused;
};

struct kind {
    char name[NAME_SIZE];
    double weight;
    enum manner manner;
    int argument;
    struct piece request;
    int expected_count;
    struct expected *expected;
    struct counts counts;
    size_t left;
};

struct script {
    struct kind *kinds;
    int kind_count;
    double weights; /* their sum */
    char endpoints[ENDPOINTS_MAX][NAME_SIZE];
    int endpoint_count;
};

/* Ends the program if the file is not what is told above. To be freed with script_free. */
void script_read(struct script *script, const char *path);
void script_free(struct script *script);

/* Whether one of the answers that are right has this status and body. */
bool script_is_right(const struct expected *e, int status, const char *body, size_t size);

#endif
