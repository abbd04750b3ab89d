/*
 * TEST ONLY. hvrun HVEMU.DLL PROGRAM [ARGUMENT...]: runs a program with the emulator in it.
 *
 * The program starts suspended, gets the DLL, and goes on once its imports are patched. Standard
 * streams, exit code and Ctrl-C pass through; when hvrun ends, the program ends.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

#define FAILED_EXIT 125

static HANDLE program;

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "hvrun: %s: error %lu\n", what, GetLastError());
    if (program)
        TerminateProcess(program, FAILED_EXIT);
    exit(FAILED_EXIT);
}

/* Runs a function of one pointer in the program; returns its result. */
static DWORD call(LPTHREAD_START_ROUTINE function, void *arg)
{
    DWORD result = 0;
    HANDLE thread = CreateRemoteThread(program, NULL, 0, function, arg, 0, NULL);
    if (!thread)
        die("CreateRemoteThread");
    WaitForSingleObject(thread, INFINITE);
    GetExitCodeThread(thread, &result);
    CloseHandle(thread);
    return result;
}

static LPTHREAD_START_ROUTINE function_of(HMODULE module, const char *name)
{
    FARPROC f = GetProcAddress(module, name);
    if (!f)
        die(name);
    return (LPTHREAD_START_ROUTINE)(void *)f;
}

/* The DLL's entry point does the rest, before LoadLibrary returns. */
static void inject(const wchar_t *dll)
{
    SIZE_T size = (wcslen(dll) + 1) * sizeof *dll;
    void *path = VirtualAllocEx(program, NULL, size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    if (!path || !WriteProcessMemory(program, path, dll, size, NULL))
        die("cannot write to the program");
    /* kernel32 has the same address in every process */
    if (!call(function_of(GetModuleHandleW(L"kernel32"), "LoadLibraryW"), path))
        die("the program cannot load the emulator");
}

/* The program shares no console with us: its handlers are run as Windows itself does it. */
static BOOL WINAPI on_ctrl(DWORD event)
{
    CreateRemoteThread(program, NULL, 0,
                       function_of(GetModuleHandleW(L"kernelbase"), "CtrlRoutine"),
                       (void *)(ULONG_PTR)event, 0, NULL);
    return TRUE;
}

/* What follows the first `n` words of the command line, exactly as it was written. */
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

static void end_with_us(void)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limit = {0};
    HANDLE job = CreateJobObjectW(NULL, NULL);
    limit.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    if (!job ||
        !SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limit, sizeof limit) ||
        !AssignProcessToJobObject(job, program))
        die("cannot make a job");
}

int wmain(int argc, wchar_t **argv)
{
    wchar_t dll[MAX_PATH];
    STARTUPINFOW start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION info;
    DWORD code;
    if (argc < 3 || !GetFullPathNameW(argv[1], MAX_PATH, dll, NULL)) {
        fprintf(stderr, "usage: hvrun HVEMU.DLL PROGRAM [ARGUMENT...]\n");
        return FAILED_EXIT;
    }
    start.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
    start.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
    start.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    if (!CreateProcessW(NULL, after_words(GetCommandLineW(), 2), NULL, NULL, TRUE, CREATE_SUSPENDED,
                        NULL, NULL, &start, &info))
        die("cannot start the program");
    program = info.hProcess;
    end_with_us();
    inject(dll);
    SetConsoleCtrlHandler(on_ctrl, TRUE);
    ResumeThread(info.hThread);
    WaitForSingleObject(program, INFINITE);
    GetExitCodeProcess(program, &code);
    return (int)code;
}
