#include "address.h"

#include "vsock.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define LOOPBACK_VM "e0e16197-dd56-4a10-9195-5ee7a155a838"

static void fill_tcp(struct address *out, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&out->storage, &address, sizeof address);
    out->len = sizeof address;
}

/* `name` is a path, or an abstract name behind an '@'. */
static bool fill_unix(struct address *out, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    if (len >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, name, len);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    else
        len++;
    memcpy(&out->storage, &address, sizeof address);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

static bool starts(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* The part behind the last ':' is a port, or a service GUID whose first group is one. */
static uint32_t last_port(const char *endpoint)
{
    const char *text = strrchr(endpoint, ':') + 1;
    return (uint32_t)strtoul(text, NULL, strchr(text, '-') != NULL ? 16 : 10);
}

bool address_to_reach(const char *endpoint, struct address *out)
{
    if (starts(endpoint, "unix:"))
        return fill_unix(out, endpoint + strlen("unix:"));
    if (starts(endpoint, "tcp:127.0.0.1:"))
        fill_tcp(out, (uint16_t)last_port(endpoint));
    else if (starts(endpoint, "vsock:") || starts(endpoint, "hyperv:"))
        out->len = vsock_local_address(&out->storage, last_port(endpoint));
    else
        return false;
    return true;
}

void address_to_bind(const struct family *family, struct address *out)
{
    static unsigned number;
    char name[ENDPOINT_MAX];

    if (strcmp(family->name, "tcp") == 0) {
        fill_tcp(out, 0);
    } else if (strcmp(family->name, "unix") == 0) {
        snprintf(name, sizeof name, "%s/target-%u", scratch_folder(), ++number);
        fill_unix(out, name);
    } else if (strcmp(family->name, "abstract") == 0) {
        snprintf(name, sizeof name, "@hvrelay-test-%d-target-%u", (int)getpid(), ++number);
        fill_unix(out, name);
    } else {
        out->len = vsock_any_address(&out->storage);
    }
}

static void unix_endpoint(int fd, char endpoint[ENDPOINT_MAX])
{
    struct sockaddr_un address = {0};
    socklen_t len = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &len);
    int chars = (int)(len - offsetof(struct sockaddr_un, sun_path));
    if (address.sun_path[0] == '\0')
        snprintf(endpoint, ENDPOINT_MAX, "unix:@%.*s", chars - 1, address.sun_path + 1);
    else
        snprintf(endpoint, ENDPOINT_MAX, "unix:%.*s", chars, address.sun_path);
}

void address_of_bound(const struct family *family, int fd, char endpoint[ENDPOINT_MAX])
{
    struct sockaddr_in address = {0};
    socklen_t len = sizeof address;

    if (strcmp(family->name, "tcp") == 0) {
        getsockname(fd, (struct sockaddr *)&address, &len);
        snprintf(endpoint, ENDPOINT_MAX, "tcp:127.0.0.1:%u", ntohs(address.sin_port));
    } else if (strcmp(family->name, "vsock") == 0) {
        snprintf(endpoint, ENDPOINT_MAX, "vsock:local:%" PRIu32, vsock_port_of(fd));
    } else if (strcmp(family->name, "hyperv") == 0) {
        snprintf(endpoint, ENDPOINT_MAX, "hyperv:loopback:%" PRIu32, vsock_port_of(fd));
    } else if (strcmp(family->name, "hyperv-guid") == 0) {
        snprintf(endpoint, ENDPOINT_MAX,
                 "hyperv:" LOOPBACK_VM ":%08" PRIx32 "-facb-11e6-bd58-64006a7986d3",
                 vsock_port_of(fd));
    } else {
        unix_endpoint(fd, endpoint);
    }
}

const char *address_path(const struct address *address)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
    return un->sun_family == AF_UNIX && un->sun_path[0] != '\0' ? un->sun_path : NULL;
}

int address_socket(const struct address *address, int flags)
{
    int family = address->storage.ss_family;
    if (family == AF_INET || family == AF_UNIX)
        return socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    return vsock_socket(SOCK_CLOEXEC | flags);
}
