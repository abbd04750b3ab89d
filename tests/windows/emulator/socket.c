/* A Hyper-V socket is a TCP socket on loopback: a partition is an address, a service a port. */
#include "hooks.h"

#include "log.h"
#include "map.h"
#include "sock.h"

#include <ws2tcpip.h>

static const GUID zero;

int fail(int code)
{
    WSASetLastError(code);
    return SOCKET_ERROR;
}

int check_address(const struct sockaddr *addr, int len)
{
    if (len < (int)sizeof(SOCKADDR_HV))
        return WSAEFAULT;
    if (addr->sa_family != AF_HV)
        return WSAEAFNOSUPPORT;
    return ((const SOCKADDR_HV *)(const void *)addr)->Reserved ? WSAEINVAL : 0;
}

/* --- making and closing --- */

static SOCKET no_socket(int code)
{
    WSASetLastError(code);
    return INVALID_SOCKET;
}

SOCKET WSAAPI hook_WSASocketW(int af, int type, int protocol, LPWSAPROTOCOL_INFOW info, GROUP g,
                              DWORD flags)
{
    SOCKET local;
    if (unix_socket(af, flags, &local))
        return local;
    if (af != AF_HV || info)
        return WSASocketW(af, type, protocol, info, g, flags);
    int code = map_fault(OP_SOCKET, &zero, &zero, NULL);
    if (code)
        return no_socket(code);
    if (type != SOCK_STREAM || protocol != HV_PROTOCOL_RAW)
        return no_socket(WSAEPROTONOSUPPORT);
    if (!(flags & WSA_FLAG_OVERLAPPED))
        violation("a Hyper-V socket that is not overlapped");

    SOCKET s = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, g, flags);
    if (s == INVALID_SOCKET || sock_add(s))
        return s;
    closesocket(s);
    return no_socket(WSAEMFILE);
}

SOCKET WSAAPI hook_socket(int af, int type, int protocol)
{
    return af == AF_HV || af == AF_UNIX
               ? hook_WSASocketW(af, type, protocol, NULL, 0, WSA_FLAG_OVERLAPPED)
               : socket(af, type, protocol);
}

/* Older hosts drop data in flight when a socket is closed before both ends of stream have passed;
 * here every such close does, by a reset. */
int WSAAPI hook_closesocket(SOCKET s)
{
    struct sock *k = sock_find(s);
    if (k) {
        connect_abandon(k);
        if (k->connected && !(k->sent_end && k->saw_end)) {
            struct linger now = {.l_onoff = 1, .l_linger = 0};
            setsockopt(s, SOL_SOCKET, SO_LINGER, (const char *)&now, sizeof now);
            trace("socket %d closed early (%s, %s): what is in flight is lost", (int)s,
                  k->sent_end ? "end sent" : "end not sent",
                  k->saw_end ? "end seen" : "end not seen");
        }
        sock_remove(k);
    }
    unix_forget(s);
    return closesocket(s);
}

BOOL WINAPI hook_CloseHandle(HANDLE h)
{
    if (sock_find((SOCKET)h) || unix_is((SOCKET)h))
        violation("CloseHandle on a socket: it must be closesocket");
    return CloseHandle(h);
}

/* --- binding --- */

static bool is_wildcard(const GUID *vm)
{
    return IsEqualGUID(vm, &zero) || IsEqualGUID(vm, &HV_GUID_CHILDREN) ||
           IsEqualGUID(vm, &HV_GUID_PARENT) || IsEqualGUID(vm, &HV_GUID_LOOPBACK);
}

/* Where a listener for this VM is reached: the partition's own address for a wildcard; for one
 * particular VM an address next to that VM's, so that nobody else finds it. */
static int listen_address(const GUID *vmid, struct in_addr *addr)
{
    struct vm vm = map_self();
    if (!is_wildcard(vmid)) {
        if (!map_vm(vmid, &vm))
            return WSAEADDRNOTAVAIL;
        vm.addr.S_un.S_un_b.s_b4++;
    }
    *addr = vm.addr;
    return 0;
}

