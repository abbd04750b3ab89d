/* The functions that stand in for the imports of the program. Each behaves like the one it replaces
 * for whatever is not a Hyper-V socket. */
#ifndef HVEMU_HOOKS_H
#define HVEMU_HOOKS_H

#include <stdbool.h>

#include <winsock2.h>

#include <mswsock.h>
#include <windows.h>

struct sock;
struct sockaddr_in;

/* socket.c: making, binding, closing, options, addresses, data */
SOCKET WSAAPI hook_WSASocketW(int af, int type, int protocol, LPWSAPROTOCOL_INFOW info, GROUP g,
                              DWORD flags);
SOCKET WSAAPI hook_socket(int af, int type, int protocol);
int WSAAPI hook_closesocket(SOCKET s);
BOOL WINAPI hook_CloseHandle(HANDLE h);
int WSAAPI hook_bind(SOCKET s, const struct sockaddr *addr, int len);
int WSAAPI hook_setsockopt(SOCKET s, int level, int name, const char *value, int len);
int WSAAPI hook_getsockopt(SOCKET s, int level, int name, char *value, int *len);
int WSAAPI hook_getsockname(SOCKET s, struct sockaddr *addr, int *len);
int WSAAPI hook_getpeername(SOCKET s, struct sockaddr *addr, int *len);
int WSAAPI hook_shutdown(SOCKET s, int how);
int WSAAPI hook_WSARecv(SOCKET s, LPWSABUF bufs, DWORD count, LPDWORD received, LPDWORD flags,
                        LPWSAOVERLAPPED ov, LPWSAOVERLAPPED_COMPLETION_ROUTINE done);
int WSAAPI hook_WSASend(SOCKET s, LPWSABUF bufs, DWORD count, LPDWORD sent, DWORD flags,
                        LPWSAOVERLAPPED ov, LPWSAOVERLAPPED_COMPLETION_ROUTINE done);

/* connect.c: AcceptEx, ConnectEx and what ends them */
int WSAAPI hook_WSAIoctl(SOCKET s, DWORD code, LPVOID in, DWORD in_len, LPVOID out, DWORD out_len,
                         LPDWORD returned, LPWSAOVERLAPPED ov,
                         LPWSAOVERLAPPED_COMPLETION_ROUTINE done);
BOOL WINAPI hook_CancelIoEx(HANDLE h, LPOVERLAPPED ov);
BOOL WSAAPI hook_WSAGetOverlappedResult(SOCKET s, LPWSAOVERLAPPED ov, LPDWORD n, BOOL wait,
                                        LPDWORD flags);

/* Ends a ConnectEx that is waiting to fail; nothing when there is none. */
void connect_abandon(struct sock *k);

/* unix.c: UNIX sockets. The hooks of the other files ask these first: true where the socket is
 * one, and the answer is in *result. */
bool unix_socket(int af, DWORD flags, SOCKET *result);
bool unix_bind(SOCKET s, const struct sockaddr *addr, int len, int *result);
bool unix_getsockname(SOCKET s, struct sockaddr *addr, int *len, int *result);
bool unix_getpeername(SOCKET s, struct sockaddr *addr, int *len, int *result);
bool unix_ioctl(SOCKET s, DWORD code, LPVOID out, DWORD out_len, LPDWORD returned, int *result);
bool unix_is(SOCKET s);
void unix_forget(SOCKET s);
int WSAAPI hook_connect(SOCKET s, const struct sockaddr *addr, int len);
BOOL WINAPI hook_GetFileInformationByHandleEx(HANDLE file, FILE_INFO_BY_HANDLE_CLASS what,
                                              LPVOID out, DWORD size);

/* wmi.c: the names of virtual machines */
HRESULT WINAPI hook_CoCreateInstance(REFCLSID class, LPUNKNOWN outer, DWORD context, REFIID iid,
                                     LPVOID *object);
HRESULT WINAPI hook_CoSetProxyBlanket(IUnknown *proxy, DWORD authn, DWORD authz, OLECHAR *principal,
                                      DWORD level, DWORD imp, RPC_AUTH_IDENTITY_HANDLE identity,
                                      DWORD capabilities);

/* Sets the last error and returns SOCKET_ERROR. */
int fail(int code);

/* The WSA code for an address the API would not take, or 0. */
int check_address(const struct sockaddr *addr, int len);

/* Breaks established connections that a `stream` fault of a map just read is about. */
void break_streams(void);

#endif
