/* Sockets as the Linux side makes them: non-blocking, closed on exec, options set. */
#ifndef HVRELAY_NET_LINUX_SOCK_OS_H
#define HVRELAY_NET_LINUX_SOCK_OS_H

#include "net/address.h"
#include "net/conn.h"
#include "net/sock_options.h"

/* A socket for that address, with the options of its family. Accepted sockets inherit them from
 * their listener. Returns the descriptor, or a libuv error number. */
int sock_create(const struct address *address, const struct sock_options *options);

/* The same for a socket that somebody else has made. */
void sock_set_options(int fd, enum family family, const struct sock_options *options);

/* Changes the options of a socket that has `from`; what `to` leaves to the system gets the system's
 * default again (before Linux 5.14 a buffer stays at that size: TCP does not tune it any more).
 * Returns 0, or a libuv error number. */
int sock_change_options(int fd, const struct address *address, const struct sock_options *from,
                        const struct sock_options *to);

/* Whether a TCP socket's close is a reset. The options turn it on, and only an orderly close turns
 * it off: so a process that is killed, and for which the kernel closes, leaves no end that looks
 * clean. Only for TCP: vsock has no reset, and there this would block close(). */
void sock_reset_on_close(int fd, bool on);

/* Leaves urgent data (MSG_OOB) in its place among the other; else it would be lost. An accepted TCP
 * socket inherits this from its listener, a unix socket does not. */
void sock_keep_urgent(int fd);

/* Sets the buffers that the options name. */
void sock_set_buffers(int fd, enum family family, const struct sock_options *options);

/* Who is at the other end of a unix socket, as of when it connected. Others are left alone. */
void sock_credentials(int fd, struct peer *peer);

/* The family of an inherited socket, or -1 where it is not one that is relayed. */
int sock_family(int fd);

/* Copies of the process's standard input and output, or of the socket `fd`: private, non-blocking,
 * closed on exec, a socket with the options of its family. Standard input and output can be had
 * once. Returns 0 or -1. */
int sock_take_stdio(struct incoming *out, const struct sock_options *options, struct err *err);
int sock_take_fd(int fd, struct incoming *out, const struct sock_options *options, struct err *err);

/* The copies are used from here on: the numbers that `stdio` or `fd:N` names become /dev/null. */
void sock_cover(const struct endpoint *endpoint);

/* The copies were closed unused: they may be taken again. */
void sock_return_stdio(void);

/* Who is at the other end of an inherited stream, as far as its family can tell. */
void sock_peer(const struct incoming *incoming, struct peer *out);

#endif
