/* What differs between compilers and C libraries, so that no other file has to ask. */
#ifndef HVRELAY_BASE_COMPILER_H
#define HVRELAY_BASE_COMPILER_H

#include <time.h>

#if defined(__MINGW32__) /* built with __USE_MINGW_ANSI_STDIO: C99's conversions */
#define PRINTF_LIKE(text, first) __attribute__((format(gnu_printf, text, first)))
#elif defined(__GNUC__)
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#else
#define PRINTF_LIKE(text, first)
#endif

/* UTC. */
#ifdef _WIN32
static inline struct tm *utc_time(const time_t *seconds, struct tm *out)
{
    return gmtime_s(out, seconds) == 0 ? out : NULL;
}
#else
static inline struct tm *utc_time(const time_t *seconds, struct tm *out)
{
    return gmtime_r(seconds, out);
}
#endif

#endif
