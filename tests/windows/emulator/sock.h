/* The Hyper-V sockets of the process: what the program believes about each, and what the loopback
 * TCP socket under it cannot tell. */
#ifndef HVEMU_SOCK_H
#define HVEMU_SOCK_H

#include <stdbool.h>

#include <winsock2.h> /* before windows.h, and hvsocket.h after both */

#include <windows.h>

#include <hvsocket.h>

#define AF_HV 34 /* AF_HYPERV, which some SDKs lack */

struct sock {
    SOCKET s;
    SOCKADDR_HV local; /* as bound; of an accepted socket: its listener's */
    SOCKADDR_HV peer;  /* set when connected */
    bool bound;
    bool connected;   /* the context is updated, so that the socket knows its peer */
    bool timeout_set; /* HVSOCKET_CONNECT_TIMEOUT */
    ULONG timeout_ms;
    bool sent_end;          /* our direction was shut down */
    bool saw_end;           /* the peer's end of stream was read */
    int broken;             /* the WSA code with which every further call fails, or 0 */
    OVERLAPPED *connecting; /* a ConnectEx that fails later, see connect.c */
    LONG connecting_id;
};

void socks_init(void);

/* Makes the entry of a new socket; NULL when the table is full. */
struct sock *sock_add(SOCKET s);

/* The entry of a Hyper-V socket; NULL for every other handle. The entry stays valid until
 * sock_remove(): a program that closes a socket another thread still uses breaks Windows's own
 * rule. */
struct sock *sock_find(SOCKET s);

void sock_remove(struct sock *k);

/* Guards the fields `broken`, `connecting` and `connecting_id`, which timers and the watcher touch
 * too. */
void socks_lock(void);
void socks_unlock(void);

/* Calls `visit` for every entry, under the lock. */
void socks_each(void (*visit)(struct sock *k));

#endif
