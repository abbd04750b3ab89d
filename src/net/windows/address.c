#include "net/address.h"

#include "hvsocket_os.h"
#include "net/windows/gcs_registry.h"
#include "net/windows/vms.h"
#include "unix_os.h"

#include <string.h>

static GUID to_windows(const struct guid *id)
{
    GUID out;

    memcpy(&out, id, sizeof out); /* the same layout, see guid.h */
    return out;
}

static struct guid from_windows(const GUID *id)
{
    struct guid out;

    memcpy(&out, id, sizeof out);
    return out;
}

/* --- endpoint -> address --- */

/* Without a drive the path would depend on where the program was started. */
static int from_unix(const struct endpoint *endpoint, struct address *out, struct err *err)
{
    SOCKADDR_UN *sa = (SOCKADDR_UN *)(void *)&out->sa;

    if (endpoint->u.local.abstract)
        return err_set(err, UV_ENOTSUP,
                       "Windows has no abstract names: give it a path, as in "
                       "'unix:C:/Users/me/app.sock'");
    if (!endpoint_path_has_drive(endpoint->u.local.path))
        return err_set(err, UV_EINVAL,
                       "the drive is missing: write it as in 'unix:C:/Users/me/app.sock'");
    sa->sun_family = AF_UNIX;
    memcpy(sa->sun_path, endpoint->u.local.path, sizeof sa->sun_path);
    out->length = sizeof *sa;
    return 0;
}

static int vm_id(const struct endpoint *endpoint, GUID *out, struct err *err)
{
    struct guid id;
    int status = 0;

    switch (endpoint->u.hyperv.vm_kind) {
    case HYPERV_VM_ANY:
        *out = HV_GUID_WILDCARD;
        return 0;
    case HYPERV_VM_CHILDREN:
        *out = HV_GUID_CHILDREN;
        return 0;
    case HYPERV_VM_PARENT:
        *out = HV_GUID_PARENT;
        return 0;
    case HYPERV_VM_LOOPBACK:
        *out = HV_GUID_LOOPBACK;
        return 0;
    case HYPERV_VM_SILOHOST:
        *out = HV_GUID_SILOHOST;
        return 0;
    case HYPERV_VM_NAME:
        status = vms_find_recent(endpoint->u.hyperv.vm_name, &id, err);
        break;
    case HYPERV_VM_WSL:
        status = vms_find_recent(NULL, &id, err);
        break;
    case HYPERV_VM_GUID:
        id = endpoint->u.hyperv.vm;
        break;
    }
    if (status == 0)
        *out = to_windows(&id);
    return status;
}

static int from_hyperv(const struct endpoint *endpoint, struct address *out, struct err *err)
{
    SOCKADDR_HV *sa = (SOCKADDR_HV *)(void *)&out->sa;
    struct guid service = endpoint->u.hyperv.service;

    if (endpoint->u.hyperv.service_kind == HYPERV_SERVICE_NAME &&
        gcs_find(endpoint->u.hyperv.service_name, &service, err) != 0)
        return -1;
    sa->Family = AF_HYPERV;
    sa->ServiceId = to_windows(&service);
    out->length = sizeof *sa;
    return vm_id(endpoint, &sa->VmId, err);
}

int address_from_endpoint(const struct endpoint *endpoint, struct address *out, struct err *err)
{
    memset(out, 0, sizeof *out);
    out->family = endpoint->family;
    switch (endpoint->family) {
    case FAMILY_HYPERV:
        return from_hyperv(endpoint, out, err);
    case FAMILY_NPIPE:
        memcpy(out->pipe, endpoint->u.name, sizeof out->pipe);
        return 0;
    case FAMILY_VSOCK:
        return err_set(err, UV_ENOTSUP,
                       "Windows has no vsock: use 'hyperv:VM:PORT', which reaches the same port of "
                       "a Linux guest");
    case FAMILY_UNIX:
        return from_unix(endpoint, out, err);
    case FAMILY_HYBRID:
    case FAMILY_SYSTEMD:
        return err_set(err, UV_ENOTSUP, "'%s' exists on Linux only", family_name(endpoint->family));
    default:
        return err_set(err, UV_ENOTSUP, "'%s' is not supported by this version",
                       family_name(endpoint->family));
    }
}

bool address_needs_lookup(const struct endpoint *endpoint)
{
    return endpoint->family == FAMILY_HYPERV && (endpoint->u.hyperv.vm_kind == HYPERV_VM_NAME ||
                                                 endpoint->u.hyperv.vm_kind == HYPERV_VM_WSL);
}

bool address_forget(const struct endpoint *endpoint)
{
    bool wsl = endpoint->u.hyperv.vm_kind == HYPERV_VM_WSL;

    return address_needs_lookup(endpoint) && vms_forget(wsl ? NULL : endpoint->u.hyperv.vm_name);
}

