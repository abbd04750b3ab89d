#include "config/access.h"

#include "base/text.h"
#include "net/identity.h"

#include <string.h>
#include <uv.h>

/* A peer that IPv6 shows as ::ffff:a.b.c.d is an IPv4 one (address_to_peer): so is such a rule. */
static void unmap(struct access_rule *rule)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t *address = rule->u.network.address;

    if (!rule->u.network.v6 || rule->u.network.prefix < 96 ||
        memcmp(address, mapped, sizeof mapped) != 0)
        return;
    memcpy(address, address + 12, 4);
    rule->u.network.v6 = false;
    rule->u.network.prefix = (uint8_t)(rule->u.network.prefix - 96);
}

static int parse_network(const char *text, struct access_rule *rule)
{
    char address[64];
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : strlen(text);
    uint64_t prefix;

    if (text_copy(address, sizeof address, text, length) != 0)
        return -1;
    rule->kind = ACCESS_NETWORK;
    if (uv_inet_pton(AF_INET, address, rule->u.network.address) == 0)
        rule->u.network.v6 = false;
    else if (uv_inet_pton(AF_INET6, address, rule->u.network.address) == 0)
        rule->u.network.v6 = true;
    else
        return -1;
    prefix = rule->u.network.v6 ? 128 : 32;
    if (slash && text_number(slash + 1, prefix, &prefix) != 0)
        return -1;
    rule->u.network.prefix = (uint8_t)prefix;
    unmap(rule);
    return 0;
}

/* A number, or a name that `look_up` knows. */
static int parse_id(const char *text, int (*look_up)(const char *name, uint32_t *id), uint32_t *id)
{
    uint64_t number;

    if (text_number(text, UINT32_MAX - 1, &number) == 0) {
        *id = (uint32_t)number;
        return 0;
    }
    return look_up ? look_up(text, id) : -1;
}

static int parse_rule(const char *text, struct access_rule *rule)
{
    if (strcmp(text, "all") == 0) {
        rule->kind = ACCESS_ALL;
        return 0;
    }
    if (strncmp(text, "cid=", 4) == 0) {
        rule->kind = ACCESS_CID;
        return parse_id(text + 4, NULL, &rule->u.id);
    }
    if (strncmp(text, "vm=", 3) == 0) {
        rule->kind = ACCESS_VM;
        return guid_parse(text + 3, &rule->u.vm);
    }
    if (strncmp(text, "user=", 5) == 0) {
        rule->kind = ACCESS_USER;
        return parse_id(text + 5, identity_user, &rule->u.id);
    }
    if (strncmp(text, "group=", 6) == 0) {
        rule->kind = ACCESS_GROUP;
        return parse_id(text + 6, identity_group, &rule->u.id);
    }
    return parse_network(text, rule);
}

int access_add(struct access *access, bool allow, const char *text, struct err *err)
{
    struct access_rule rule = {.allow = allow};

    if (parse_rule(text, &rule) != 0)
        return err_set(err, 0,
                       "'%s' is not a rule: it is 'all', a network such as '10.0.0.0/8' or '::1', "
                       "'cid=3', 'vm=GUID', 'user=' or 'group=' and a known name or number",
                       text);
    if (access->count == ACCESS_RULES)
        return err_set(err, 0, "there are more than %d rules", ACCESS_RULES);
    access->rules[access->count++] = rule;
    return 0;
}

static bool in_network(const struct access_rule *rule, const struct peer *peer)
{
    unsigned whole = rule->u.network.prefix / 8, rest = rule->u.network.prefix % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);

    if (peer->family != FAMILY_TCP || peer->u.tcp.v6 != rule->u.network.v6 ||
        memcmp(peer->u.tcp.address, rule->u.network.address, whole) != 0)
        return false;
    return rest == 0 || ((peer->u.tcp.address[whole] ^ rule->u.network.address[whole]) & mask) == 0;
}

static bool matches(const struct access_rule *rule, const struct peer *peer)
{
    switch (rule->kind) {
    case ACCESS_NETWORK:
        return in_network(rule, peer);
    case ACCESS_CID:
        return peer->family == FAMILY_VSOCK && peer->u.vsock.cid == rule->u.id;
    case ACCESS_VM:
        return peer->family == FAMILY_HYPERV && guid_equal(&peer->u.hyperv.vm, &rule->u.vm);
    case ACCESS_USER:
        return peer->family == FAMILY_UNIX && peer->u.local.uid == rule->u.id;
    case ACCESS_GROUP:
        return peer->family == FAMILY_UNIX && peer->u.local.gid == rule->u.id;
    default:
        return true;
    }
}

bool access_has_allow(const struct access *access)
{
    for (unsigned i = 0; i < access->count; i++) {
        if (access->rules[i].allow)
            return true;
    }
    return false;
}

bool access_allows(const struct access *access, const struct peer *peer)
{
    for (unsigned i = 0; i < access->count; i++) {
        if (matches(&access->rules[i], peer))
            return access->rules[i].allow;
    }
    return !access_has_allow(access);
}
