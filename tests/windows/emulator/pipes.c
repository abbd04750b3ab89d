/*
 * TEST ONLY. pipes [--overlapped] PROGRAM [ARGUMENT...]: runs a program with Windows pipes for its
 * standard input and output, and copies between them and its own, which under Wine are pipes of
 * Linux. They are as CreatePipe makes them, or, as OpenSSH's are, such that the program has to use
 * them with OVERLAPPEDs. The end of the input is passed on; the exit code is the program's.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

#define FAILED_EXIT 125

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "pipes: %s: error %lu\n", what, GetLastError());
    exit(FAILED_EXIT);
}

/* Two ends of a pipe: ours, and one that the program inherits. */
static void make_pipe(bool program_reads, DWORD flags, HANDLE *ours, HANDLE *theirs)
{
    static int count;
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
    wchar_t name[64];
    swprintf(name, ARRAYSIZE(name), L"\\\\.\\pipe\\hvrelay-test-%lu-%d", GetCurrentProcessId(),
             count++);
    *ours = CreateNamedPipeW(name, program_reads ? PIPE_ACCESS_OUTBOUND : PIPE_ACCESS_INBOUND,
                             PIPE_TYPE_BYTE | PIPE_WAIT, 1, 4096, 4096, 0, NULL);
    *theirs = CreateFileW(name,
                          program_reads ? GENERIC_READ | FILE_WRITE_ATTRIBUTES
                                        : GENERIC_WRITE | FILE_READ_ATTRIBUTES,
                          0, &inherited, OPEN_EXISTING, flags, NULL);
    if (*ours == INVALID_HANDLE_VALUE || *theirs == INVALID_HANDLE_VALUE)
        die("cannot make a pipe");
}

static void copy(HANDLE from, HANDLE to)
{
    static __thread char buffer[65536];
    DWORD size, written;
    while (ReadFile(from, buffer, sizeof buffer, &size, NULL) && size > 0) {
        for (DWORD done = 0; done < size; done += written) {
            if (!WriteFile(to, buffer + done, size - done, &written, NULL))
                return;
        }
    }
}

static DWORD WINAPI feed(void *to)
{
    copy(GetStdHandle(STD_INPUT_HANDLE), to);
    CloseHandle(to);
    return 0;
}

/* What follows the words of ours, exactly as it was written. */
static wchar_t *after_words(wchar_t *line, int n)
{
    for (; n > 0; n--) {
        bool quoted = false;
        for (; *line && (quoted || *line != L' '); line++)
            quoted ^= *line == L'"';
        while (*line == L' ')
            line++;
    }
    return line;
}

int wmain(int argc, wchar_t **argv)
{
    bool overlapped = argc > 1 && wcscmp(argv[1], L"--overlapped") == 0;
    DWORD flags = overlapped ? FILE_FLAG_OVERLAPPED : 0, code;
    STARTUPINFOW start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION info;
    HANDLE input, output;
    if (argc < (overlapped ? 3 : 2)) {
        fprintf(stderr, "usage: pipes [--overlapped] PROGRAM [ARGUMENT...]\n");
        return FAILED_EXIT;
    }
    make_pipe(true, flags, &input, &start.hStdInput);
    make_pipe(false, flags, &output, &start.hStdOutput);
    start.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    if (!CreateProcessW(NULL, after_words(GetCommandLineW(), overlapped ? 2 : 1), NULL, NULL, TRUE,
                        0, NULL, NULL, &start, &info))
        die("cannot start the program");
    CloseHandle(start.hStdInput);
    CloseHandle(start.hStdOutput);
    CloseHandle(CreateThread(NULL, 0, feed, input, 0, NULL));
    copy(output, GetStdHandle(STD_OUTPUT_HANDLE));
    fprintf(stderr, "pipes: the output has ended\n"); /* our own ends with us only */
    WaitForSingleObject(info.hProcess, INFINITE);
    GetExitCodeProcess(info.hProcess, &code);
    return (int)code;
}
