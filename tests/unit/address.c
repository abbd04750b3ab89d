/* Endpoints and peers as Linux's socket addresses. Everything here is arithmetic: no socket of any
 * family is opened. */
#include "net/address.h"

#include "unit.h"

#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

static int translate(const char *text, struct address *out, struct err *err)
{
    struct endpoint endpoint;

    if (endpoint_parse(text, ENDPOINT_LISTEN, &endpoint, err) != 0)
        fail_msg("%s", err->msg);
    memset(out, '#', sizeof *out);
    return address_from_endpoint(&endpoint, out, err);
}

static void unix_paths_end_in_nul(void **state)
{
    struct address address;
    const struct sockaddr_un *sa = (const struct sockaddr_un *)(const void *)&address.sa;
    struct err err;

    (void)state;
    assert_ok(translate("unix:/run/app.sock", &address, &err));
    assert_int_equal(address.family, FAMILY_UNIX);
    assert_int_equal(sa->sun_family, AF_UNIX);
    assert_string_equal(sa->sun_path, "/run/app.sock");
    assert_int_equal(address.length, offsetof(struct sockaddr_un, sun_path) + 14);
}

static void a_drive_is_for_windows(void **state)
{
    struct address address;
    struct err err;

    (void)state;
    assert_int_equal(translate("unix:C:/app.sock", &address, &err), -1);
    assert_contains(err.msg, "a path with a drive is for Windows");
    assert_ok(translate("unix:@C:/app.sock", &address, &err)); /* a name like any other */
}

/* Goal: the length ends the name; a NUL behind it would be part of it. */
static void abstract_names_do_not(void **state)
{
    struct address address;
    const struct sockaddr_un *sa = (const struct sockaddr_un *)(const void *)&address.sa;
    struct err err;

    (void)state;
    assert_ok(translate("unix:@name", &address, &err));
    assert_memory_equal(sa->sun_path, "\0name", 5);
    assert_int_equal(address.length, offsetof(struct sockaddr_un, sun_path) + 5);
}

static void the_longest_paths_fit(void **state)
{
    struct address address;
    const struct sockaddr_un *sa = (const struct sockaddr_un *)(const void *)&address.sa;
    char text[128] = "unix:/";
    struct err err;

    (void)state;
    memset(text + 6, 'x', ENDPOINT_PATH - 2);
    text[6 + ENDPOINT_PATH - 2] = '\0';
    assert_ok(translate(text, &address, &err));
    assert_int_equal(address.length, sizeof *sa);
    assert_int_equal(sa->sun_path[sizeof sa->sun_path - 1], '\0');
    text[5] = '@';
    text[6 + ENDPOINT_PATH - 2] = 'x';
    text[6 + ENDPOINT_PATH - 1] = '\0';
    assert_ok(translate(text, &address, &err));
    assert_int_equal(address.length, sizeof *sa);
    assert_int_equal(sa->sun_path[sizeof sa->sun_path - 1], 'x');
}

/* Goal: vsock, and the Hyper-V names that mean the same on a guest; port 0 asks for any. */
static void vsock_and_hyperv_are_one(void **state)
{
    static const struct {
        const char *text;
        uint32_t cid, port;
    } rows[] = {
        {"vsock:3:22", 3, 22},
        {"vsock:any:22", VMADDR_CID_ANY, 22},
        {"vsock:hypervisor:22", VMADDR_CID_HYPERVISOR, 22},
        {"vsock:local:22", VMADDR_CID_LOCAL, 22},
        {"vsock:host:22", VMADDR_CID_HOST, 22},
        {"vsock:any:0", VMADDR_CID_ANY, VMADDR_PORT_ANY},
        {"vsock:any:4294967294", VMADDR_CID_ANY, 4294967294u},
        {"hyperv:any:22", VMADDR_CID_ANY, 22},
        {"hyperv:parent:22", VMADDR_CID_HOST, 22},
        {"hyperv:loopback:22", VMADDR_CID_LOCAL, 22},
        {"hyperv:any:0", VMADDR_CID_ANY, VMADDR_PORT_ANY},
        {"hyperv:parent:00000ac9-facb-11e6-bd58-64006a7986d3", VMADDR_CID_HOST, 2761},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct address address;
        const struct sockaddr_vm *sa = (const struct sockaddr_vm *)(const void *)&address.sa;
        struct err err;

        assert_ok(translate(rows[i].text, &address, &err));
        assert_int_equal(address.family, FAMILY_VSOCK);
        assert_int_equal(address.length, sizeof *sa);
        assert_int_equal(sa->svm_family, AF_VSOCK);
        assert_int_equal(sa->svm_cid, rows[i].cid);
        assert_int_equal(sa->svm_port, rows[i].port);
        assert_int_equal(sa->svm_reserved1, 0);
    }
}

