#include "socket_file.h"

#include "base/windows/wide.h"
#include "unix_os.h"

static HANDLE open_file(const char *path)
{
    wchar_t wide[ENDPOINT_PATH];

    if (wide_from_utf8(path, wide, ENDPOINT_PATH) != 0)
        return INVALID_HANDLE_VALUE;
    return CreateFileW(wide, FILE_READ_ATTRIBUTES,
                       FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING,
                       FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS, NULL);
}

/* Finds the file of that name; `known` tells whether it is a socket. False where there is none. */
static bool find(const char *path, struct socket_file *out)
{
    HANDLE handle = open_file(path);
    FILE_ATTRIBUTE_TAG_INFO tag;
    BY_HANDLE_FILE_INFORMATION info;
    bool found;

    if (handle == INVALID_HANDLE_VALUE)
        return false;
    found = GetFileInformationByHandleEx(handle, FileAttributeTagInfo, &tag, sizeof tag) &&
            GetFileInformationByHandle(handle, &info);
    CloseHandle(handle);
    if (!found)
        return false;
    out->index = (uint64_t)info.nFileIndexHigh << 32 | info.nFileIndexLow;
    out->volume = info.dwVolumeSerialNumber;
    out->known = tag.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT &&
                 tag.ReparseTag == (DWORD)IO_REPARSE_TAG_AF_UNIX;
    return true;
}

static bool delete_file(const char *path)
{
    wchar_t wide[ENDPOINT_PATH];

    return wide_from_utf8(path, wide, ENDPOINT_PATH) == 0 && DeleteFileW(wide);
}

void socket_file_remember(struct socket_file *file, const char *path)
{
    if (!find(path, file))
        file->known = false;
}

bool socket_file_is_there(const struct socket_file *file, const char *path)
{
    struct socket_file now;

    return !file->known || (find(path, &now) && now.known && now.index == file->index &&
                            now.volume == file->volume);
}

void socket_file_remove(const struct socket_file *file, const char *path)
{
    if (file->known && socket_file_is_there(file, path))
        delete_file(path);
}

bool socket_file_is_other(const char *path)
{
    struct socket_file file;

    return find(path, &file) && !file.known;
}

bool socket_file_remove_stale(const struct address *address)
{
    const SOCKADDR_UN *sa = (const SOCKADDR_UN *)(const void *)&address->sa;
    struct socket_file file;
    u_long on = 1;
    bool stale;
    SOCKET probe;

    if (!find(sa->sun_path, &file) || !file.known)
        return false;
    probe = WSASocketW(AF_UNIX, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_NO_HANDLE_INHERIT);
    if (probe == INVALID_SOCKET)
        return false;
    ioctlsocket(probe, (long)FIONBIO, &on);
    stale = connect(probe, (const struct sockaddr *)sa, (int)address->length) != 0 &&
            WSAGetLastError() == WSAECONNREFUSED;
    closesocket(probe);
    return stale && delete_file(sa->sun_path);
}
