/* What can be wrong with forwards that are each well-formed. */

#include "config/reader.h"

#include "net/address.h"

#include <string.h>

/* What this system can't open is refused before anything runs. */
static void check_endpoint(struct reader *reader, int line, const struct endpoint *endpoint)
{
    struct address address;
    struct err err;
    char text[ENDPOINT_TEXT];

    if (endpoint->family == FAMILY_TCP || endpoint->family == FAMILY_SYSTEMD ||
        family_is_single(endpoint->family) || address_needs_lookup(endpoint))
        return;
    if (address_from_endpoint(endpoint, &address, &err) == 0)
        return;
    endpoint_format(endpoint, text, sizeof text);
    reader_complain(reader, line, "cannot use '%s': %s", text, err.msg);
}

static bool may_stand_twice(const struct endpoint *endpoint)
{
    return endpoint->family == FAMILY_TCP && endpoint->u.tcp.port == 0;
}

/* Each endpoint can be listened on once. */
static void check_pair(struct reader *reader, size_t first, size_t second)
{
    const struct forward_config *a = &reader->config->forwards[first];
    const struct forward_config *b = &reader->config->forwards[second];
    char text[ENDPOINT_TEXT];

    if (!reader->notes[first].can_listen ||
        reader->notes[first].hash != reader->notes[second].hash ||
        !endpoint_equal(&a->listen, &b->listen) || may_stand_twice(&a->listen))
        return;
    endpoint_format(&b->listen, text, sizeof text);
    reader_complain(reader, reader->notes[second].line,
                    "forwards '%s' and '%s' both listen on '%s'", a->name, b->name, text);
}

/* A stream can be used once, on either side of any forward. (Two that listen on it are a pair.) */
static void check_single(struct reader *reader, size_t index)
{
    const struct forward_config *forwards = reader->config->forwards;
    const struct note *notes = reader->notes;
    const struct endpoint *listen = &forwards[index].listen, *connect = &forwards[index].connect;
    bool listens = notes[index].can_listen && family_is_single(listen->family);
    bool connects = notes[index].can_connect && family_is_single(connect->family);
    char text[ENDPOINT_TEXT];

    for (size_t i = 0; i <= index && (listens || connects); i++) {
        bool again =
            (connects && notes[i].can_listen && endpoint_equal(connect, &forwards[i].listen)) ||
            (i < index && notes[i].can_connect &&
             ((connects && endpoint_equal(connect, &forwards[i].connect)) ||
              (listens && endpoint_equal(listen, &forwards[i].connect))));

        endpoint_format(connects ? connect : listen, text, sizeof text);
        if (again)
            reader_complain(reader, notes[index].line,
                            "forward '%s' uses '%s' again, which is one stream (see forward '%s')",
                            forwards[index].name, text, forwards[i].name);
    }
}

/* Does whoever connects to `connect` reach what listens on `listen`? As far as is told without
 * looking up names and asking for own addresses. */
static bool reaches(const struct endpoint *connect, const struct endpoint *listen)
{
    if (connect->family == FAMILY_TCP && listen->family == FAMILY_TCP &&
        strcmp(listen->u.tcp.host, "*") == 0)
        return connect->u.tcp.port == listen->u.tcp.port && endpoint_is_loopback(connect);
    if (connect->family == FAMILY_VSOCK && listen->family == FAMILY_VSOCK &&
        listen->u.vsock.cid == VSOCK_CID_ANY)
        return connect->u.vsock.port == listen->u.vsock.port &&
               connect->u.vsock.cid == VSOCK_CID_LOCAL;
    return !family_is_single(connect->family) && endpoint_equal(connect, listen);
}

/* One client of a forward to itself would make sessions without end. */
static void check_loop(struct reader *reader, size_t index)
{
    const struct forward_config *forward = &reader->config->forwards[index];
    const struct note *note = &reader->notes[index];
    char text[ENDPOINT_TEXT];

    if (!note->can_listen || !note->can_connect || !reaches(&forward->connect, &forward->listen))
        return;
    endpoint_format(&forward->connect, text, sizeof text);
    reader_complain(reader, note->line, "forward '%s' connects to itself: it listens on '%s'",
                    forward->name, text);
}

static void check_forward(struct reader *reader, size_t index)
{
    const struct forward_config *forward = &reader->config->forwards[index];
    struct note *note = &reader->notes[index];

    if (note->can_listen) {
        note->hash = endpoint_hash(&forward->listen);
        check_endpoint(reader, note->line, &forward->listen);
        for (size_t i = 0; i < index; i++)
            check_pair(reader, i, index);
    }
    if (note->can_connect)
        check_endpoint(reader, note->line, &forward->connect);
    check_loop(reader, index);
    check_single(reader, index);
}

void reader_check(struct reader *reader)
{
    for (size_t i = 0; i < reader->config->count; i++)
        check_forward(reader, i);
    if (reader->config->count == 0 && reader->complaints == 0)
        reader_complain(reader, 0, "there is no [forward NAME] section: nothing to do");
}