int WSAAPI hook_bind(SOCKET s, const struct sockaddr *addr, int len)
{
    struct sock *k = sock_find(s);
    int result;
    if (unix_bind(s, addr, len, &result))
        return result;
    if (!k)
        return bind(s, addr, len);
    int code = check_address(addr, len);
    if (code)
        return fail(code);

    const SOCKADDR_HV *hv = (const void *)addr;
    bool to_listen = !IsEqualGUID(&hv->ServiceId, &zero);
    struct sockaddr_in in = {.sin_family = AF_INET};
    code = listen_address(&hv->VmId, &in.sin_addr);
    if (!code && to_listen)
        code = map_fault(OP_BIND, &hv->VmId, &hv->ServiceId, NULL);
    if (!code && to_listen && !map_port(&hv->ServiceId))
        code = WSAEACCES;
    if (code)
        return fail(code);
    in.sin_port = htons((u_short)map_port(&hv->ServiceId));
    if (bind(s, (struct sockaddr *)&in, sizeof in) != 0)
        return SOCKET_ERROR;
    k->bound = true;
    k->local = *hv;
    return 0;
}

/* --- options --- */

static int set_hyperv_option(struct sock *k, int name, const char *value, int len)
{
    ULONG v;
    if (len != (int)sizeof v)
        return fail(WSAEFAULT);
    memcpy(&v, value, sizeof v);
    switch (name) {
    case HVSOCKET_CONNECT_TIMEOUT:
        if (v > HVSOCKET_CONNECT_TIMEOUT_MAX)
            return fail(WSAEINVAL);
        k->timeout_ms = v;
        k->timeout_set = true;
        return 0;
    case HVSOCKET_CONTAINER_PASSTHRU:
    case HVSOCKET_CONNECTED_SUSPEND:
    case 8: /* HVSOCKET_HIGH_VTL, which mingw-w64 lacks */
        trace("socket %d: option %d = %lu", (int)k->s, name, v);
        return 0;
    default:
        return fail(WSAENOPROTOOPT);
    }
}

static void fill_peer(struct sock *k);

int WSAAPI hook_setsockopt(SOCKET s, int level, int name, const char *value, int len)
{
    struct sock *k = sock_find(s);
    if (level == IPPROTO_TCP && unix_is(s))
        return fail(WSAENOPROTOOPT);
    if (!k) {
        if (level == IPPROTO_TCP && len == (int)sizeof(int))
            trace("socket %d: TCP option %d = %d", (int)s, name, *(const int *)(const void *)value);
        return setsockopt(s, level, name, value, len);
    }
    if (level == HV_PROTOCOL_RAW)
        return set_hyperv_option(k, name, value, len);
    if (level != SOL_SOCKET)
        return fail(WSAENOPROTOOPT); /* IPPROTO_TCP and its like */
    int r = setsockopt(s, level, name, value, len);
    if (r == 0 && (name == SO_UPDATE_CONNECT_CONTEXT || name == SO_UPDATE_ACCEPT_CONTEXT))
        fill_peer(k);
    return r;
}

int WSAAPI hook_getsockopt(SOCKET s, int level, int name, char *value, int *len)
{
    static const GUID provider = {
        0x1234191b, 0x4bf7, 0x4ca7, {0x86, 0xe0, 0xdf, 0xd7, 0xc3, 0x2b, 0x54, 0x45}};
    int r = getsockopt(s, level, name, value, len);
    if (r == 0 && level == SOL_SOCKET && name == SO_PROTOCOL_INFOW && sock_find(s)) {
        WSAPROTOCOL_INFOW *info = (void *)value;
        info->iAddressFamily = AF_HV;
        info->iMaxSockAddr = info->iMinSockAddr = sizeof(SOCKADDR_HV);
        info->iProtocol = HV_PROTOCOL_RAW;
        info->ProviderId = provider;
        wcscpy(info->szProtocol, L"Hyper-V RAW");
    }
    return r;
}

/* --- addresses --- */

