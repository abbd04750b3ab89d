/* An endpoint that reads is written in one way, which reads as the same; and has an address, or a
 * reason for none. */
#include "fuzz.h"

#include "net/address.h"

#include <stdlib.h>
#include <string.h>

static void check_format(const struct endpoint *endpoint, enum endpoint_role role)
{
    char written[2 * ENDPOINT_TEXT], again[2 * ENDPOINT_TEXT];
    struct endpoint same;
    struct err err;

    endpoint_format(endpoint, written, sizeof written);
    HOLDS(strlen(written) < ENDPOINT_TEXT);
    HOLDS(endpoint_parse(written, role, &same, &err) == 0);
    HOLDS(endpoint_equal(endpoint, &same));
    endpoint_format(&same, again, sizeof again);
    HOLDS(strcmp(written, again) == 0);
}

static void check_address(const struct endpoint *endpoint)
{
    struct address address;
    struct err err;

    if (endpoint->family == FAMILY_TCP || address_needs_lookup(endpoint))
        return;
    if (address_from_endpoint(endpoint, &address, &err) == 0)
        HOLDS(address.length > 0 && address.length <= sizeof address.sa);
    else
        fuzz_check_err(&err);
}

static bool parses(const char *text, enum endpoint_role role)
{
    struct endpoint endpoint;
    struct err err;

    if (endpoint_parse(text, role, &endpoint, &err) != 0) {
        fuzz_check_err(&err);
        return false;
    }
    check_format(&endpoint, role);
    check_address(&endpoint);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    bool connects = parses(text, ENDPOINT_CONNECT);

    /* Listening asks for no more than connecting does. */
    HOLDS(parses(text, ENDPOINT_LISTEN) || !connects);
    free(text);
    return 0;
}
