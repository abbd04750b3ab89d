/* ConnectEx and AcceptEx. One that is to fail later is kept here: it is pending until a timer fires
 * or the program cancels it, and completes through its event as the real one does. */
#include "hooks.h"

#include "log.h"
#include "map.h"
#include "sock.h"

#include <mstcpip.h>
#include <ws2tcpip.h>

#define ADDRESS_ROOM (sizeof(SOCKADDR_HV) + 16)

/* A failed operation's OVERLAPPED holds an NTSTATUS of the customer range with the WSA code in it,
 * which hook_WSAGetOverlappedResult() takes out again. */
#define STATUS_OF(code) ((ULONG_PTR)0xe0000000u | (ULONG_PTR)(code))
#define IS_OURS(status) (((status)&0xf0000000u) == 0xe0000000u)
#define CODE_OF(status) ((int)((status)&0xffffu))
#define PENDING         0x103u

static LPFN_ACCEPTEX real_AcceptEx;
static LPFN_CONNECTEX real_ConnectEx;

/* --- what fails later --- */

/* Under the lock; the program may free the OVERLAPPED as soon as its event is set. */
static void complete(struct sock *k, int code)
{
    OVERLAPPED *ov = k->connecting;
    k->connecting = NULL;
    ov->InternalHigh = 0;
    ov->Internal = STATUS_OF(code);
    SetEvent(ov->hEvent);
}

struct later {
    SOCKET s;
    LONG id; /* handles and OVERLAPPEDs are used again; this number is not */
    int code;
};

static void CALLBACK on_timer(PVOID arg, BOOLEAN fired)
{
    struct later later = *(struct later *)arg;
    (void)fired;
    free(arg);
    socks_lock();
    struct sock *k = sock_find(later.s);
    if (k && k->connecting && k->connecting_id == later.id)
        complete(k, later.code);
    socks_unlock();
}

static BOOL connect_failed(int code)
{
    WSASetLastError(code);
    return FALSE;
}

static BOOL start_to_fail(const char *what, struct sock *k, int code, DWORD delay_ms,
                          OVERLAPPED *ov)
{
    static LONG ids;
    HANDLE timer;
    struct later *later = malloc(sizeof *later);
    if (!ov->hEvent)
        violation("%s without an event: the emulator completes through it", what);
    if (!later)
        return connect_failed(WSAENOBUFS);
    if (delay_ms == DELAY_TIMEOUT)
        delay_ms = k->timeout_ms;
    trace("socket %d: %s fails with %d in %lu ms", (int)k->s, what, code, delay_ms);

    ov->Internal = PENDING;
    ResetEvent(ov->hEvent);
    *later = (struct later){.s = k->s, .id = InterlockedIncrement(&ids), .code = code};
    socks_lock();
    k->connecting = ov;
    k->connecting_id = later->id;
    socks_unlock();
    CreateTimerQueueTimer(&timer, NULL, on_timer, later, delay_ms, 0, WT_EXECUTEONLYONCE);
    return connect_failed(WSA_IO_PENDING);
}

void connect_abandon(struct sock *k)
{
    socks_lock();
    if (k->connecting)
        complete(k, WSA_OPERATION_ABORTED);
    socks_unlock();
}

/* An accept is cancelled on its listening socket, but kept with the accepting one. */
static OVERLAPPED *cancelled;

static void cancel_if_it_is(struct sock *k)
{
    if (!k->connecting || k->connecting != cancelled)
        return;
    complete(k, WSA_OPERATION_ABORTED);
    cancelled = NULL;
}

BOOL WINAPI hook_CancelIoEx(HANDLE h, LPOVERLAPPED ov)
{
    socks_lock();
    cancelled = ov;
    if (ov)
        socks_each(cancel_if_it_is);
    bool ours = ov && !cancelled;
    socks_unlock();
    return ours ? TRUE : CancelIoEx(h, ov);
}

BOOL WSAAPI hook_WSAGetOverlappedResult(SOCKET s, LPWSAOVERLAPPED ov, LPDWORD n, BOOL wait,
                                        LPDWORD flags)
{
    if (sock_find(s) && ov->Internal == PENDING && wait)
        WaitForSingleObject(ov->hEvent, INFINITE);
    if (!sock_find(s) || !IS_OURS(ov->Internal))
        return WSAGetOverlappedResult(s, ov, n, wait, flags);
    WSASetLastError(CODE_OF(ov->Internal));
    return FALSE;
}

/* --- ConnectEx --- */

