/* How the endpoints of each family read, and how they are written: the part behind endpoint.c.
 * Pure, as endpoint.h says. */
#ifndef HVRELAY_NET_ENDPOINT_GRAMMAR_H
#define HVRELAY_NET_ENDPOINT_GRAMMAR_H

#include "net/endpoint.h"

struct endpoint_grammar {
    const char *name; /* the family's word, which the text begins with */
    const char *example;

    /* `rest` is what follows the word and its colon. `out` is zero, but for its family. Returns 0,
     * or -1 and a message. */
    int (*parse)(const char *rest, struct endpoint *out, struct err *err);
    void (*format)(const struct endpoint *endpoint, char *out, size_t size);
};

extern const struct endpoint_grammar endpoint_grammars[FAMILY_COUNT];

#endif
