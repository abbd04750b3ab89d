/* Windows's header for UNIX sockets, and what older copies of it lack. */
#ifndef HVRELAY_NET_WINDOWS_UNIX_OS_H
#define HVRELAY_NET_WINDOWS_UNIX_OS_H

#include <winsock2.h>

#include <afunix.h>

#ifndef IO_REPARSE_TAG_AF_UNIX
#define IO_REPARSE_TAG_AF_UNIX 0x80000023L
#endif

#endif