/* A peer's service id is its port in the Linux template: what a guest's ephemeral port looks
 * like. */
static void fill_peer(struct sock *k)
{
    struct sockaddr_in in;
    struct vm vm;
    int len = sizeof in;
    if (getpeername(k->s, (struct sockaddr *)&in, &len) != 0)
        return;
    k->connected = true;
    if (k->peer.Family == AF_HV)
        return; /* it is the one that ConnectEx was given */
    k->peer.Family = AF_HV;
    if (map_vm_by_addr(in.sin_addr, &vm))
        k->peer.VmId = vm.id;
    k->peer.ServiceId = HV_GUID_VSOCK_TEMPLATE;
    k->peer.ServiceId.Data1 = ntohs(in.sin_port);
}

static int give_address(const SOCKADDR_HV *from, struct sockaddr *to, int *len)
{
    if (*len < (int)sizeof *from)
        return fail(WSAEFAULT);
    memcpy(to, from, sizeof *from);
    *len = sizeof *from;
    return 0;
}

int WSAAPI hook_getsockname(SOCKET s, struct sockaddr *addr, int *len)
{
    struct sock *k = sock_find(s);
    int result;
    if (unix_getsockname(s, addr, len, &result))
        return result;
    if (!k)
        return getsockname(s, addr, len);
    return k->bound || k->connected ? give_address(&k->local, addr, len) : fail(WSAEINVAL);
}

int WSAAPI hook_getpeername(SOCKET s, struct sockaddr *addr, int *len)
{
    struct sock *k = sock_find(s);
    int result;
    if (unix_getpeername(s, addr, len, &result))
        return result;
    if (!k)
        return getpeername(s, addr, len);
    return k->connected ? give_address(&k->peer, addr, len) : fail(WSAENOTCONN);
}

/* --- data --- */

int WSAAPI hook_shutdown(SOCKET s, int how)
{
    struct sock *k = sock_find(s);
    if (k && k->broken)
        return fail(k->broken);
    if (k && how != SD_RECEIVE)
        k->sent_end = true;
    return shutdown(s, how);
}

static bool has_room(LPWSABUF bufs, DWORD count)
{
    for (DWORD i = 0; i < count; i++) {
        if (bufs[i].len)
            return true;
    }
    return false;
}

/* The end of stream is noticed in calls that return at once; libuv reads so, after an overlapped
 * read of no bytes has told it that there is something. */
int WSAAPI hook_WSARecv(SOCKET s, LPWSABUF bufs, DWORD count, LPDWORD received, LPDWORD flags,
                        LPWSAOVERLAPPED ov, LPWSAOVERLAPPED_COMPLETION_ROUTINE done)
{
    struct sock *k = sock_find(s);
    if (k && k->broken)
        return fail(k->broken);
    int r = WSARecv(s, bufs, count, received, flags, ov, done);
    if (k && r == 0 && !ov && *received == 0 && has_room(bufs, count))
        k->saw_end = true;
    return r;
}

int WSAAPI hook_WSASend(SOCKET s, LPWSABUF bufs, DWORD count, LPDWORD sent, DWORD flags,
                        LPWSAOVERLAPPED ov, LPWSAOVERLAPPED_COMPLETION_ROUTINE done)
{
    struct sock *k = sock_find(s);
    if (k && k->broken)
        return fail(k->broken);
    return WSASend(s, bufs, count, sent, flags, ov, done);
}

/* An overlapped operation that is under way ends by the shutdown; the next call gets the code. */
static void break_stream(struct sock *k)
{
    if (!k->connected || k->broken)
        return;
    GUID service = IsEqualGUID(&k->local.ServiceId, &zero) ? k->peer.ServiceId : k->local.ServiceId;
    int code = map_fault(OP_STREAM, &k->peer.VmId, &service, NULL);
    if (!code)
        return;
    k->broken = code;
    shutdown(k->s, SD_BOTH);
    trace("socket %d: broken with %d", (int)k->s, code);
}

void break_streams(void)
{
    socks_each(break_stream);
}
