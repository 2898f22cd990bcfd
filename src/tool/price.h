/* What a model cascade costs beside int8 alone. */
#ifndef RESNEXT_TOOL_PRICE_H
#define RESNEXT_TOOL_PRICE_H

#include <jansson.h>

#include "model/cascade.h"
#include "nn/network.h"

struct price {
    double int8_ms, f32_ms; /* of a picture, on one thread */
    size_t weight_bytes;    /* of the float32 network */
};

/* Takes the least time of a few pictures in each network. ERR_NO_MEMORY. */
int price_measure(const struct network *quantized, const struct network *exact, struct price *out,
                  struct error *err);

/* The time of a picture with the cascade, in those of int8 alone. */
double price_factor(const struct price *price, const struct cascade *cascade);

/* {"factor","int8_ms","f32_ms","weight_bytes"}; NULL without memory. The caller owns it. */
json_t *price_json(const struct price *price, const struct cascade *cascade);

/* Formats a price for people. */
enum { PRICE_TEXT = 160 };
void price_text(const struct price *price, const struct cascade *cascade, char text[PRICE_TEXT]);

#endif
