/* Some tests change what belongs to the machine: its services, its registry, its system folder.
 * They do so in a Wine prefix made for them, never on a real Windows. */
#ifndef HVRELAY_TESTS_WINE_ONLY_H
#define HVRELAY_TESTS_WINE_ONLY_H

#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

#define SKIPPED 77

static inline void wine_only(void)
{
    if (GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version"))
        return;
    printf("skipped: it would change this machine, and this is not Wine\n");
    exit(SKIPPED);
}

#endif