/* --- address -> peer --- */

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
    const SOCKADDR_HV *hyperv = (const SOCKADDR_HV *)(const void *)&address->sa;

    memset(out, 0, sizeof *out);
    out->family = (uint8_t)address->family;
    if (address->family == FAMILY_TCP) {
        tcp_to_peer(address, out);
    } else if (address->family == FAMILY_UNIX) {
        out->u.local.uid = out->u.local.gid = PEER_NO_USER;
    } else if (address->family == FAMILY_HYPERV) {
        out->u.hyperv.vm = from_windows(&hyperv->VmId);
        out->u.hyperv.service = from_windows(&hyperv->ServiceId);
    }
}

/* --- advice --- */

/* What Hyper-V's errors mean is reported by users rather than documented; the number stands in the
 * text for those who search for it. */
static const char *hyperv_connect_advice(int code)
{
    switch (code) {
    case UV_EAFNOSUPPORT:
        return "WSA 10047: this Windows has no Hyper-V sockets; install Hyper-V, or in a guest use "
               "Windows 10, Server 2016 or later";
    case UV_ENETDOWN:
        return "WSA 10050: the VM restarts, or Hyper-V's network provider does; try again shortly";
    case UV_EADDRNOTAVAIL:
        return "WSA 10049: no running VM has this id; is the VM running? 'hvrelay vms' shows";
    case UV_ENETUNREACH:
        return "WSA 10051: the VM cannot be reached; is it running? 'hvrelay vms' shows";
    case UV_ETIMEDOUT:
        return "WSA 10060: no answer; in a Linux guest nobody listens on that port, or the VM has "
               "not booted yet, or must be restarted after the host slept";
    case UV_ECONNREFUSED:
        return "WSA 10061: nobody listens for that service in the VM";
    case UV_EACCES:
        return "WSA 10013: no permission; join 'Hyper-V Administrators', or register the service "
               "with 'hvrelay registry add'";
    case UV_ENOTCONN:
        return "WSA 10057: the host slept since; restart the VM";
    default:
        return NULL;
    }
}

/* What is said of a path that leads nowhere is as odd as it is: a folder that is not there is a
 * network that is down. */
static const char *unix_advice(int code)
{
    switch (code) {
    case UV_EAFNOSUPPORT:
        return "WSA 10047: UNIX sockets need Windows 10 1803, Server 2019 or later; 'npipe:NAME' "
               "and 'tcp:127.0.0.1:PORT' work everywhere";
    case UV_ENETDOWN:
    case UV_EINVAL:
        return "is there such a folder, on a local disk?";
    case UV_EACCES:
    case UV_EPERM:
        return "the permissions of its folder do not admit you";
    default:
        return NULL;
    }
}

const char *address_connect_advice(enum family family, int code)
{
    if (family == FAMILY_HYPERV)
        return hyperv_connect_advice(code);
    if (family == FAMILY_UNIX && code == UV_ECONNREFUSED)
        return "nobody listens on it, or there is no such socket";
    if (family == FAMILY_UNIX)
        return unix_advice(code);
    if (family == FAMILY_NPIPE && code == UV_ENOENT)
        return "no such pipe: is the service running?";
    if (family == FAMILY_NPIPE && (code == UV_EACCES || code == UV_EPERM))
        return "the pipe's owner does not admit you: run it as that user or as an administrator";
    if (code == UV_ECONNREFUSED)
        return "nobody listens there";
    return NULL;
}

const char *address_listen_advice(enum family family, int code)
{
    bool hyperv = family == FAMILY_HYPERV;

    if (family == FAMILY_UNIX && code != UV_EADDRINUSE)
        return unix_advice(code);
    switch (code) {
    case UV_EAFNOSUPPORT:
        return hyperv ? hyperv_connect_advice(code) : NULL;
    case UV_EACCES:
    case UV_EPERM:
        if (hyperv)
            return "WSA 10013: register the service with 'hvrelay registry add', or join 'Hyper-V "
                   "Administrators'";
        return family == FAMILY_NPIPE ? "another process has this pipe's name"
                                      : "the port is reserved, or another process listens there "
                                        "alone ('netsh int ipv4 show excludedportrange tcp')";
    case UV_EADDRINUSE:
        return "another process listens there";
    case UV_EADDRNOTAVAIL:
        return hyperv ? "WSA 10049: no running VM has this id; is the VM running?"
                      : "no interface of this machine has that address";
    default:
        return NULL;
    }
}

/* A VM that is off has no address, one that was never started since it was made may have no name,
 * and the provider of Hyper-V sockets comes with the first feature that needs it. */
bool address_may_come(enum family family, int code)
{
    return family == FAMILY_HYPERV &&
           (code == UV_ENOENT || code == UV_EADDRNOTAVAIL || code == UV_ENETUNREACH ||
            code == UV_ENETDOWN || code == UV_EAFNOSUPPORT);
}
