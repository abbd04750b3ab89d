/* WSL 2's id, as WSL itself tells it: `wsl.exe -- wslinfo --vm-id -n`. It needs no elevation, but
 * WSL belongs to a user: a service that runs as another account is told about no distribution. */
#include "net/windows/vms.h"

#include "base/windows/winerr.h"

#include <string.h>
#include <uv.h>

#include <windows.h>

#define ANSWER_WITHIN_MS 30000
#define PIPE_BYTES       65536 /* holds all that wsl.exe may say, its help too */
#define NEEDED                                                                                     \
    "'wsl' needs WSL 2 with a distribution of the same user; try 'wsl.exe -- wslinfo --vm-id'"

struct answer {
    char text[256];
    size_t length;
};

/* WSL's own messages are UTF-16, what runs inside writes UTF-8: without the zero bytes the GUID
 * reads the same. */
static void append(struct answer *answer, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count && answer->length < sizeof answer->text - 1; i++) {
        if (bytes[i])
            answer->text[answer->length++] = bytes[i];
    }
    answer->text[answer->length] = '\0';
}

static void read_what_is_there(HANDLE pipe, struct answer *answer)
{
    char bytes[256];
    DWORD ready, count;

    while (PeekNamedPipe(pipe, NULL, 0, NULL, &ready, NULL) && ready > 0 &&
           ReadFile(pipe, bytes, sizeof bytes, &count, NULL))
        append(answer, bytes, count);
}

/* Waits for the process, not for the end of the pipe, which its own children may keep open. */
static DWORD collect(HANDLE process, HANDLE pipe, struct answer *answer)
{
    DWORD code = WAIT_TIMEOUT;

    if (WaitForSingleObject(process, ANSWER_WITHIN_MS) == WAIT_TIMEOUT)
        TerminateProcess(process, code);
    else
        GetExitCodeProcess(process, &code);
    read_what_is_there(pipe, answer);
    return code;
}

/* Only the system's own wsl.exe, whatever the search path says. */
static BOOL start(HANDLE output, PROCESS_INFORMATION *process)
{
    STARTUPINFOW startup = {.cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES};
    wchar_t folder[MAX_PATH], program[MAX_PATH + 16];
    wchar_t line[] = L"wsl.exe -- wslinfo --vm-id -n";

    startup.hStdOutput = startup.hStdError = output;
    GetSystemDirectoryW(folder, MAX_PATH);
    swprintf(program, MAX_PATH + 16, L"%ls\\wsl.exe", folder);
    return CreateProcessW(program, line, NULL, NULL, TRUE, CREATE_NO_WINDOW, NULL, NULL, &startup,
                          process);
}

/* Only `write` is inherited by the child. */
static BOOL make_pipe(HANDLE *read, HANDLE *write)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};

    return CreatePipe(read, write, &inherited, PIPE_BYTES) &&
           SetHandleInformation(*read, HANDLE_FLAG_INHERIT, 0);
}

static int run(struct answer *answer, DWORD *code, struct err *err)
{
    PROCESS_INFORMATION process;
    HANDLE read, write;
    BOOL started;
    DWORD error;

    if (!make_pipe(&read, &write))
        return err_windows(err, GetLastError(), "cannot make a pipe for wsl.exe");
    started = start(write, &process);
    error = GetLastError();
    CloseHandle(write);
    if (started) {
        *code = collect(process.hProcess, read, answer);
        CloseHandle(process.hThread);
        CloseHandle(process.hProcess);
    }
    CloseHandle(read);
    return started ? 0 : err_windows(err, error, "cannot run wsl.exe");
}

int vms_find_wsl(struct guid *id, struct err *err)
{
    struct answer answer = {.length = 0};
    DWORD code = 0;

    if (run(&answer, &code, err) != 0)
        return err_hint(err, NEEDED);
    answer.text[strcspn(answer.text, "\r\n")] = '\0';
    if (code == 0 && guid_parse(answer.text, id) == 0)
        return 0;
    if (code == WAIT_TIMEOUT)
        err_set(err, UV_ETIMEDOUT, "wsl.exe did not tell its VM's id within 30 s");
    else
        err_set(err, UV_ENOENT, "wsl.exe did not tell its VM's id, but '%s' (exit code %lu)",
                answer.text, code);
    return err_hint(err, NEEDED);
}
