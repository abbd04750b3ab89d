/* The endpoint grammar: what reads, how it is written, what is refused and in which words. */
#include "net/endpoint.h"

#include "unit.h"

#define X10  "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define X107 X100 "xxxxxxx"
#define X127 X100 X10 X10 "xxxxxxx"
#define X253 X100 X100 X10 X10 X10 X10 X10 "xxx"
#define GUID "01234567-89ab-cdef-0123-456789abcdef"

enum { LISTEN = 1, CONNECT = 2, BOTH = 3 };

static void parse(const char *text, enum endpoint_role role, struct endpoint *out)
{
    struct err err;

    assert_ok(endpoint_parse(text, role, out, &err));
}

/* Goal: every form of the grammar reads in its roles, and is written in one way that reads as the
 * same again. */
static void every_form_round_trips(void **state)
{
    static const struct {
        const char *text;
        int roles;
        const char *written; /* NULL: as it was read */
    } rows[] = {
        {"tcp:127.0.0.1:2222", BOTH, NULL},
        {"tcp:[::1]:2222", BOTH, NULL},
        {"tcp:[fe80::1%eth0]:22", BOTH, NULL},
        {"tcp:localhost:1", BOTH, NULL},
        {"tcp:a-b.c_d.example:65535", BOTH, NULL},
        {"tcp:" X253 ":65535", BOTH, NULL},
        {"tcp:[127.0.0.1]:80", BOTH, "tcp:127.0.0.1:80"},
        {"tcp:h:0080", BOTH, "tcp:h:80"},
        {"tcp:*:80", LISTEN, NULL},
        {"tcp:h:0", LISTEN, NULL},
        {"unix:/run/app.sock", BOTH, NULL},
        {"unix:/with space:and:colons", BOTH, NULL},
        {"unix:/" X100 "xxxxxx", BOTH, NULL},
        {"unix:C:/Users/me/app.sock", BOTH, NULL},
        {"unix:z:\\app.sock", BOTH, NULL},
        {"unix:@abstract", BOTH, NULL},
        {"unix:@/any/thing", BOTH, NULL},
        {"unix:@" X107, BOTH, NULL},
        {"vsock:3:22", BOTH, NULL},
        {"vsock:0:22", BOTH, NULL},
        {"vsock:0x10:0x16", BOTH, "vsock:16:22"},
        {"vsock:4294967294:4294967294", BOTH, NULL},
        {"vsock:host:22", BOTH, NULL},
        {"vsock:local:22", BOTH, NULL},
        {"vsock:hypervisor:22", BOTH, NULL},
        {"vsock:any:22", LISTEN, NULL},
        {"vsock:any:0", LISTEN, NULL},
        {"hyperv:" GUID ":22", BOTH, NULL},
        {"hyperv:{01234567-89AB-CDEF-0123-456789ABCDEF}:22", BOTH, "hyperv:" GUID ":22"},
        {"hyperv:name=VM NAME:22", BOTH, NULL},
        {"hyperv:name=with:colon:22", BOTH, NULL},
        {"hyperv:name=" X127 ":name=" X127, BOTH, NULL},
        {"hyperv:wsl:22", BOTH, NULL},
        {"hyperv:parent:22", BOTH, NULL},
        {"hyperv:loopback:22", BOTH, NULL},
        {"hyperv:silohost:22", BOTH, NULL},
        {"hyperv:any:22", LISTEN, NULL},
        {"hyperv:children:22", LISTEN, NULL},
        {"hyperv:any:0", LISTEN, NULL},
        {"hyperv:parent:" GUID, BOTH, NULL},
        {"hyperv:parent:name=Service 1", BOTH, NULL},
        {"hyperv:parent:4294967294", BOTH, NULL},
        {"hyperv:parent:00000ac9-facb-11e6-bd58-64006a7986d3", BOTH, NULL},
        {"hybrid:/run/vm.sock:22", BOTH, NULL},
        {"hybrid:/a:b:22", BOTH, NULL},
        {"hybrid:/" X100 "xxxxxx:4294967294", BOTH, NULL},
        {"npipe:docker_engine", BOTH, NULL},
        {"npipe:" X127, BOTH, NULL},
        {"stdio", BOTH, NULL},
        {"stdio:", BOTH, "stdio"},
        {"fd:0", BOTH, NULL},
        {"fd:65535", BOTH, NULL},
        {"systemd:web", LISTEN, NULL},
    };
    const enum endpoint_role roles[] = {ENDPOINT_LISTEN, ENDPOINT_CONNECT};

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        for (size_t j = 0; j < LENGTH(roles); j++) {
            const char *expected = rows[i].written ? rows[i].written : rows[i].text;
            struct endpoint endpoint, again;
            char written[ENDPOINT_TEXT];
            struct err err;
            int status = endpoint_parse(rows[i].text, roles[j], &endpoint, &err);

            if (!(rows[i].roles & 1 << j)) {
                assert_int_equal(status, -1);
                continue;
            }
            if (status != 0)
                fail_msg("%s", err.msg);
            endpoint_format(&endpoint, written, sizeof written);
            assert_string_equal(written, expected);
            parse(written, roles[j], &again);
            assert_true(endpoint_equal(&endpoint, &again));
        }
    }
}

