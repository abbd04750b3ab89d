#include "sock_os.h"

#include "hvsocket_os.h"
#include "unix_os.h"

#include <string.h>

#include <mstcpip.h>

#ifndef TCP_MAXRT
#define TCP_MAXRT 5 /* older headers lack it */
#endif

enum {
    LONGEST_HYPERV_TIMEOUT = 300000, /* ms, Windows's own limit */
    KEEPALIVE_INTERVAL = 10000,      /* ms */
};

int sock_error(DWORD error)
{
    switch (error) {
    case WSAENETDOWN:
        return UV_ENETDOWN;
    case ERROR_PIPE_BUSY:
        return UV_EBUSY;
    default:
        return uv_translate_sys_error((int)error);
    }
}

static void set_int(SOCKET socket, int level, int name, uint64_t value)
{
    int option = value > INT32_MAX ? INT32_MAX : (int)value;

    setsockopt(socket, level, name, (const char *)&option, sizeof option);
}

static bool is_loopback(const struct address *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&address->sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&address->sa;

    if (address->sa.ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static void set_keepalive(SOCKET socket, uint64_t idle)
{
    struct tcp_keepalive values = {1, (ULONG)idle, KEEPALIVE_INTERVAL};
    DWORD bytes;

    WSAIoctl(socket, SIO_KEEPALIVE_VALS, &values, sizeof values, NULL, 0, &bytes, NULL, NULL);
}

static void set_tcp(SOCKET socket, const struct address *address,
                    const struct sock_options *options)
{
    set_int(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(socket, SOL_SOCKET, SO_OOBINLINE, 1); /* or an urgent byte would be lost */
    if (options->user_timeout)
        set_int(socket, IPPROTO_TCP, TCP_MAXRT, (options->user_timeout + 999) / 1000);
    if (options->keepalive && !is_loopback(address))
        set_keepalive(socket, options->keepalive);
}

static int protocol_of(enum family family)
{
    switch (family) {
    case FAMILY_TCP:
        return IPPROTO_TCP;
    case FAMILY_HYPERV:
        return HV_PROTOCOL_RAW;
    default:
        return 0;
    }
}

/* These were asked for by name: that Windows does not know one is no detail. */
static int set_hyperv(SOCKET socket, const struct sock_options *options)
{
    const struct {
        bool wanted;
        int name;
    } flags[] = {
        {options->connected_suspend, HVSOCKET_CONNECTED_SUSPEND},
        {options->container_passthru, HVSOCKET_CONTAINER_PASSTHRU},
        {options->high_vtl, HVSOCKET_HIGH_VTL},
    };
    const ULONG on = 1;

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (flags[i].wanted &&
            setsockopt(socket, HV_PROTOCOL_RAW, flags[i].name, (const char *)&on, sizeof on) != 0)
            return sock_error((DWORD)WSAGetLastError());
    }
    return 0;
}

int sock_create(const struct address *address, const struct sock_options *options, SOCKET *out)
{
    SOCKET s = WSASocketW(address->sa.ss_family, SOCK_STREAM, protocol_of(address->family), NULL, 0,
                          WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    int status = 0;

    if (s == INVALID_SOCKET)
        return sock_error((DWORD)WSAGetLastError());
    if (address->family == FAMILY_TCP)
        set_tcp(s, address, options);
    else if (address->family == FAMILY_HYPERV)
        status = set_hyperv(s, options);
    if (status != 0) {
        closesocket(s);
        return status;
    }
    if (options->send_buffer)
        set_int(s, SOL_SOCKET, SO_SNDBUF, options->send_buffer);
    if (options->receive_buffer)
        set_int(s, SOL_SOCKET, SO_RCVBUF, options->receive_buffer);
    *out = s;
    return 0;
}

static int extension(SOCKET socket, const GUID *id, void *out, DWORD size)
{
    GUID copy = *id;
    DWORD bytes;

    if (WSAIoctl(socket, SIO_GET_EXTENSION_FUNCTION_POINTER, &copy, sizeof copy, out, size, &bytes,
                 NULL, NULL) == 0)
        return 0;
    return sock_error((DWORD)WSAGetLastError());
}

int sock_accept_ex(SOCKET socket, LPFN_ACCEPTEX *out)
{
    static const GUID id = WSAID_ACCEPTEX;

    return extension(socket, &id, out, sizeof *out);
}

int sock_connect_ex(SOCKET socket, LPFN_CONNECTEX *out)
{
    static const GUID id = WSAID_CONNECTEX;

    return extension(socket, &id, out, sizeof *out);
}

static void set_hyperv_timeout(SOCKET socket, uint64_t timeout)
{
    ULONG ms =
        timeout == 0 || timeout > LONGEST_HYPERV_TIMEOUT ? LONGEST_HYPERV_TIMEOUT : (ULONG)timeout;

    setsockopt(socket, HV_PROTOCOL_RAW, HVSOCKET_CONNECT_TIMEOUT, (const char *)&ms, sizeof ms);
}

int sock_prepare_connect(SOCKET socket, const struct address *address, uint64_t timeout)
{
    struct sockaddr_storage any;

    memset(&any, 0, sizeof any);
    any.ss_family = address->sa.ss_family;
    if (address->family == FAMILY_HYPERV)
        set_hyperv_timeout(socket, timeout);
    if (bind(socket, (const struct sockaddr *)&any, (int)address->length) == 0)
        return 0;
    return sock_error((DWORD)WSAGetLastError());
}

uint32_t sock_peer_process(SOCKET socket)
{
    ULONG process = 0;
    DWORD bytes;

    WSAIoctl(socket, SIO_AF_UNIX_GETPEERPID, NULL, 0, &process, sizeof process, &bytes, NULL, NULL);
    return process;
}

int sock_check_standard(struct err *err)
{
    for (int fd = 0; fd <= 1; fd++) {
        uv_handle_type type = uv_guess_handle(fd);

        if (type != UV_NAMED_PIPE && type != UV_TTY)
            return err_set(err, UV_ENOTSUP,
                           "standard input and output must be pipes or a console here");
    }
    return 0;
}

int sock_take_single(const struct endpoint *endpoint, struct incoming *out, struct err *err)
{
    static LONG taken;

    if (endpoint->family != FAMILY_STDIO)
        return err_set(err, UV_ENOTSUP, "Windows has no descriptors to inherit by number");
    if (InterlockedExchange(&taken, 1))
        return err_set(err, UV_EBUSY, "standard input and output are in use by another session");
    out->family = FAMILY_STDIO;
    out->handle = NULL;
    return 0;
}

void handle_close(enum family family, HANDLE handle)
{
    if (family == FAMILY_NPIPE)
        CloseHandle(handle);
    else if (family != FAMILY_STDIO)
        closesocket((SOCKET)handle);
}
