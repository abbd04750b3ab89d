#include "net/address.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int from_unix(const struct endpoint *endpoint, struct address *out, struct err *err)
{
    struct sockaddr_un *sa = (struct sockaddr_un *)(void *)&out->sa;
    const char *path = endpoint->u.local.path;
    size_t length = strlen(path);

    if (!endpoint->u.local.abstract && endpoint_path_has_drive(path))
        return err_set(err, UV_EINVAL, "a path with a drive is for Windows: it starts with '/'");
    sa->sun_family = AF_UNIX;
    if (endpoint->u.local.abstract) {
        memcpy(sa->sun_path + 1, path, length); /* fits: parsed without the '@' to 107 bytes */
        out->length = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
    } else {
        memcpy(sa->sun_path, path, length + 1);
        out->length = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    }
    return 0;
}

static int from_vsock(uint32_t cid, uint32_t port, struct address *out)
{
    struct sockaddr_vm *sa = (struct sockaddr_vm *)(void *)&out->sa;

    sa->svm_family = AF_VSOCK;
    sa->svm_cid = cid;
    sa->svm_port = port == 0 ? VMADDR_PORT_ANY : port; /* 0 would be a port like any other */
    out->length = sizeof *sa;
    out->family = FAMILY_VSOCK;
    return 0;
}

/* The GUIDs behind the names that mean something here. */
static enum hyperv_vm name_of_vm(const struct endpoint *endpoint)
{
    static const struct {
        const char *guid;
        enum hyperv_vm vm;
    } known[] = {
        {"00000000-0000-0000-0000-000000000000", HYPERV_VM_ANY},
        {"a42e7cda-d03f-480c-9cc2-a4de20abb878", HYPERV_VM_PARENT},
        {"e0e16197-dd56-4a10-9195-5ee7a155a838", HYPERV_VM_LOOPBACK},
    };
    char text[GUID_TEXT];

    if (endpoint->u.hyperv.vm_kind != HYPERV_VM_GUID)
        return endpoint->u.hyperv.vm_kind;
    guid_format(&endpoint->u.hyperv.vm, text);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(text, known[i].guid) == 0)
            return known[i].vm;
    }
    return HYPERV_VM_GUID;
}

/* Hyper-V names as the Linux guest's hv_sock transport knows them: the parent is the host, and a
 * service is a port by the template. */
static int from_hyperv(const struct endpoint *endpoint, struct address *out, struct err *err)
{
    uint32_t cid, port;

    switch (name_of_vm(endpoint)) {
    case HYPERV_VM_PARENT:
        cid = VSOCK_CID_HOST;
        break;
    case HYPERV_VM_LOOPBACK:
        cid = VSOCK_CID_LOCAL;
        break;
    case HYPERV_VM_ANY:
        cid = VSOCK_CID_ANY;
        break;
    case HYPERV_VM_NAME:
    case HYPERV_VM_GUID:
        return err_set(err, UV_ENOTSUP,
                       "a Linux guest cannot name another VM: use 'parent' (the host), 'loopback' "
                       "or, to listen, 'any'");
    default:
        return err_set(err, UV_ENOTSUP,
                       "this VM exists on a Windows host only: on Linux use 'parent' (the host), "
                       "'loopback' or, to listen, 'any'");
    }
    if (endpoint->u.hyperv.service_kind == HYPERV_SERVICE_NAME)
        return err_set(err, UV_ENOTSUP,
                       "services are registered by name on the Windows host only: on Linux write "
                       "the port");
    if (!guid_to_port(&endpoint->u.hyperv.service, &port))
        return err_set(err, UV_ENOTSUP,
                       "a Linux guest reaches only services on the template "
                       "'PPPPPPPP-facb-11e6-bd58-64006a7986d3' (PPPPPPPP is the port in hex)");
    return from_vsock(cid, port, out);
}

int address_from_endpoint(const struct endpoint *endpoint, struct address *out, struct err *err)
{
    memset(out, 0, sizeof *out);
    out->family = endpoint->family;
    switch (endpoint->family) {
    case FAMILY_UNIX:
        return from_unix(endpoint, out, err);
    case FAMILY_VSOCK:
        return from_vsock(endpoint->u.vsock.cid, endpoint->u.vsock.port, out);
    case FAMILY_HYPERV:
        return from_hyperv(endpoint, out, err);
    case FAMILY_SYSTEMD:
        return err_set(err, UV_ENOTSUP, "it has no address of its own");
    case FAMILY_NPIPE:
        return err_set(err, UV_ENOTSUP,
                       "named pipes exist on Windows only: use 'unix:/PATH' on Linux");
    default:
        return err_set(err, UV_ENOTSUP, "'%s' is not supported by this version",
                       family_name(endpoint->family));
    }
}

