/* Names of networks, as timm has them, in parts: [legacy_se|se|ese|eca] resnet, resnext,
 * wide_resnet, senet, then [aa|blur|rs|light] depth [c|d|s|t] [_32x4d | _2] [_pruned] [.tag]. A tag
 * only says how weights were trained; before there were tags, a prefix named the author (tv_, ssl_,
 * swsl_, ig_, gluon_). */
#ifndef RESNEXT_MODEL_NETWORK_NAME_H
#define RESNEXT_MODEL_NETWORK_NAME_H

#include "model/template.h"

struct network_name {
    enum network_family {
        FAMILY_RESNET,
        FAMILY_RESNEXT,
        FAMILY_WIDE,
        FAMILY_SENET,
        FAMILY_TEST
    } family;
    bool legacy;    /* timm's senet.py: see template_make_legacy */
    bool rs, light; /* ResNet-RS; ECA-Net's light one, which has no depth */
    bool pruned;
    char letter; /* of the stem and the shortcut: 'c', 'd', 's', 't'; 0 if it has none */
    enum attention attention;
    enum antialias antialias;
    int depth;                   /* 0 if it is not said */
    int cardinality, path_width; /* _32x4d; 0 if they are not said */
    int widening;                /* _2; 0 if it is not said */
};

/* False if it is no name of this form. */
bool network_name_parse(const char *text, struct network_name *out);

/* The name without author and tag. */
void network_name_text(const struct network_name *name, char text[TEMPLATE_NAME_MAX]);

/* What the name says about the variant. */
bool network_name_is_deep(const struct network_name *name); /* its stem has three convolutions */
enum stem_pool network_name_pool(const struct network_name *name);
enum down_kind network_name_down(const struct network_name *name);

#endif
