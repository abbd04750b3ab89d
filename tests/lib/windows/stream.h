/* What peers and listeners share on Windows. */
#ifndef TESTS_LIB_WINDOWS_STREAM_H
#define TESTS_LIB_WINDOWS_STREAM_H

#include "../peer.h"

#include <winsock2.h>

/* Make a peer that owns the connected stream. The pipe is overlapped. */
struct peer *peer_of_socket(SOCKET socket);
struct peer *peer_of_pipe(HANDLE pipe);

/* 127.0.0.1 */
struct sockaddr_in loopback(unsigned short port);

/* "npipe:NAME" -> its path; NULL: no such endpoint. Valid until the next call. */
const char *pipe_path(const char *endpoint);

/* Ends the test with Windows's number for what went wrong. */
void fail_with(const char *what, unsigned long error);

#endif
