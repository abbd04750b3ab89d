#include "net/endpoint.h"

#include "base/text.h"
#include "net/endpoint_grammar.h"

#include <string.h>

const char *family_name(enum family family)
{
    return endpoint_grammars[family].name;
}

bool family_is_single(enum family family)
{
    return family == FAMILY_STDIO || family == FAMILY_FD;
}

static int unknown_family(const char *text, size_t length, struct err *err)
{
    const char *names[FAMILY_COUNT];
    const char *nearest;
    char word[32] = "";

    for (int i = 0; i < FAMILY_COUNT; i++)
        names[i] = endpoint_grammars[i].name;
    (void)text_copy(word, sizeof word, text, length);
    nearest = text_nearest(word, names, FAMILY_COUNT);
    if (nearest)
        return err_set(err, 0, "unknown family '%s', did you mean '%s'?", word, nearest);
    return err_set(err, 0,
                   "it starts with a family: tcp, unix, vsock, hyperv, hybrid, npipe, stdio, fd or "
                   "systemd");
}

static int parse_any_role(const char *text, struct endpoint *out, struct err *err)
{
    size_t length = strcspn(text, ":");
    const char *rest = text[length] == ':' ? text + length + 1 : text + length;

    for (int i = 0; i < FAMILY_COUNT; i++) {
        const struct endpoint_grammar *grammar = &endpoint_grammars[i];

        if (strlen(grammar->name) == length && strncmp(text, grammar->name, length) == 0) {
            out->family = (enum family)i;
            if (grammar->parse(rest, out, err) == 0)
                return 0;
            return err_hint(err, grammar->example);
        }
    }
    return unknown_family(text, length, err);
}

/* Refuses what nobody can connect to, on any system. All can be listened on. */
static int check_connect(const struct endpoint *endpoint, struct err *err)
{
    switch (endpoint->family) {
    case FAMILY_TCP:
        if (strcmp(endpoint->u.tcp.host, "*") == 0)
            return err_set(err, 0, "nobody can connect to '*': name a host");
        if (endpoint->u.tcp.port == 0)
            return err_set(err, 0, "nobody can connect to port 0: name the port");
        return 0;
    case FAMILY_VSOCK:
        if (endpoint->u.vsock.cid == VSOCK_CID_ANY)
            return err_set(err, 0, "nobody can connect to 'any': name a CID");
        if (endpoint->u.vsock.port == 0)
            return err_set(err, 0, "nobody can connect to port 0: name the port");
        return 0;
    case FAMILY_HYPERV:
        if (endpoint->u.hyperv.vm_kind == HYPERV_VM_ANY ||
            endpoint->u.hyperv.vm_kind == HYPERV_VM_CHILDREN)
            return err_set(err, 0, "'any' and 'children' are for listening: name one VM");
        if (endpoint->u.hyperv.service_kind == HYPERV_SERVICE_PORT &&
            endpoint->u.hyperv.service.data1 == 0)
            return err_set(err, 0, "nobody can connect to port 0: name the port");
        return 0;
    case FAMILY_SYSTEMD:
        return err_set(err, 0, "'systemd' names a listening socket: it can't be connected to");
    default:
        return 0;
    }
}

int endpoint_parse(const char *text, enum endpoint_role role, struct endpoint *out, struct err *err)
{
    memset(out, 0, sizeof *out);
    if (parse_any_role(text, out, err) == 0 &&
        (role == ENDPOINT_LISTEN || check_connect(out, err) == 0))
        return 0;
    return err_prefix(err, "'%s' is not an endpoint to %s", text,
                      role == ENDPOINT_LISTEN ? "listen on" : "connect to");
}

void endpoint_format(const struct endpoint *endpoint, char *out, size_t size)
{
    endpoint_grammars[endpoint->family].format(endpoint, out, size);
}
