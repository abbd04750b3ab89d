#include "../os.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void os_prepare(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
}

size_t os_descriptor_limit(void)
{
    struct rlimit files;
    return getrlimit(RLIMIT_NOFILE, &files) == 0 ? (size_t)files.rlim_cur : 0;
}

static void count(struct os_descriptors *out, const char *target)
{
    if (strncmp(target, "socket:", 7) == 0)
        out->sockets++;
    else if (strncmp(target, "pipe:", 5) == 0)
        out->pipes++;
    else
        out->others++;
}

bool os_descriptors_of(int pid, struct os_descriptors *out)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    *out = (struct os_descriptors){0};
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char target[64];
        if (entry->d_name[0] == '.')
            continue;
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
        if (len < 0)
            continue; /* closed meanwhile */
        target[len] = '\0';
        count(out, target);
    }
    closedir(dir);
    return true;
}

size_t os_resident_bytes(int pid)
{
    char path[64];
    unsigned long all, resident = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%lu %lu", &all, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

void os_ask_to_stop(int pid)
{
    kill(pid, SIGTERM);
}
