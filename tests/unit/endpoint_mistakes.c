/* What is no endpoint: each kind of mistake has its own words. */
#include "net/endpoint.h"

#include "unit.h"

#include <stdlib.h>

#define X10  "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define X128 X100 X10 X10 "xxxxxxxx"
#define X254 X100 X100 X10 X10 X10 X10 X10 "xxxx"

struct mistake {
    const char *text, *words;
};

/* The text is refused in that role, in a message that quotes it, says those words, and has no
 * system's error number. */
static bool is_refused(enum endpoint_role role, const struct mistake *mistake)
{
    const char *verdict = role == ENDPOINT_LISTEN ? "' is not an endpoint to listen on: "
                                                  : "' is not an endpoint to connect to: ";
    size_t length = strlen(mistake->text);
    struct endpoint endpoint;
    struct err err = {.code = 1};

    if (endpoint_parse(mistake->text, role, &endpoint, &err) == 0) {
        print_error("'%s' is taken for an endpoint\n", mistake->text);
        return false;
    }
    if (err.code == 0 && err.msg[0] == '\'' && strncmp(err.msg + 1, mistake->text, length) == 0 &&
        strncmp(err.msg + 1 + length, verdict, strlen(verdict)) == 0 &&
        strstr(err.msg, mistake->words))
        return true;
    print_error("not with '%s' is this refused: %s\n", mistake->words, err.msg);
    return false;
}

static void assert_refused(enum endpoint_role role, const struct mistake *rows, size_t count)
{
    bool good = true;

    for (size_t i = 0; i < count; i++)
        good = is_refused(role, &rows[i]) && good;
    assert_true(good);
}

#define ASSERT_REFUSED(role, rows) assert_refused(role, rows, LENGTH(rows))

static void the_family(void **state)
{
    static const struct mistake rows[] = {
        {"", "it starts with a family: tcp, unix, vsock, hyperv, hybrid, npipe, stdio, fd or sys"},
        {":", "it starts with a family"},
        {"127.0.0.1:80", "it starts with a family"},
        {"/run/app.sock", "it starts with a family"},
        {"localhost:80", "it starts with a family"},
        {X100 ":1", "it starts with a family"},
        {"tcpp:h:80", "unknown family 'tcpp', did you mean 'tcp'?"},
        {"vsok:1:1", "did you mean 'vsock'?"},
        {"hyper-v:parent:1", "did you mean 'hyperv'?"},
        {"stdin", "did you mean 'stdio'?"},
    };

    (void)state;
    ASSERT_REFUSED(ENDPOINT_LISTEN, rows);
}

static void tcp(void **state)
{
    static const struct mistake rows[] = {
        {"tcp", "the port is missing (as in 'tcp:127.0.0.1:2222')"},
        {"tcp:", "the port is missing"},
        {"tcp:host", "the port is missing"},
        {"tcp:[::1]", "the port is missing (as in"},
        {"tcp:[::1]80", "an IPv6 address stands in brackets"},
        {"tcp:[]", "the port is missing"},
        {"tcp:[", "the port is missing"},
        {"tcp:[::1]:", "'' is not a port"},
        {"tcp::80", "the host is missing: write '*' for all addresses"},
        {"tcp:[]:80", "the host is missing"},
        {"tcp:::1:80", "an IPv6 address stands in brackets, as in 'tcp:[::1]:2222'"},
        {"tcp:[::1:80", "an IPv6 address stands in brackets"},
        {"tcp:::1]:80", "an IPv6 address stands in brackets"},
        {"tcp:a b:80", "'a b' is not a host name or address"},
        {"tcp:a/b:80", "is not a host name or address"},
        {"tcp:*x:80", "is not a host name or address"},
        {"tcp:\xc3\xa9:80", "is not a host name or address"},
        {"tcp:user@h:80", "is not a host name or address"},
        {"tcp:h:", "'' is not a port (0 to 65535)"},
        {"tcp:h:65536", "'65536' is not a port"},
        {"tcp:h:-1", "'-1' is not a port"},
        {"tcp:h:http", "'http' is not a port"},
        {"tcp:h:80 ", "'80 ' is not a port"},
        {"tcp:" X254 ":80", "longer than 253"},
    };

    (void)state;
    ASSERT_REFUSED(ENDPOINT_CONNECT, rows);
}

static void unix_paths(void **state)
{
    static const struct mistake rows[] = {
        {"unix", "the path is missing (as in 'unix:/run/app.sock')"},
        {"unix:", "the path is missing"},
        {"unix:@", "the path is missing"},
        {"unix:run/app.sock",
         "the path must be absolute ('/...', on Windows 'C:/...') or abstract ('@...')"},
        {"unix:C:app.sock", "the path must be absolute"},
        {"unix:CC:/app.sock", "the path must be absolute"},
        {"unix:1:/app.sock", "the path must be absolute"},
        {"unix:/" X100 "xxxxxxx", "the path is longer than 107 bytes"},
        {"unix:@" X100 "xxxxxxxx", "the path is longer than 107 bytes"},
    };

    (void)state;
    ASSERT_REFUSED(ENDPOINT_LISTEN, rows);
}

