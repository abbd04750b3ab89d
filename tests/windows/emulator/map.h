/*
 * The world an emulated process lives in, read from the text file that HVEMU_MAP names. A test
 * writes it, and replaces it (by rename) while the process runs to make things happen.
 *
 *     self    VMID ADDRESS              the partition the process runs in
 *     vm      VMID ADDRESS [NAME]       another partition; NAME is what WMI calls it
 *     off     VMID                      it is switched off (WMI still lists it)
 *     service SERVICEID PORT            a registered service and the TCP port that stands for it
 *     fault   OPERATION VMID SERVICEID CODE [DELAY]
 *
 * ADDRESS is an IPv4 loopback address 127.a.b.c, one per partition; c is below 255.
 * OPERATION is socket, bind, connect, accept or stream (an established connection); VMID and
 * SERVICEID may be * for any; CODE is the WSA error; DELAY is in milliseconds, or `timeout` for the
 * connect timeout that is set on the socket (connect only). An accept with a DELAY is pending until
 * then, one without fails at once. The first fault that matches wins.
 *
 * What the map says nothing about behaves as it does on Windows: a connect to an unknown VM or to
 * one that is off fails with 10049, to a service that is not registered with 10060 after the
 * timeout, to a registered one where nobody listens with 10061; a bind to a service that is not
 * registered fails with 10013.
 *
 * Every function may be called from any thread.
 */
#ifndef HVEMU_MAP_H
#define HVEMU_MAP_H

#include <stdbool.h>

#include <winsock2.h>

#include <windows.h>

enum operation { OP_SOCKET, OP_BIND, OP_CONNECT, OP_ACCEPT, OP_STREAM };

#define DELAY_TIMEOUT ((DWORD)-1)

struct vm {
    GUID id;
    struct in_addr addr;
    bool off;
    wchar_t name[64]; /* empty: WMI does not list it */
};

/* Reads the map when the file has changed since the last time. True when it was read. */
bool map_refresh(void);

/* The partition the process runs in. */
struct vm map_self(void);

/* These three return false when there is none such. map_vm_at(n) counts all but self. */
bool map_vm(const GUID *id, struct vm *vm);
bool map_vm_by_addr(struct in_addr addr, struct vm *vm);
bool map_vm_at(int n, struct vm *vm);

/* The TCP port of a registered service, or 0. */
int map_port(const GUID *service);

/* The WSA code of the fault for this operation, or 0. *delay_ms (0, DELAY_TIMEOUT or a time) is set
 * when there is one; it may be NULL. */
int map_fault(enum operation op, const GUID *vm, const GUID *service, DWORD *delay_ms);

#endif
