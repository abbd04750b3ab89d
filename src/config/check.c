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

/* The family of those who come to that listener; fd where that is known only once it is
 * open. */
static enum family family_of_clients(const struct endpoint *listen)
{
    struct address address;
    struct err err;

    if (family_is_single(listen->family) || listen->family == FAMILY_SYSTEMD)
        return FAMILY_FD;
    if (listen->family == FAMILY_HYPERV && !address_needs_lookup(listen) &&
        address_from_endpoint(listen, &address, &err) == 0)
        return address.family; /* vsock on Linux */
    return listen->family;
}

/* What a client must have for a rule of that kind, and the family that has it. */
static const struct {
    const char *name;
    enum family family;
} attributes[] = {
    [ACCESS_NETWORK] = {"IP address", FAMILY_TCP}, [ACCESS_CID] = {"CID", FAMILY_VSOCK},
    [ACCESS_VM] = {"VM id", FAMILY_HYPERV},        [ACCESS_USER] = {"user", FAMILY_UNIX},
    [ACCESS_GROUP] = {"group", FAMILY_UNIX},
};

static bool may_match(const struct access_rule *rule, const struct endpoint *listen)
{
    enum family family = family_of_clients(listen);

    return rule->kind == ACCESS_ALL || family == FAMILY_FD ||
           family == attributes[rule->kind].family;
}

/* The same, and the address that is listened on has the rule's IP version. (`allow = ::1` beside
 * `allow = 127.0.0.1` is no mistake, whichever of them is listened on.) */
static bool may_let_in(const struct access_rule *rule, const struct endpoint *listen)
{
    uint8_t address[16];

    if (rule->kind != ACCESS_NETWORK || listen->family != FAMILY_TCP)
        return may_match(rule, listen);
    return uv_inet_pton(rule->u.network.v6 ? AF_INET : AF_INET6, listen->u.tcp.host, address) != 0;
}

/* A rule that never matches is no protection; one of [defaults] may be for other forwards. */
static void check_rules(struct reader *reader, size_t index)
{
    const struct forward_config *forward = &reader->config->forwards[index];
    const struct access *access = &forward->access;
    const struct note *note = &reader->notes[index];
    bool lets_in = !access_has_allow(access);
    int complaints = reader->complaints;
    char text[ENDPOINT_TEXT];

    endpoint_format(&forward->listen, text, sizeof text);
    for (unsigned i = 0; i < access->count; i++) {
        const struct access_rule *rule = &access->rules[i];

        lets_in = lets_in || (rule->allow && may_let_in(rule, &forward->listen));
        if (i >= reader->defaults.access.count && !may_match(rule, &forward->listen))
            reader_complain(reader, note->rules[i],
                            "%s: a client of '%s' has no %s: the rule can never match",
                            rule->allow ? "allow" : "deny", text, attributes[rule->kind].name);
    }
    if (!lets_in && reader->complaints == complaints)
        reader_complain(
            reader, note->line,
            "forward '%s': none of its 'allow' rules can match a client of '%s': nobody "
            "could come in",
            forward->name, text);
}

static void check_default_rules(struct reader *reader)
{
    const struct config *config = reader->config;

    for (unsigned i = 0; i < reader->defaults.access.count; i++) {
        const struct access_rule *rule = &reader->defaults.access.rules[i];
        bool used = false;

        for (size_t j = 0; j < config->count && !used; j++)
            used = !reader->notes[j].can_listen || may_match(rule, &config->forwards[j].listen);
        if (!used && config->count > 0)
            reader_complain(reader, reader->default_rules[i],
                            "%s: no client of any forward has this (%s): the rule can never match",
                            rule->allow ? "allow" : "deny", attributes[rule->kind].name);
    }
}

/* An abstract name has no file, and so neither mode nor owner. */
static void check_file_key(struct reader *reader, size_t index)
{
    const struct endpoint *listen = &reader->config->forwards[index].listen;
    const struct note *note = &reader->notes[index];
    char text[ENDPOINT_TEXT];

    if (!note->file_key || listen->family != FAMILY_UNIX || !listen->u.local.abstract)
        return;
    endpoint_format(listen, text, sizeof text);
    reader_complain(reader, note->file_line,
                    "%s: '%s' is no file, and any user may connect to it: give it a path, or say "
                    "with 'allow = user=NAME' who may come",
                    note->file_key, text);
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
        check_rules(reader, index);
        check_file_key(reader, index);
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
    check_default_rules(reader);
    if (reader->config->count == 0 && reader->complaints == 0)
        reader_complain(reader, 0, "there is no [forward NAME] section: nothing to do");
}