static void tcp_has_host_and_port(void **state)
{
    struct endpoint endpoint;

    (void)state;
    parse("tcp:[2001:db8::1]:443", ENDPOINT_CONNECT, &endpoint);
    assert_int_equal(endpoint.family, FAMILY_TCP);
    assert_string_equal(endpoint.u.tcp.host, "2001:db8::1");
    assert_int_equal(endpoint.u.tcp.port, 443);
    parse("tcp:*:0", ENDPOINT_LISTEN, &endpoint);
    assert_string_equal(endpoint.u.tcp.host, "*");
    assert_int_equal(endpoint.u.tcp.port, 0);
}

static void unix_is_a_path_or_abstract(void **state)
{
    struct endpoint endpoint;

    (void)state;
    parse("unix:/run/x", ENDPOINT_LISTEN, &endpoint);
    assert_int_equal(endpoint.family, FAMILY_UNIX);
    assert_string_equal(endpoint.u.local.path, "/run/x");
    assert_false(endpoint.u.local.abstract);
    parse("unix:@x", ENDPOINT_LISTEN, &endpoint);
    assert_string_equal(endpoint.u.local.path, "x");
    assert_true(endpoint.u.local.abstract);
}

static void vsock_cids_have_names(void **state)
{
    static const struct {
        const char *text;
        uint32_t cid;
        bool named;
    } rows[] = {
        {"vsock:any:5", UINT32_MAX, true}, {"vsock:hypervisor:5", 0, true},
        {"vsock:local:5", 1, true},        {"vsock:host:5", 2, true},
        {"vsock:2:5", 2, false},           {"vsock:77:5", 77, false},
    };
    struct endpoint endpoint;

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        parse(rows[i].text, ENDPOINT_LISTEN, &endpoint);
        assert_int_equal(endpoint.family, FAMILY_VSOCK);
        assert_int_equal(endpoint.u.vsock.cid, rows[i].cid);
        assert_int_equal(endpoint.u.vsock.named, rows[i].named);
        assert_int_equal(endpoint.u.vsock.port, 5);
    }
}

