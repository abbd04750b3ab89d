/* Windows's own errors as err.h has them. */
#ifndef HVRELAY_BASE_WINDOWS_WINERR_H
#define HVRELAY_BASE_WINDOWS_WINERR_H

#include "base/err.h"

/* As err_system, for a code of GetLastError(), WSAGetLastError() or an HRESULT: the message ends in
 * ": ", Windows's text and "(error N)", since people search for the number; err->code is the libuv
 * number that libuv has for it, UV_UNKNOWN for the many it has none for. Returns -1. */
int err_windows(struct err *err, unsigned long code, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
