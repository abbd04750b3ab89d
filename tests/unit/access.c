/* Access rules: which peers each rule matches, and that the first that matches decides. */
#include "config/access.h"

#include "unit.h"

#include <stdlib.h>
#include <uv.h>

#define GUID "01234567-89ab-cdef-0123-456789abcdef"

static struct peer tcp_peer(const char *address)
{
    struct peer peer = {.family = FAMILY_TCP};

    peer.u.tcp.v6 = strchr(address, ':') != NULL;
    assert_int_equal(uv_inet_pton(peer.u.tcp.v6 ? AF_INET6 : AF_INET, address, peer.u.tcp.address),
                     0);
    return peer;
}

/* "10.0.0.1", "cid:3", "vm:GUID", "user:7", "group:7", or a family that tells nothing. */
static struct peer peer_of(const char *text)
{
    const char *rest = strchr(text, ':');
    struct peer peer = {.family = FAMILY_STDIO};

    if (strncmp(text, "cid:", 4) == 0) {
        peer.family = FAMILY_VSOCK;
        peer.u.vsock.cid = (uint32_t)atoi(rest + 1);
    } else if (strncmp(text, "vm:", 3) == 0) {
        peer.family = FAMILY_HYPERV;
        assert_int_equal(guid_parse(rest + 1, &peer.u.hyperv.vm), 0);
    } else if (strncmp(text, "user:", 5) == 0 || strncmp(text, "group:", 6) == 0) {
        peer.family = FAMILY_UNIX;
        peer.u.local.uid = text[0] == 'u' ? (uint32_t)atoi(rest + 1) : UINT32_MAX;
        peer.u.local.gid = text[0] == 'g' ? (uint32_t)atoi(rest + 1) : UINT32_MAX;
    } else if (strcmp(text, "stdio") != 0) {
        return tcp_peer(text);
    }
    return peer;
}

/* Rules as "+RULE" and "-RULE", up to a NULL. */
static void add_rules(struct access *access, const char *const *rules)
{
    struct err err;

    *access = (struct access){.count = 0};
    for (; *rules; rules++)
        assert_ok(access_add(access, **rules == '+', *rules + 1, &err));
}

static bool allows(const char *const *rules, const char *peer_text)
{
    struct peer peer = peer_of(peer_text);
    struct access access;

    add_rules(&access, rules);
    return access_allows(&access, &peer);
}

static void each_rule_matches_its_peers_only(void **state)
{
    static const struct {
        const char *rule;
        const char *in[4], *out[8];
    } rows[] = {
        {"+10.1.2.3", {"10.1.2.3"}, {"10.1.2.4", "::ffff:10.1.2.3", "user:0", "cid:3", "stdio"}},
        {"+10.0.0.0/8", {"10.0.0.0", "10.255.255.255"}, {"9.255.255.255", "11.0.0.0", "::1"}},
        {"+192.168.4.0/22",
         {"192.168.4.1", "192.168.7.255"},
         {"192.168.3.255", "192.168.8.0", "192.169.4.1"}},
        {"+192.168.5.77/22", {"192.168.4.1"}, {"192.168.8.0"}}, /* the rest is not looked at */
        {"+128.0.0.0/1", {"128.0.0.1", "255.0.0.1"}, {"127.255.255.255"}},
        {"+0.0.0.0/0", {"1.2.3.4", "255.255.255.255"}, {"::1", "cid:3", "user:0"}},
        {"+::1", {"::1"}, {"::2", "127.0.0.1"}},
        {"+fd00::/8", {"fd00::1", "fdff::1"}, {"fc00::1", "fe00::1"}},
        {"+2001:db8:8000::/33", {"2001:db8:ffff::1"}, {"2001:db8:7fff::1"}},
        {"+::/0", {"::1", "ffff::1"}, {"1.2.3.4"}},
        {"+::/64", {"::1"}, {"1.2.3.4", "0.0.0.0"}},
        {"+::ffff:10.1.2.3", {"10.1.2.3"}, {"10.1.2.4", "::1", "::a01:203"}}, /* it is IPv4 */
        {"+::ffff:10.1.0.0/112", {"10.1.0.0", "10.1.255.255"}, {"10.2.0.0", "::1"}},
        {"+::ffff:0:0/96", {"1.2.3.4", "255.255.255.255"}, {"::1", "fe80::1"}},
        {"+::fffe:10.1.2.3", {"::fffe:10.1.2.3"}, {"10.1.2.3"}},
        {"+cid=3", {"cid:3"}, {"cid:4", "user:3", "group:3", "0.0.0.3", "stdio"}},
        {"+vm=" GUID,
         {"vm:" GUID},
         {"vm:01234567-89ab-cdef-0123-456789abcdee", "cid:3", "1.2.3.4"}},
        {"+user=7", {"user:7"}, {"user:8", "group:7", "cid:7"}},
        {"+group=7", {"group:7"}, {"group:8", "user:7", "cid:7"}},
        {"+all", {"1.2.3.4", "::1", "stdio", "cid:3"}, {NULL}},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const char *const rules[] = {rows[i].rule, NULL};

        for (size_t j = 0; j < LENGTH(rows[i].in) && rows[i].in[j]; j++) {
            if (!allows(rules, rows[i].in[j]))
                fail_msg("%s does not match %s", rows[i].rule, rows[i].in[j]);
        }
        for (size_t j = 0; j < LENGTH(rows[i].out) && rows[i].out[j]; j++) {
            if (allows(rules, rows[i].out[j]))
                fail_msg("%s matches %s", rows[i].rule, rows[i].out[j]);
        }
    }
}

