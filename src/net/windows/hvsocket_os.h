/* Windows's header for Hyper-V sockets, and what older copies of it lack. */
#ifndef HVRELAY_NET_WINDOWS_HVSOCKET_OS_H
#define HVRELAY_NET_WINDOWS_HVSOCKET_OS_H

#include <winsock2.h>

#include <hvsocket.h>

#ifndef AF_HYPERV
#define AF_HYPERV 34
#endif
#ifndef HVSOCKET_HIGH_VTL
#define HVSOCKET_HIGH_VTL 0x08
#endif

#endif
