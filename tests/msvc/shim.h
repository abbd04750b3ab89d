/* What the C runtime and SDK of Visual Studio have, and Wine 8's headers lack. */
#ifndef MSVC_SHIM_H
#define MSVC_SHIM_H

#include <time.h>

errno_t _gmtime64_s(struct tm *out, const __time64_t *time);
static __inline errno_t gmtime_s(struct tm *out, const time_t *time)
{
    return _gmtime64_s(out, (const __time64_t *)time);
}

#define WSAAPI                        WINAPI
#define PIPE_REJECT_REMOTE_CLIENTS    0x00000008
#define SERVICE_SID_TYPE_UNRESTRICTED 0x00000001
#define IN6_IS_ADDR_V4MAPPED(address)                                                              \
    ((address)->s6_words[0] == 0 && (address)->s6_words[1] == 0 && (address)->s6_words[2] == 0 &&  \
     (address)->s6_words[3] == 0 && (address)->s6_words[4] == 0 &&                                 \
     (address)->s6_words[5] == 0xffff)

#endif
