/* The file of a listening UNIX socket: bind() makes it and nobody removes it, as on Linux. */
#ifndef HVRELAY_NET_WINDOWS_SOCKET_FILE_H
#define HVRELAY_NET_WINDOWS_SOCKET_FILE_H

#include "net/address.h"

/* Which file it is, so that another one in its place can be told from it. */
struct socket_file {
    uint64_t index;
    uint32_t volume;
    bool known;
};

/* Notes the file that bind() has just made. */
void socket_file_remember(struct socket_file *file, const char *path);

/* False where it is gone, or another one is in its place. True of a file that is not known. */
bool socket_file_is_there(const struct socket_file *file, const char *path);

/* Removes it, unless there is another one in its place by now. */
void socket_file_remove(const struct socket_file *file, const char *path);

/* True where there is a file of that name which is no socket. */
bool socket_file_is_other(const char *path);

/* Removes the socket file that a process which is gone has left: one that nobody listens on. */
bool socket_file_remove_stale(const struct address *address);

#endif