/* Where the address leads: 0 and the TCP address, or the WSA code and when it comes. */
static int resolve(const SOCKADDR_HV *to, struct sockaddr_in *in, DWORD *delay_ms)
{
    struct vm vm = map_self();
    *delay_ms = 0;
    int code = map_fault(OP_CONNECT, &to->VmId, &to->ServiceId, delay_ms);
    if (code)
        return code;
    if (!IsEqualGUID(&to->VmId, &HV_GUID_LOOPBACK) && (!map_vm(&to->VmId, &vm) || vm.off))
        return WSAEADDRNOTAVAIL;
    int port = map_port(&to->ServiceId);
    if (!port) {
        *delay_ms = DELAY_TIMEOUT; /* a Linux guest stays silent */
        return WSAETIMEDOUT;
    }
    in->sin_family = AF_INET;
    in->sin_addr = vm.addr;
    in->sin_port = htons((u_short)port);
    return 0;
}

static BOOL PASCAL hook_ConnectEx(SOCKET s, const struct sockaddr *addr, int len, PVOID data,
                                  DWORD data_len, LPDWORD sent, LPOVERLAPPED ov)
{
    struct sock *k = sock_find(s);
    if (unix_is(s))
        violation("ConnectEx on a UNIX socket: not every Windows has it");
    if (!k)
        return real_ConnectEx(s, addr, len, data, data_len, sent, ov);
    int code = check_address(addr, len);
    if (!code && !k->bound)
        code = WSAEINVAL;
    if (code)
        return connect_failed(code);
    if (!k->timeout_set)
        violation("ConnectEx without HVSOCKET_CONNECT_TIMEOUT: the default differs between hosts");

    struct sockaddr_in in = {0};
    DWORD delay_ms;
    memcpy(&k->peer, addr, sizeof k->peer);
    code = resolve(&k->peer, &in, &delay_ms);
    if (code && delay_ms == 0)
        return connect_failed(code);
    if (code)
        return start_to_fail("ConnectEx", k, code, delay_ms, ov);
    return real_ConnectEx(s, (struct sockaddr *)&in, sizeof in, data, data_len, sent, ov);
}

/* --- AcceptEx --- */

static BOOL PASCAL hook_AcceptEx(SOCKET listener, SOCKET s, PVOID buf, DWORD data_len,
                                 DWORD local_len, DWORD remote_len, LPDWORD n, LPOVERLAPPED ov)
{
    struct sock *l = sock_find(listener), *k = sock_find(s);
    if (!l != !k)
        return connect_failed(WSAEINVAL);
    if (l && (local_len < ADDRESS_ROOM || remote_len < ADDRESS_ROOM))
        return connect_failed(WSAEFAULT);
    if (k) {
        DWORD delay_ms = 0;
        int code = map_fault(OP_ACCEPT, &l->local.VmId, &l->local.ServiceId, &delay_ms);
        k->local = l->local;
        if (code && delay_ms)
            return start_to_fail("AcceptEx", k, code, delay_ms, ov);
        if (code)
            return connect_failed(code);
    }
    return real_AcceptEx(listener, s, buf, data_len, local_len, remote_len, n, ov);
}

int WSAAPI hook_WSAIoctl(SOCKET s, DWORD code, LPVOID in, DWORD in_len, LPVOID out, DWORD out_len,
                         LPDWORD returned, LPWSAOVERLAPPED ov,
                         LPWSAOVERLAPPED_COMPLETION_ROUTINE done)
{
    static const GUID accept_ex = WSAID_ACCEPTEX, connect_ex = WSAID_CONNECTEX;
    const struct tcp_keepalive *keepalive = in;
    int r;
    if (unix_ioctl(s, code, out, out_len, returned, &r))
        return r;
    r = WSAIoctl(s, code, in, in_len, out, out_len, returned, ov, done);
    if (code == SIO_KEEPALIVE_VALS && in_len == sizeof *keepalive)
        trace("socket %d: keepalive %lu after %lu ms, every %lu ms: %d", (int)s, keepalive->onoff,
              keepalive->keepalivetime, keepalive->keepaliveinterval, r);
    if (r != 0 || code != SIO_GET_EXTENSION_FUNCTION_POINTER)
        return r;
    if (IsEqualGUID((const GUID *)in, &accept_ex)) {
        real_AcceptEx = *(LPFN_ACCEPTEX *)out;
        *(LPFN_ACCEPTEX *)out = hook_AcceptEx;
    } else if (IsEqualGUID((const GUID *)in, &connect_ex)) {
        real_ConnectEx = *(LPFN_CONNECTEX *)out;
        *(LPFN_CONNECTEX *)out = hook_ConnectEx;
    }
    return r;
}
