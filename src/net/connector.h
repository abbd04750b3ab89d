/* One attempt to connect to one address. Each system implements it in its own folder. */
#ifndef HVRELAY_NET_CONNECTOR_H
#define HVRELAY_NET_CONNECTOR_H

#include "net/address.h"
#include "net/conn.h"
#include "net/sock_options.h"

struct connector;

/* Status 0: the conn is open. Otherwise a libuv error number, and it is not. */
typedef void connector_done(struct connector *connector, int status);

#include "connector_os.h" /* struct connector */

/* Starts connecting `conn`, an empty one of the caller's, for at most `timeout` ms where the
 * family has such a limit of its own (the caller keeps the deadline). `done` is called once, from
 * the loop. While the system is out of something (descriptors, a full backlog) it keeps trying. */
void connector_start(struct connector *connector, struct loop *loop, const struct address *address,
                     const struct sock_options *options, uint64_t timeout, struct conn *conn,
                     connector_done *done);

/* `done` is not called any more, and the conn is empty. Returns why it has not connected so far: a
 * libuv error number, or 0 where the peer has just not answered. */
int connector_cancel(struct connector *connector);

#endif
