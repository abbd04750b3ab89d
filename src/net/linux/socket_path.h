/* The path of a listening UNIX socket, of which at most one process may be the owner. */
#ifndef HVRELAY_NET_LINUX_SOCKET_PATH_H
#define HVRELAY_NET_LINUX_SOCKET_PATH_H

#include "net/address.h"

/* Locks the path's folder against other relays, from bind() until listen(): in between, a socket
 * looks like one that a dead process has left. Returns a descriptor, whose close gives the lock up,
 * or -1 if the lock can't be had: the caller goes on without it. May wait for a second, once in ten
 * minutes. Main thread. */
int socket_path_lock(const char *path);

/* Removes the socket file that a process which is gone has left: one that nobody listens on. True
 * if it is removed. */
bool socket_path_remove_stale(const struct address *address, const char *path);

#endif
