/* Named pipes of this machine, for no remote clients. Ours are pipes of messages, though what they
 * carry are bytes: so an empty message can tell that one direction has ended (npipe_stream.h). */
#include "sock_os.h"

#include "base/windows/wide.h"

#include <stdio.h>
#include <stdlib.h>

#include <sddl.h>

enum {
    PATH_ROOM = ENDPOINT_NAME + 16,
    PIPE_BUFFER = 64 * 1024,
};

static int pipe_path(const char *name, wchar_t out[PATH_ROOM])
{
    char text[PATH_ROOM];

    snprintf(text, sizeof text, "\\\\.\\pipe\\%s", name);
    return wide_from_utf8(text, out, PATH_ROOM) == 0 ? 0 : UV_EINVAL;
}

/* The user this process runs as, for LocalFree(); NULL where Windows does not say. */
static wchar_t *own_sid(void)
{
    union {
        TOKEN_USER user;
        BYTE room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
    } info;
    wchar_t *sid = NULL;
    HANDLE token;
    DWORD size;

    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return NULL;
    if (GetTokenInformation(token, TokenUser, &info, sizeof info, &size))
        ConvertSidToStringSidW(info.user.User.Sid, &sid);
    CloseHandle(token);
    return sid;
}

/* Full access for the owner, administrators (BA) and the system (SY), none for anybody else. For
 * LocalFree(). */
static PSECURITY_DESCRIPTOR make_descriptor(void)
{
    PSECURITY_DESCRIPTOR descriptor = NULL;
    wchar_t *owner = own_sid();
    wchar_t text[256];

    if (!owner)
        return NULL;
    swprintf(text, sizeof text / sizeof *text, L"D:P(A;;GA;;;%ls)(A;;GA;;;BA)(A;;GA;;;SY)", owner);
    ConvertStringSecurityDescriptorToSecurityDescriptorW(text, SDDL_REVISION_1, &descriptor, NULL);
    LocalFree(owner);
    return descriptor;
}

int npipe_create(const char *name, bool first, HANDLE *out)
{
    SECURITY_ATTRIBUTES security = {.nLength = sizeof security};
    wchar_t path[PATH_ROOM];
    int status = pipe_path(name, path);

    if (status != 0)
        return status;
    security.lpSecurityDescriptor = make_descriptor();
    if (!security.lpSecurityDescriptor) /* never without: the default would admit everyone */
        return sock_error(GetLastError());
    *out = CreateNamedPipeW(
        path,
        PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | (first ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0),
        PIPE_TYPE_MESSAGE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
        PIPE_UNLIMITED_INSTANCES, PIPE_BUFFER, PIPE_BUFFER, 0, &security);
    status = *out == INVALID_HANDLE_VALUE ? sock_error(GetLastError()) : 0;
    LocalFree(security.lpSecurityDescriptor);
    return status;
}

/* The server may learn who we are, but not act as us. */
int npipe_open(const char *name, HANDLE *out)
{
    wchar_t path[PATH_ROOM];
    int status = pipe_path(name, path);

    if (status != 0)
        return status;
    *out =
        CreateFileW(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                    FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);
    return *out == INVALID_HANDLE_VALUE ? sock_error(GetLastError()) : 0;
}
