/* Peers as text. */
#include "net/peer.h"

#include "unit.h"

static void assert_written(const struct peer *peer, const char *expected)
{
    char text[ENDPOINT_TEXT];

    peer_format(peer, text, sizeof text);
    assert_string_equal(text, expected);
}

static void tcp(void **state)
{
    static const struct peer v4 = {FAMILY_TCP, .u.tcp = {{192, 0, 2, 7}, .port = 50123}};
    static const struct peer loopback = {FAMILY_TCP, .u.tcp = {{[15] = 1}, .port = 1, .v6 = true}};
    static const struct peer v6 = {
        FAMILY_TCP,
        .u.tcp = {{0x20, 0x01, 0x0d, 0xb8, [14] = 0xab, [15] = 0xcd}, .port = 65535, .v6 = true},
    };

    (void)state;
    assert_written(&v4, "tcp:192.0.2.7:50123");
    assert_written(&loopback, "tcp:[::1]:1");
    assert_written(&v6, "tcp:[2001:db8::abcd]:65535");
}

static void unix_tells_who_it_is(void **state)
{
    static const struct peer peer = {FAMILY_UNIX, .u.local = {.pid = 77, .uid = 1000, .gid = 5}};
    static const struct peer most = {FAMILY_UNIX,
                                     .u.local = {UINT32_MAX, UINT32_MAX - 1, UINT32_MAX - 1}};
    static const struct peer unknown = {FAMILY_UNIX, .u.local = {77, PEER_NO_USER, PEER_NO_USER}};

    (void)state;
    assert_written(&peer, "unix:uid=1000,pid=77");
    assert_written(&most, "unix:uid=4294967294,pid=4294967295");
    assert_written(&unknown, "unix:pid=77");
}

static void vsock(void **state)
{
    static const struct peer guest = {FAMILY_VSOCK, .u.vsock = {3, 1024}};
    static const struct peer host = {FAMILY_VSOCK, .u.vsock = {VSOCK_CID_HOST, 4294967294u}};

    (void)state;
    assert_written(&guest, "vsock:3:1024");
    assert_written(&host, "vsock:2:4294967294");
}

static void hyperv(void **state)
{
    struct peer peer = {.family = FAMILY_HYPERV};

    (void)state;
    assert_int_equal(guid_parse("01234567-89ab-cdef-0123-456789abcdef", &peer.u.hyperv.vm), 0);
    peer.u.hyperv.service = guid_from_port(22);
    assert_written(&peer, "hyperv:01234567-89ab-cdef-0123-456789abcdef:"
                          "00000016-facb-11e6-bd58-64006a7986d3");
}

/* Of these nothing more is known. */
static void the_others(void **state)
{
    static const enum family families[] = {FAMILY_STDIO, FAMILY_FD, FAMILY_NPIPE};

    (void)state;
    for (size_t i = 0; i < LENGTH(families); i++) {
        struct peer peer = {.family = (uint8_t)families[i]};

        assert_written(&peer, family_name(families[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp),    cmocka_unit_test(unix_tells_who_it_is), cmocka_unit_test(vsock),
        cmocka_unit_test(hyperv), cmocka_unit_test(the_others),
    };

    return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
