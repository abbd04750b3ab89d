/* The Linux pump: epoll, recv/send and splice. */
#ifndef HVRELAY_RELAY_LINUX_ENGINE_H
#define HVRELAY_RELAY_LINUX_ENGINE_H

#include "relay/relay.h"

/* As relay_start, for PUMP_AUTO, PUMP_SPLICE and PUMP_COPY. */
struct relay *engine_start(struct pumps *pumps, const struct relay_plan *plan, struct err *err);

#endif
