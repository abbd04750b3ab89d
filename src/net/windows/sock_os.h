/* Sockets and pipes as the Windows side makes them: overlapped, not inherited, options set. */
#ifndef HVRELAY_NET_WINDOWS_SOCK_OS_H
#define HVRELAY_NET_WINDOWS_SOCK_OS_H

#include "net/address.h"
#include "net/conn.h"
#include "net/sock_options.h"

#include <mswsock.h>

/* A socket for that address, with the options of its family. Returns 0 or a libuv error number. */
int sock_create(const struct address *address, const struct sock_options *options, SOCKET *out);

/* AcceptEx and ConnectEx of the socket's provider. Returns 0 or a libuv error number. */
int sock_accept_ex(SOCKET socket, LPFN_ACCEPTEX *out);
int sock_connect_ex(SOCKET socket, LPFN_CONNECTEX *out);

/* What ConnectEx asks for: bound to any local address; and, on Hyper-V, a timeout of the
 * provider's own, whose default differs from host to host. */
int sock_prepare_connect(SOCKET socket, const struct address *address, uint64_t timeout);

/* The process at the other end of a UNIX socket; 0 where Windows does not tell. */
uint32_t sock_peer_process(SOCKET socket);

/* A Windows error as a libuv number, the ones that libuv lacks included. */
int sock_error(DWORD error);

/* An instance of the named pipe that waits for a client; `first` fails where somebody else has the
 * name. Its owner, administrators and the system may open it. Returns 0 or a libuv error number. */
int npipe_create(const char *name, bool first, HANDLE *out);

/* Opens the client's end. UV_EBUSY where every instance is taken at the moment. */
int npipe_open(const char *name, HANDLE *out);

/* Are standard input and output streams that libuv can drive here? Returns 0 or -1. */
int sock_check_standard(struct err *err);

/* Standard input and output, which can be had once. Returns 0 or -1. */
int sock_take_single(const struct endpoint *endpoint, struct incoming *out, struct err *err);

void handle_close(enum family family, HANDLE handle);

#endif