static void the_first_that_matches_decides(void **state)
{
    static const char *const hole[] = {"-10.0.0.5", "+10.0.0.0/8", NULL};
    static const char *const door[] = {"+10.0.0.5", "-10.0.0.0/8", "+all", NULL};
    static const char *const closed[] = {"-all", "+all", NULL};

    (void)state;
    assert_false(allows(hole, "10.0.0.5"));
    assert_true(allows(hole, "10.0.0.6"));
    assert_false(allows(hole, "11.0.0.1"));
    assert_true(allows(door, "10.0.0.5"));
    assert_false(allows(door, "10.0.0.6"));
    assert_true(allows(door, "11.0.0.1"));
    assert_false(allows(closed, "11.0.0.1"));
}

/* Goal: a list that names friends closes out the others, one that names only enemies does not. */
static void without_a_match(void **state)
{
    static const char *const none[] = {NULL};
    static const char *const enemies[] = {"-10.0.0.1", "-cid=3", NULL};
    static const char *const friends[] = {"-10.0.0.1", "+cid=3", NULL};

    (void)state;
    assert_true(allows(none, "1.2.3.4"));
    assert_true(allows(none, "stdio"));
    assert_true(allows(enemies, "1.2.3.4"));
    assert_true(allows(enemies, "stdio"));
    assert_false(allows(friends, "1.2.3.4"));
    assert_false(allows(friends, "stdio"));
}

static void what_is_no_rule(void **state)
{
    static const char *const wrong[] = {
        "",
        "everyone",
        "10.0.0",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "::/129",
        "::1/x",
        "10.0.0.0/8 ",
        "1.2.3.4:80",
        "localhost",
        "cid=",
        "cid=x",
        "cid=any",
        "vm=",
        "vm=box",
        "user=",
        "group=",
        "user=no such user",
        "group=no such group",
        "uid=0",
        "cid=4294967295",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        struct access access = {.count = 0};
        struct err err;

        if (access_add(&access, true, wrong[i], &err) == 0)
            fail_msg("'%s' is a rule", wrong[i]);
        assert_int_equal(access.count, 0);
        assert_contains(err.msg, "is not a rule: it is 'all', a network such as");
    }
}

static void there_is_a_limit(void **state)
{
    struct access access = {.count = 0};
    struct err err;

    (void)state;
    for (int i = 0; i < ACCESS_RULES; i++)
        assert_ok(access_add(&access, false, "10.0.0.1", &err));
    assert_int_equal(access_add(&access, true, "all", &err), -1);
    assert_contains(err.msg, "more than 32 rules");
    assert_int_equal(access.count, ACCESS_RULES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_matches_its_peers_only),
        cmocka_unit_test(the_first_that_matches_decides),
        cmocka_unit_test(without_a_match),
        cmocka_unit_test(what_is_no_rule),
        cmocka_unit_test(there_is_a_limit),
    };

    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
