#include "../os.h"

#include <winsock2.h>

#include <psapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <winternl.h>

void os_prepare(void)
{
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
}

/* Handles: there are 16 million. */
size_t os_descriptor_limit(void)
{
    return (size_t)1 << 24;
}

/* ---- counting another process's handles: documented nowhere, and unchanged since Windows XP ----
 */

struct handle_entry {
    PVOID object;
    ULONG_PTR pid;
    ULONG_PTR handle;
    ULONG access;
    USHORT trace, type;
    ULONG attributes, reserved;
};

struct handle_table {
    ULONG_PTR count, reserved;
    struct handle_entry entries[];
};

enum { EXTENDED_HANDLES = 64 };

/* All handles of the system, for free(). */
static struct handle_table *read_handles(void)
{
    ULONG size = 1 << 20, needed;
    for (;;) {
        struct handle_table *table = malloc(size);
        if (table == NULL)
            abort();
        if (NtQuerySystemInformation((SYSTEM_INFORMATION_CLASS)EXTENDED_HANDLES, table, size,
                                     &needed) == 0)
            return table;
        free(table);
        size *= 2;
    }
}

/* A session's streams are sockets or named pipes: both count as sockets. Of the rest only files
 * count: the system's thread pool makes threads and events whenever it likes. */
static void count(struct os_descriptors *out, HANDLE process, HANDLE handle)
{
    HANDLE own;
    if (!DuplicateHandle(process, handle, GetCurrentProcess(), &own, 0, FALSE,
                         DUPLICATE_SAME_ACCESS))
        return;
    DWORD type = GetFileType(own);
    out->sockets += type == FILE_TYPE_PIPE;
    out->others += type == FILE_TYPE_DISK;
    CloseHandle(own);
}

static bool is_running(HANDLE process)
{
    return WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
}

bool os_descriptors_of(int pid, struct os_descriptors *out)
{
    HANDLE process = OpenProcess(PROCESS_DUP_HANDLE | PROCESS_QUERY_INFORMATION | SYNCHRONIZE,
                                 FALSE, (DWORD)pid);
    *out = (struct os_descriptors){0};
    if (process == NULL)
        return false;
    struct handle_table *table = read_handles();
    for (ULONG_PTR i = 0; i < table->count; i++)
        if (table->entries[i].pid == (ULONG_PTR)pid)
            count(out, process, (HANDLE)table->entries[i].handle);
    free(table);
    bool running = is_running(process);
    CloseHandle(process);
    return running;
}

size_t os_resident_bytes(int pid)
{
    PROCESS_MEMORY_COUNTERS memory = {0};
    HANDLE process = OpenProcess(PROCESS_QUERY_INFORMATION | PROCESS_VM_READ, FALSE, (DWORD)pid);
    if (process == NULL)
        return 0;
    GetProcessMemoryInfo(process, &memory, sizeof memory);
    CloseHandle(process);
    return memory.WorkingSetSize;
}

/* What the console does for Ctrl-Break: a thread in the process, at the address that this function
 * has in every process. (Relays in one console would all hear what the console itself tells.) */
void os_ask_to_stop(int pid)
{
    FARPROC routine = GetProcAddress(GetModuleHandleA("kernel32"), "CtrlRoutine");
    HANDLE process = OpenProcess(PROCESS_ALL_ACCESS, FALSE, (DWORD)pid);
    HANDLE thread = NULL;

    if (routine == NULL)
        routine = GetProcAddress(GetModuleHandleA("kernelbase"), "CtrlRoutine");
    if (process != NULL && routine != NULL)
        thread =
            CreateRemoteThread(process, NULL, 0, (LPTHREAD_START_ROUTINE)(void (*)(void))routine,
                               (void *)CTRL_BREAK_EVENT, 0, NULL);
    if (thread == NULL)
        fprintf(stderr, "cannot ask process %d to stop: error %lu\n", pid, GetLastError());
    else
        CloseHandle(thread);
    if (process != NULL)
        CloseHandle(process);
}
