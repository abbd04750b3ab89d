#include "app/process.h"

#include <stdio.h>

#include <winsock2.h>

/* Winsock must be started before the first socket; libuv does so too, but later. Standard output
 * speaks a protocol of lines that a reader may wait for; the C library buffers whole blocks where
 * it is a pipe, and has no line buffering. */
void process_prepare(void)
{
    WSADATA data;

    WSAStartup(MAKEWORD(2, 2), &data);
    setvbuf(stdout, NULL, _IONBF, 0);
}

const char *process_default_config(void)
{
    static char path[MAX_PATH + 32];
    DWORD length = GetEnvironmentVariableA("ProgramData", path, MAX_PATH);

    if (length == 0 || length >= MAX_PATH)
        return "C:\\ProgramData\\hvrelay\\hvrelay.ini";
    snprintf(path + length, sizeof path - length, "\\hvrelay\\hvrelay.ini");
    return path;
}