static void hyperv_vms_and_services_have_kinds(void **state)
{
    static const struct {
        const char *text;
        enum hyperv_vm vm;
        enum hyperv_service service;
    } rows[] = {
        {"hyperv:" GUID ":1", HYPERV_VM_GUID, HYPERV_SERVICE_PORT},
        {"hyperv:name=a:" GUID, HYPERV_VM_NAME, HYPERV_SERVICE_GUID},
        {"hyperv:wsl:name=b", HYPERV_VM_WSL, HYPERV_SERVICE_NAME},
        {"hyperv:any:1", HYPERV_VM_ANY, HYPERV_SERVICE_PORT},
        {"hyperv:children:1", HYPERV_VM_CHILDREN, HYPERV_SERVICE_PORT},
        {"hyperv:parent:1", HYPERV_VM_PARENT, HYPERV_SERVICE_PORT},
        {"hyperv:loopback:1", HYPERV_VM_LOOPBACK, HYPERV_SERVICE_PORT},
        {"hyperv:silohost:1", HYPERV_VM_SILOHOST, HYPERV_SERVICE_PORT},
    };
    struct endpoint endpoint;
    uint32_t port;

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        parse(rows[i].text, ENDPOINT_LISTEN, &endpoint);
        assert_int_equal(endpoint.family, FAMILY_HYPERV);
        assert_int_equal(endpoint.u.hyperv.vm_kind, rows[i].vm);
        assert_int_equal(endpoint.u.hyperv.service_kind, rows[i].service);
    }
    parse("hyperv:name=my VM:2761", ENDPOINT_CONNECT, &endpoint);
    assert_string_equal(endpoint.u.hyperv.vm_name, "my VM");
    assert_true(guid_to_port(&endpoint.u.hyperv.service, &port));
    assert_int_equal(port, 2761);
    parse("hyperv:parent:name=my service", ENDPOINT_CONNECT, &endpoint);
    assert_string_equal(endpoint.u.hyperv.service_name, "my service");
}

static void the_other_families(void **state)
{
    struct endpoint endpoint;

    (void)state;
    parse("hybrid:/run/vm.sock:52", ENDPOINT_CONNECT, &endpoint);
    assert_int_equal(endpoint.family, FAMILY_HYBRID);
    assert_string_equal(endpoint.u.hybrid.path, "/run/vm.sock");
    assert_int_equal(endpoint.u.hybrid.port, 52);
    parse("npipe:docker_engine", ENDPOINT_CONNECT, &endpoint);
    assert_int_equal(endpoint.family, FAMILY_NPIPE);
    assert_string_equal(endpoint.u.name, "docker_engine");
    parse("systemd:web", ENDPOINT_LISTEN, &endpoint);
    assert_int_equal(endpoint.family, FAMILY_SYSTEMD);
    assert_string_equal(endpoint.u.name, "web");
    parse("fd:7", ENDPOINT_LISTEN, &endpoint);
    assert_int_equal(endpoint.family, FAMILY_FD);
    assert_int_equal(endpoint.u.fd, 7);
    parse("stdio", ENDPOINT_LISTEN, &endpoint);
    assert_int_equal(endpoint.family, FAMILY_STDIO);
}

static void families_have_names_and_some_are_single(void **state)
{
    static const char *const names[FAMILY_COUNT] = {"tcp",   "unix",  "vsock", "hyperv", "hybrid",
                                                    "npipe", "stdio", "fd",    "systemd"};

    (void)state;
    for (int i = 0; i < FAMILY_COUNT; i++) {
        assert_string_equal(family_name((enum family)i), names[i]);
        assert_int_equal(family_is_single((enum family)i), i == FAMILY_STDIO || i == FAMILY_FD);
    }
}

static void equal_is_what_is_written_alike(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        {"tcp:h:80", "tcp:h:080", true},         {"tcp:h:80", "tcp:h:81", false},
        {"tcp:h:80", "tcp:g:80", false},         {"unix:/a", "unix:@a", false},
        {"vsock:3:1", "vsock:0x3:1", true},      {"npipe:a", "systemd:a", false},
        {"hyperv:any:1", "hyperv:any:2", false},
    };
    struct endpoint a, b;

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        parse(rows[i].a, ENDPOINT_LISTEN, &a);
        parse(rows[i].b, ENDPOINT_LISTEN, &b);
        assert_int_equal(endpoint_equal(&a, &b), rows[i].equal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_round_trips),
        cmocka_unit_test(tcp_has_host_and_port),
        cmocka_unit_test(unix_is_a_path_or_abstract),
        cmocka_unit_test(vsock_cids_have_names),
        cmocka_unit_test(hyperv_vms_and_services_have_kinds),
        cmocka_unit_test(the_other_families),
        cmocka_unit_test(families_have_names_and_some_are_single),
        cmocka_unit_test(equal_is_what_is_written_alike),
    };

    return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
