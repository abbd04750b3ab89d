/* Access rules: "+RULE" and "-RULE" lines, then the bytes of a peer. A second reading of the rules,
 * bit by bit, has to come to the same answer. */
#include "fuzz.h"

#include "config/access.h"

#include <stdlib.h>
#include <string.h>

static bool bit(const uint8_t *bytes, unsigned index)
{
    return bytes[index / 8] >> (7 - index % 8) & 1;
}

static bool in_network(const struct access_rule *rule, const struct peer *peer)
{
    bool same = peer->family == FAMILY_TCP && peer->u.tcp.v6 == rule->u.network.v6;

    for (unsigned i = 0; same && i < rule->u.network.prefix; i++)
        same = bit(peer->u.tcp.address, i) == bit(rule->u.network.address, i);
    return same;
}

static bool matches(const struct access_rule *rule, const struct peer *peer)
{
    if (rule->kind == ACCESS_NETWORK)
        return in_network(rule, peer);
    if (rule->kind == ACCESS_CID)
        return peer->family == FAMILY_VSOCK && peer->u.vsock.cid == rule->u.id;
    if (rule->kind == ACCESS_VM)
        return peer->family == FAMILY_HYPERV &&
               memcmp(&peer->u.hyperv.vm, &rule->u.vm, sizeof rule->u.vm) == 0;
    if (rule->kind == ACCESS_USER)
        return peer->family == FAMILY_UNIX && peer->u.local.uid == rule->u.id;
    if (rule->kind == ACCESS_GROUP)
        return peer->family == FAMILY_UNIX && peer->u.local.gid == rule->u.id;
    return true;
}

static bool expected(const struct access *access, const struct peer *peer)
{
    bool allowed = true;

    for (unsigned i = access->count; i-- > 0;)
        allowed = allowed && !access->rules[i].allow;
    for (unsigned i = access->count; i-- > 0;) {
        if (matches(&access->rules[i], peer))
            allowed = access->rules[i].allow;
    }
    return allowed;
}

static void check_peer(const struct access *access, const uint8_t *bytes, size_t size)
{
    struct peer peer = {0};

    memcpy(&peer.u, bytes, size < sizeof peer.u ? size : sizeof peer.u);
    peer.u.tcp.v6 = false; /* no other byte is a bool */
    for (int i = 0; i < FAMILY_COUNT; i++) {
        peer.family = (uint8_t)i;
        HOLDS(access_allows(access, &peer) == expected(access, &peer));
    }
    peer.family = FAMILY_TCP;
    peer.u.tcp.v6 = true;
    HOLDS(access_allows(access, &peer) == expected(access, &peer));
}

/* The peers at the edges of a network: its address, and with each bit around its prefix flipped. */
static void check_edges(const struct access *access, const struct access_rule *rule)
{
    const unsigned prefix = rule->u.network.prefix, bits = rule->u.network.v6 ? 128 : 32;
    struct peer peer = {.family = FAMILY_TCP};

    peer.u.tcp.v6 = rule->u.network.v6;
    memcpy(peer.u.tcp.address, rule->u.network.address, sizeof peer.u.tcp.address);
    HOLDS(access_allows(access, &peer) == expected(access, &peer));
    for (unsigned i = prefix > 9 ? prefix - 9 : 0; i < bits && i < prefix + 9; i++) {
        peer.u.tcp.address[i / 8] ^= (uint8_t)(0x80 >> i % 8);
        HOLDS(access_allows(access, &peer) == expected(access, &peer));
        peer.u.tcp.address[i / 8] ^= (uint8_t)(0x80 >> i % 8);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *rest = text, *line;
    size_t behind_nul = strlen(text) < size ? strlen(text) + 1 : 0;
    struct access access = {.count = 0};
    struct err err;

    while ((line = fuzz_line(&rest)) != NULL) {
        unsigned before = access.count;

        if (line[0] != '+' && line[0] != '-')
            continue;
        if (access_add(&access, line[0] == '+', line + 1, &err) != 0) {
            fuzz_check_err(&err);
            HOLDS(access.count == before);
        } else {
            HOLDS(access.count == before + 1 && access.count <= ACCESS_RULES);
        }
    }
    for (unsigned i = 0; i < access.count; i++) {
        if (access.rules[i].kind == ACCESS_NETWORK)
            check_edges(&access, &access.rules[i]);
    }
    check_peer(&access, data + behind_nul, size - behind_nul);
    free(text);
    return 0;
}
