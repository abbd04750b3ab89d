/* What endpoints mean, however they were written: the same place, or one of this system only. */

#include "net/endpoint.h"

#include <string.h>

/* The text of what is meant: a CID or a service may be written as a word or as a number. */
static void format_meaning(const struct endpoint *endpoint, char out[ENDPOINT_TEXT])
{
    struct endpoint meant = *endpoint;
    uint32_t port;

    if (meant.family == FAMILY_VSOCK)
        meant.u.vsock.named = false;
    else if (meant.family == FAMILY_HYPERV && meant.u.hyperv.service_kind == HYPERV_SERVICE_GUID &&
             guid_to_port(&meant.u.hyperv.service, &port))
        meant.u.hyperv.service_kind = HYPERV_SERVICE_PORT;
    endpoint_format(&meant, out, ENDPOINT_TEXT);
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    char text_a[ENDPOINT_TEXT], text_b[ENDPOINT_TEXT];

    format_meaning(a, text_a);
    format_meaning(b, text_b);
    return strcmp(text_a, text_b) == 0;
}

bool endpoint_is_loopback(const struct endpoint *endpoint)
{
    const char *host = endpoint->u.tcp.host;

    return endpoint->family == FAMILY_TCP &&
           (strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
            strcmp(host, "::1") == 0);
}

/* FNV-1a. */
uint32_t endpoint_hash(const struct endpoint *endpoint)
{
    char text[ENDPOINT_TEXT];
    uint32_t hash = 2166136261u;

    format_meaning(endpoint, text);
    for (const char *c = text; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return hash;
}