/* Goal: each says why, and what to use instead where there is something. */
static void what_linux_does_not_have(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"hyperv:01234567-89ab-cdef-0123-456789abcdef:22", "cannot name another VM: use 'parent'"},
        {"hyperv:name=box:22", "cannot name another VM: use 'parent'"},
        {"hyperv:wsl:22", "exists on a Windows host only: on Linux use 'parent'"},
        {"hyperv:children:22", "exists on a Windows host only"},
        {"hyperv:silohost:22", "exists on a Windows host only"},
        {"hyperv:parent:name=ssh", "registered by name on the Windows host only: on Linux write"},
        {"hyperv:parent:01234567-89ab-cdef-0123-456789abcdef", "only services on the template"},
        {"npipe:docker_engine", "named pipes exist on Windows only: use 'unix:/PATH'"},
        {"hybrid:/run/vm.sock:22", "'hybrid' is not supported by this version"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct address address;
        struct err err;

        if (translate(rows[i].text, &address, &err) == 0)
            fail_msg("'%s' has an address", rows[i].text);
        assert_int_equal(err.code, UV_ENOTSUP);
        assert_contains(err.msg, rows[i].words);
    }
}

static void assert_peer(const struct address *address, const char *expected)
{
    struct peer peer;
    char text[ENDPOINT_TEXT];

    memset(&peer, '#', sizeof peer);
    address_to_peer(address, &peer);
    peer_format(&peer, text, sizeof text);
    assert_string_equal(text, expected);
}

static void tcp_addresses_become_peers(void **state)
{
    static const struct {
        const char *host, *peer;
    } rows[] = {
        {"192.0.2.7", "tcp:192.0.2.7:50123"},
        {"::1", "tcp:[::1]:50123"},
        {"2001:db8::abcd", "tcp:[2001:db8::abcd]:50123"},
        {"::ffff:192.0.2.7", "tcp:192.0.2.7:50123"}, /* a client of a dual-stack listener */
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct address address = {.family = FAMILY_TCP};

        if (strchr(rows[i].host, ':'))
            uv_ip6_addr(rows[i].host, 50123, (struct sockaddr_in6 *)(void *)&address.sa);
        else
            uv_ip4_addr(rows[i].host, 50123, (struct sockaddr_in *)(void *)&address.sa);
        assert_peer(&address, rows[i].peer);
    }
}

static void vsock_addresses_become_peers(void **state)
{
    struct address address;
    struct err err;

    (void)state;
    assert_ok(translate("vsock:3:1024", &address, &err));
    assert_peer(&address, "vsock:3:1024");
    assert_ok(translate("hyperv:parent:1024", &address, &err));
    assert_peer(&address, "vsock:2:1024");
}

/* Who a unix client is the socket tells, not its address. */
static void unix_addresses_tell_nobody(void **state)
{
    struct address address;
    struct err err;

    (void)state;
    assert_ok(translate("unix:/run/x", &address, &err));
    assert_peer(&address, "unix:uid=0,pid=0");
}

static void advice_fits_family_and_error(void **state)
{
    (void)state;
    assert_contains(address_connect_advice(FAMILY_TCP, UV_ECONNREFUSED), "nobody listens there");
    assert_contains(address_connect_advice(FAMILY_UNIX, UV_ECONNREFUSED), "nobody listens on it");
    assert_contains(address_connect_advice(FAMILY_UNIX, UV_ENOENT), "no such socket");
    assert_contains(address_connect_advice(FAMILY_VSOCK, UV_ECONNRESET), "nobody listens");
    assert_contains(address_connect_advice(FAMILY_VSOCK, UV_ENODEV), "no VM has this CID");
    assert_null(address_connect_advice(FAMILY_TCP, UV_ECONNRESET));
    assert_contains(address_listen_advice(FAMILY_TCP, UV_EADDRINUSE), "another process listens");
    assert_contains(address_listen_advice(FAMILY_TCP, UV_EACCES), "CAP_NET_BIND_SERVICE");
    assert_contains(address_listen_advice(FAMILY_VSOCK, UV_EADDRNOTAVAIL), "listen on 'any'");
    assert_null(address_listen_advice(FAMILY_TCP, UV_ENOMEM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unix_paths_end_in_nul),
        cmocka_unit_test(a_drive_is_for_windows),
        cmocka_unit_test(abstract_names_do_not),
        cmocka_unit_test(the_longest_paths_fit),
        cmocka_unit_test(vsock_and_hyperv_are_one),
        cmocka_unit_test(what_linux_does_not_have),
        cmocka_unit_test(tcp_addresses_become_peers),
        cmocka_unit_test(vsock_addresses_become_peers),
        cmocka_unit_test(unix_addresses_tell_nobody),
        cmocka_unit_test(advice_fits_family_and_error),
    };

    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
