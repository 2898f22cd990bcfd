/* Shared by the endpoints that need a worker: from the body to a waiting request, and from its
 * outcome to an answer. */
#ifndef RESNEXT_HTTP_WORK_H
#define RESNEXT_HTTP_WORK_H

#include "http/exchange.h"
#include "http/multipart.h"
#include "http/query.h"

/* The state of the codecs given to work_make: what they need beside the request. */
struct work {
    char id[ID_SIZE];             /* of the exchange, which may end before the request */
    struct multipart_part *parts; /* of a multipart body, one for each part of the request */
    size_t part_count;
    size_t json_length;  /* of a JSON body; 0: it is none */
    size_t max_pictures; /* in it */
    int top_k;           /* unless it says another */
    bool is_one;         /* the endpoint takes one picture a request */
    bool is_list;        /* it is {"instances":...}, and the answer has a list */
};

/* Chooses the exchange's model by name, NULL for the default one. ERR_MODEL_UNKNOWN. */
int work_choose_model(struct exchange *x, const char *name, struct error *err);

/* Reads the query, whose first parameter names the model. ERR_PARAMETER, ERR_MODEL_UNKNOWN. */
int work_read_query(struct exchange *x, struct query_parameter *known, size_t count,
                    struct error *err);

/* Makes the request from a body that is a JPEG, multipart/form-data with file parts, or JSON
 * (json_pictures.h), whose parts work_decode makes. `top_k` is bounded by the classes. The caller
 * may then set the fields of its kind. The codec decodes with work_decode, encodes, and releases
 * with work_release. ERR_BODY_EMPTY, ERR_MULTIPART, ERR_MEDIA_TYPE, ERR_TOO_MANY_PARTS,
 * ERR_PARAMETER (more than REQUEST_PREDICTIONS_MAX), ERR_NO_MEMORY. */
int work_make(struct exchange *x, enum request_kind kind, int top_k,
              const struct request_codec *codec, struct error *err);

/* The same with exactly one picture: ERR_MULTIPART if there are more, ERR_BAD_REQUEST from
 * work_decode. */
int work_make_one(struct exchange *x, enum request_kind kind, const struct request_codec *codec,
                  struct error *err);

/* The worker's part of work_make: the pictures of JSON. The errors of json_pictures_read. */
int work_decode(struct request *request, struct error *err);
void work_release(struct request *request);

/* The name of a request's model. */
const char *work_model_name(const struct request *request);

/* Makes a request whose parts `codec` reads from the body, in any format. ERR_BODY_EMPTY,
 * ERR_NO_MEMORY. */
int work_make_coded(struct exchange *x, const struct request_codec *codec, struct error *err);

/* The answer function of these routes: prepares the request, suspends the connection and hands the
 * request to the workers. */
enum MHD_Result work_answer(struct exchange *x);

/* Their resume function: sends the answer that the worker has made, or says why there is none. */
enum MHD_Result work_resume(struct exchange *x);

#endif