bool address_needs_lookup(const struct endpoint *endpoint)
{
    (void)endpoint;
    return false;
}

bool address_forget(const struct endpoint *endpoint)
{
    (void)endpoint;
    return false;
}

static void tcp_to_peer(const struct address *address, struct peer *out)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&address->sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&address->sa;

    if (address->sa.ss_family == AF_INET) {
        memcpy(out->u.tcp.address, &v4->sin_addr, 4);
        out->u.tcp.port = ntohs(v4->sin_port);
    } else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) { /* an IPv4 client of a dual-stack listener */
        memcpy(out->u.tcp.address, v6->sin6_addr.s6_addr + 12, 4);
        out->u.tcp.port = ntohs(v6->sin6_port);
    } else {
        memcpy(out->u.tcp.address, &v6->sin6_addr, 16);
        out->u.tcp.scope = v6->sin6_scope_id;
        out->u.tcp.port = ntohs(v6->sin6_port);
        out->u.tcp.v6 = true;
    }
}

void address_to_peer(const struct address *address, struct peer *out)
{
    const struct sockaddr_vm *vm = (const struct sockaddr_vm *)(const void *)&address->sa;

    memset(out, 0, sizeof *out);
    out->family = (uint8_t)address->family;
    if (address->family == FAMILY_TCP) {
        tcp_to_peer(address, out);
    } else if (address->family == FAMILY_VSOCK) {
        out->u.vsock.cid = vm->svm_cid;
        out->u.vsock.port = vm->svm_port;
    }
}

/* The meanings are those measured on Linux 6.1 to 7.3 with the loopback, virtio and vhost
 * transports, and those of hv_sock as its source tells them. */
static const char *vsock_connect_advice(int code)
{
    switch (code) {
    case UV_ECONNRESET:
    case UV_ECONNREFUSED:
        return "nobody listens on that port in the VM";
    case UV_ENODEV:
        return "no VM has this CID, or no vsock transport is loaded: is the VM running? host: "
               "modprobe vhost_vsock; guest: vmw_vsock_virtio_transport or hv_sock; CID 1: "
               "vsock_loopback";
    case UV_ENETUNREACH:
    case UV_EHOSTUNREACH:
        return "the CID is not reachable from here: is the VM running, and has it booted?";
    case UV_ETIMEDOUT:
        return "no answer: the VM does not run, hangs, or (on Hyper-V) nobody listens there";
    case UV_EAFNOSUPPORT:
        return "this kernel has no AF_VSOCK: modprobe vsock";
    default:
        return NULL;
    }
}

const char *address_connect_advice(enum family family, int code)
{
    if (family == FAMILY_VSOCK)
        return vsock_connect_advice(code);
    if (code == UV_ECONNREFUSED)
        return family == FAMILY_UNIX ? "the socket exists, but nobody listens on it"
                                     : "nobody listens there";
    if (code == UV_ENOENT)
        return "no such socket: is the service running?";
    if (code == UV_EACCES && family == FAMILY_UNIX)
        return "no permission for the socket or a folder above it";
    if (code == UV_EMFILE)
        return "raise the limit on open files (ulimit -n, LimitNOFILE=)";
    return NULL;
}

const char *address_listen_advice(enum family family, int code)
{
    if (code == UV_EACCES && family != FAMILY_UNIX)
        return "ports below 1024 need the capability CAP_NET_BIND_SERVICE";
    if (code == UV_EACCES)
        return "no permission to make a socket in that folder";
    if (code == UV_ENOENT)
        return "the folder does not exist";
    if (code == UV_EADDRINUSE)
        return "another process listens there";
    if (code == UV_EADDRNOTAVAIL && family == FAMILY_VSOCK)
        return "that CID is not this machine's: listen on 'any'";
    if (code == UV_EADDRNOTAVAIL)
        return "no interface of this machine has that address";
    if (code == UV_EAFNOSUPPORT && family == FAMILY_VSOCK)
        return "this kernel has no AF_VSOCK: modprobe vsock";
    if (code == UV_ENODEV && family == FAMILY_VSOCK)
        return "no vsock transport is loaded";
    return NULL;
}

bool address_may_come(enum family family, int code)
{
    if (family != FAMILY_VSOCK && family != FAMILY_HYPERV)
        return false;
    return code == UV_ENODEV || code == UV_EADDRNOTAVAIL || code == UV_EAFNOSUPPORT ||
           code == UV_ENETUNREACH || code == UV_ENETDOWN;
}
