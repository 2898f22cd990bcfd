#include "model/cascade.h"

#include <stdio.h>

void cascade_text(const struct cascade *c, char text[CASCADE_TEXT])
{
    if (c->margin > 0)
        snprintf(text, CASCADE_TEXT,
                 "decided by less than %.3g: again in float32 (%.1f %% of pictures), for an "
                 "agreement of %.9g %%",
                 c->margin, 100 * c->fraction, 100 * c->agreement);
    else
        snprintf(text, CASCADE_TEXT, "none");
}

json_t *cascade_json(const struct cascade *c)
{
    if (c->margin == 0)
        return json_null();
    return json_pack("{s:f, s:f, s:f}", "margin", c->margin, "agreement", c->agreement, "fraction",
                     c->fraction);
}
