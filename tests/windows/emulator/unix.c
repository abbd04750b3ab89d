/* A UNIX socket is a TCP socket on loopback, and its file a plain one that says on which port:
 *
 *     unix PORT [later]
 *
 * A test writes such a file to listen itself, and reads one to connect. As on Windows, connect()
 * is over when it returns, though the socket is one that does not wait; with `later` it is not.
 * What is seen of Windows elsewhere: a path without a socket refuses, a folder that is not there
 * is a network that is down, and there is no ConnectEx. */
#include "hooks.h"

#include "log.h"

#include <stdio.h>

#include <afunix.h>

/* As in sock.c. */
#define MAX_SOCKS 65536
#define TAG       0x80000023u /* IO_REPARSE_TAG_AF_UNIX */
#define PEER_PID  4242

static struct unix_sock {
    bool used;
    char path[UNIX_PATH_MAX]; /* of a listener */
} table[MAX_SOCKS];

static struct unix_sock *find(SOCKET s)
{
    return s / 4 < MAX_SOCKS && table[s / 4].used ? &table[s / 4] : NULL;
}

bool unix_is(SOCKET s)
{
    return find(s) != NULL;
}

void unix_forget(SOCKET s)
{
    if (find(s))
        memset(find(s), 0, sizeof *find(s));
}

bool unix_socket(int af, DWORD flags, SOCKET *result)
{
    if (af != AF_UNIX)
        return false;
    *result = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, flags);
    if (*result / 4 < MAX_SOCKS)
        table[*result / 4].used = true;
    return true;
}

/* --- files --- */

static bool wide(const char *path, wchar_t out[MAX_PATH])
{
    return MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, out, MAX_PATH) > 0;
}

/* The port in a socket's file, or 0. */
static int read_port(const wchar_t *path, bool *later)
{
    char word[8] = "";
    int port = 0;
    FILE *f = _wfopen(path, L"r");
    if (!f)
        return 0;
    if (fscanf(f, "unix %d %7s", &port, word) < 1)
        port = 0;
    *later = strcmp(word, "later") == 0;
    fclose(f);
    return port;
}

/* Until a port is written to it, nobody can connect. */
static int make_file(const wchar_t *path, HANDLE *out)
{
    *out = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_NEW, 0, NULL);
    if (*out != INVALID_HANDLE_VALUE)
        return 0;
    return GetLastError() == ERROR_FILE_EXISTS ? WSAEADDRINUSE : WSAENETDOWN;
}

static void write_port(HANDLE file, int port)
{
    char text[16];
    DWORD written;
    WriteFile(file, text, (DWORD)snprintf(text, sizeof text, "unix %d\n", port), &written, NULL);
}

BOOL WINAPI hook_GetFileInformationByHandleEx(HANDLE file, FILE_INFO_BY_HANDLE_CLASS what,
                                              LPVOID out, DWORD size)
{
    FILE_ATTRIBUTE_TAG_INFO *info = out;
    wchar_t path[MAX_PATH];
    bool later;
    if (what != FileAttributeTagInfo)
        return GetFileInformationByHandleEx(file, what, out, size);
    if (GetFinalPathNameByHandleW(file, path, MAX_PATH, 0) == 0)
        return FALSE;
    info->FileAttributes = GetFileAttributesW(path);
    info->ReparseTag = 0;
    if (read_port(path, &later) != 0) {
        info->FileAttributes |= FILE_ATTRIBUTE_REPARSE_POINT;
        info->ReparseTag = TAG;
    }
    return TRUE;
}

/* --- sockets --- */

static int check(const struct sockaddr *addr, int len, wchar_t path[MAX_PATH])
{
    const SOCKADDR_UN *un = (const void *)addr;
    if (len > (int)sizeof *un || addr->sa_family != AF_UNIX)
        return WSAEFAULT;
    return un->sun_path[0] && wide(un->sun_path, path) ? 0 : WSAEINVAL;
}

static int bind_to(SOCKET s, const struct sockaddr *addr, int len)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int length = sizeof in;
    wchar_t path[MAX_PATH];
    HANDLE file;
    int code = check(addr, len, path);
    if (!code)
        code = make_file(path, &file);
    if (code)
        return fail(code);
    if (bind(s, (struct sockaddr *)&in, sizeof in) != 0 ||
        getsockname(s, (struct sockaddr *)&in, &length) != 0)
        violation("a UNIX socket is bound twice");
    write_port(file, ntohs(in.sin_port));
    CloseHandle(file);
    strcpy(find(s)->path, ((const SOCKADDR_UN *)(const void *)addr)->sun_path);
    return 0;
}

bool unix_bind(SOCKET s, const struct sockaddr *addr, int len, int *result)
{
    if (unix_is(s))
        *result = bind_to(s, addr, len);
    return unix_is(s);
}

static int connect_and_wait(SOCKET s, const struct sockaddr_in *in)
{
    u_long waits = 0, no_longer = 1;
    int result, code;
    ioctlsocket(s, (long)FIONBIO, &waits);
    result = connect(s, (const struct sockaddr *)in, sizeof *in);
    code = WSAGetLastError();
    ioctlsocket(s, (long)FIONBIO, &no_longer);
    WSASetLastError(code);
    return result;
}

int WSAAPI hook_connect(SOCKET s, const struct sockaddr *addr, int len)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    wchar_t path[MAX_PATH];
    bool later = false;
    int port, code;
    if (!unix_is(s))
        return connect(s, addr, len);
    code = check(addr, len, path);
    if (code)
        return fail(code);
    port = read_port(path, &later);
    if (!port)
        return fail(WSAECONNREFUSED);
    in.sin_port = htons((u_short)port);
    if (!later)
        return connect_and_wait(s, &in);
    trace("socket %d: connects later", (int)s);
    return connect(s, (const struct sockaddr *)&in, sizeof in);
}

/* --- addresses --- */

static int give(const char *path, struct sockaddr *addr, int *len)
{
    SOCKADDR_UN un = {.sun_family = AF_UNIX};
    if (*len < (int)sizeof un)
        return fail(WSAEFAULT);
    strcpy(un.sun_path, path);
    memcpy(addr, &un, sizeof un);
    *len = sizeof un;
    return 0;
}

bool unix_getsockname(SOCKET s, struct sockaddr *addr, int *len, int *result)
{
    struct sockaddr_in in;
    int length = sizeof in;
    if (!unix_is(s))
        return false;
    *result = getsockname(s, (struct sockaddr *)&in, &length);
    if (*result == 0)
        *result = give(find(s)->path, addr, len);
    return true;
}

bool unix_getpeername(SOCKET s, struct sockaddr *addr, int *len, int *result)
{
    struct sockaddr_in in;
    int length = sizeof in;
    if (!unix_is(s))
        return false;
    *result = getpeername(s, (struct sockaddr *)&in, &length);
    if (*result == 0)
        *result = give("", addr, len);
    return true;
}

bool unix_ioctl(SOCKET s, DWORD code, LPVOID out, DWORD out_len, LPDWORD returned, int *result)
{
    if (!unix_is(s) || code != SIO_AF_UNIX_GETPEERPID || out_len < sizeof(ULONG))
        return false;
    *(ULONG *)out = PEER_PID;
    *returned = sizeof(ULONG);
    *result = 0;
    return true;
}