static void vsock(void **state)
{
    static const struct mistake rows[] = {
        {"vsock:22", "the port is missing (as in 'vsock:host:2222')"},
        {"vsock::22", "'' is not a CID: it is a number, 'any', 'local', 'host' or 'hypervisor'"},
        {"vsock:guest:22", "'guest' is not a CID"},
        {"vsock:-1:22", "'-1' is not a CID"},
        {"vsock:HOST:22", "'HOST' is not a CID"},
        {"vsock:4294967295:22", "'4294967295' is not a CID"},
        {"vsock:3:4:22", "'3:4' is not a CID"},
        {"vsock:" X100 ":22", "is not a CID"},
        {"vsock:3:", "'' is not a port (0 to 4294967294)"},
        {"vsock:3:ssh", "'ssh' is not a port"},
        {"vsock:3:4294967295", "'4294967295' is not a port"},
    };

    (void)state;
    ASSERT_REFUSED(ENDPOINT_LISTEN, rows);
}

static void hyperv(void **state)
{
    static const struct mistake rows[] = {
        {"hyperv:parent", "the service is missing (as in 'hyperv:parent:2222')"},
        {"hyperv::22", "'' is not a VM: it is a GUID, 'name=VM NAME', 'wsl', 'any', 'children'"},
        {"hyperv:my vm:22", "'my vm' is not a VM"},
        {"hyperv:01234567-89ab-cdef-0123-456789abcde:22", "is not a VM"},
        {"hyperv:name=:22", "the name after 'name=' is missing"},
        {"hyperv:name=" X128 ":22", "name is longer than 127 bytes"},
        {"hyperv:name=" X128 X128 ":22", "name is longer than 127 bytes"},
        {"hyperv:parent:", "'' is not a service: it is a GUID, a port number or 'name=REGISTERED"},
        {"hyperv:parent:ssh", "'ssh' is not a service"},
        {"hyperv:parent:4294967295", "'4294967295' is not a service"},
        {"hyperv:parent:name=", "the name after 'name=' is missing"},
        {"hyperv:parent:name=" X128, "the name is longer than 127 bytes"},
    };

    (void)state;
    ASSERT_REFUSED(ENDPOINT_LISTEN, rows);
}

static void the_other_families(void **state)
{
    static const struct mistake rows[] = {
        {"hybrid:/run/vm.sock", "the port is missing (as in 'hybrid:/run/vm.sock:22')"},
        {"hybrid:vm.sock:22", "the path must be absolute ('/...')"},
        {"hybrid:/x:y", "'y' is not a port"},
        {"hybrid:/" X100 "xxxxxxx:22", "the path is longer than 107 bytes"},
        {"npipe:", "the name is missing (as in 'npipe:docker_engine')"},
        {"npipe:\\\\.\\pipe\\x", "a pipe's name stands alone"},
        {"npipe://./pipe/x", "a pipe's name stands alone"},
        {"npipe:" X128, "the name is longer than 127 bytes"},
        {"stdio:1", "nothing follows 'stdio'"},
        {"fd:", "'' is not a descriptor number (as in 'fd:3')"},
        {"fd:-1", "'-1' is not a descriptor number"},
        {"fd:65536", "'65536' is not a descriptor number"},
        {"fd:three", "'three' is not a descriptor number"},
        {"systemd:", "the name is missing (as in 'systemd:web')"},
        {"systemd:" X128, "the name is longer than 127 bytes"},
    };

    (void)state;
    ASSERT_REFUSED(ENDPOINT_LISTEN, rows);
}

static void what_nobody_can_connect_to(void **state)
{
    static const struct mistake rows[] = {
        {"tcp:*:80", "nobody can connect to '*': name a host"},
        {"tcp:h:0", "nobody can connect to port 0: name the port"},
        {"vsock:any:22", "nobody can connect to 'any': name a CID"},
        {"vsock:3:0", "nobody can connect to port 0: name the port"},
        {"hyperv:any:22", "'any' and 'children' are for listening: name one VM"},
        {"hyperv:children:22", "'any' and 'children' are for listening"},
        {"hyperv:parent:0", "nobody can connect to port 0: name the port"},
        {"systemd:web", "'systemd' names a listening socket: it can't be connected to"},
    };

    (void)state;
    ASSERT_REFUSED(ENDPOINT_CONNECT, rows);
}

/* Goal: any text at all ends in a message that fits. */
static void a_megabyte_of_anything(void **state)
{
    static const char *const starts[] = {"tcp:",
                                         "tcp:[",
                                         "unix:/",
                                         "unix:@",
                                         "vsock:",
                                         "fd:",
                                         "hyperv:",
                                         "hyperv:name=",
                                         "hyperv:any:name=",
                                         "hybrid:/",
                                         "npipe:",
                                         "systemd:",
                                         "stdio",
                                         ""};
    static const char *const ends[] = {"", ":", ":1", "]:1"};
    const size_t size = 1 << 20;
    char *text = malloc(size + 8);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < LENGTH(starts); i++) {
        for (size_t j = 0; j < LENGTH(ends); j++) {
            struct endpoint endpoint;
            struct err err;

            memset(text, 'x', size);
            memcpy(text, starts[i], strlen(starts[i]));
            strcpy(text + size, ends[j]);
            assert_int_equal(endpoint_parse(text, ENDPOINT_LISTEN, &endpoint, &err), -1);
            assert_true(strnlen(err.msg, sizeof err.msg) < sizeof err.msg);
        }
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_family),
        cmocka_unit_test(tcp),
        cmocka_unit_test(unix_paths),
        cmocka_unit_test(vsock),
        cmocka_unit_test(hyperv),
        cmocka_unit_test(the_other_families),
        cmocka_unit_test(what_nobody_can_connect_to),
        cmocka_unit_test(a_megabyte_of_anything),
    };

    return cmocka_run_group_tests_name("endpoint_mistakes", tests, NULL, NULL);
}
