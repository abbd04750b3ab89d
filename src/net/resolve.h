/* Names to addresses: of hosts, and of virtual machines where the system knows them. */
#ifndef HVRELAY_NET_RESOLVE_H
#define HVRELAY_NET_RESOLVE_H

#include "net/address.h"
#include "net/loop.h"

enum { RESOLVE_MAX = 8 }; /* addresses of one name that are used */

/* The addresses of any endpoint, for listening; "*" is the IPv6 and then the IPv4 wildcard. May
 * block on a name. Returns how many, or -1. */
int resolve_now(const struct endpoint *endpoint, struct address *out, int max, struct err *err);

/* The address of an endpoint that needs no look-up. Returns 1, 0 where one is needed, or -1 where
 * this system can't open it. */
int resolve_literal(const struct endpoint *endpoint, struct address *out, struct err *err);

/* The same for IP addresses alone, which mean the same for ever. Returns 1 or 0. */
int resolve_ip(const struct endpoint *endpoint, struct address *out);

/* A look-up under way on libuv's thread pool. */
struct resolve;

/* `count` addresses, in the order to try them; or `err`, which names what was looked for. */
typedef void resolve_done(void *arg, const struct err *err, const struct address *addresses,
                          int count);

/* `done` is called once, from the loop. Returns NULL where memory is short. */
struct resolve *resolve_start(struct loop *loop, const struct endpoint *endpoint,
                              resolve_done *done, void *arg);

/* `done` is not called any more. */
void resolve_cancel(struct resolve *resolve);

#endif
