/* guest-init: the first process of a test guest, linked statically (the guest's root is not there
 * yet when it starts). It builds the root, runs one command, stores its exit code and powers off.
 *
 * The kernel hands it two of its arguments as environment:
 *   VM_ROOT=hostfs|9p    how the machine's / is reached: User-Mode Linux or QEMU
 *   VM_JOB=FILE          what to do, one `key value` a line:
 *     module PATH        a kernel module to load; in order, before anything is mounted
 *     scratch DIR        the folder that is writable for good, at the same path as outside
 *     command FILE       the shell script to run
 *     status FILE        receives its exit code, as text (inside scratch)
 *     output PATH        a terminal for its standard output
 *     errors PATH        a terminal for its standard error
 *
 * The root is an overlay: the machine's / (never written) below, memory above. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define OPTIONS_9P "trans=virtio,version=9p2000.L,msize=524288"

struct job {
    char scratch[PATH_MAX];
    char command[PATH_MAX];
    char status[PATH_MAX];
    char output[PATH_MAX];
    char errors[PATH_MAX];
};

/* Without an exit code in the status file, tests/guest/boot reports a dead guest (125). */
static _Noreturn void power_off(void)
{
    sync();
    reboot(RB_POWER_OFF);
    _exit(1);
}

static _Noreturn void fail(const char *what, const char *name)
{
    fprintf(stderr, "guest-init: %s %s: %s\n", what, name, strerror(errno));
    power_off();
}

static void mount_at(const char *type, const char *source, const char *target, unsigned long flags,
                     const char *options)
{
    mkdir(target, 0755);
    if (mount(source, target, type, flags, options) < 0)
        fail("cannot mount on", target);
}

static void load_module(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || (syscall(SYS_finit_module, file, "", 0) < 0 && errno != EEXIST))
        fail("cannot load", path);
    close(file);
}

static void take_line(struct job *job, char *line)
{
    struct {
        const char *key;
        char *value;
    } keys[] = {{"scratch", job->scratch},
                {"command", job->command},
                {"status", job->status},
                {"output", job->output},
                {"errors", job->errors}};
    line[strcspn(line, "\n")] = '\0';
    char *value = strchr(line, ' ');
    if (value == NULL)
        return;
    *value++ = '\0';
    if (strcmp(line, "module") == 0)
        load_module(value);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(line, keys[i].key) == 0)
            snprintf(keys[i].value, PATH_MAX, "%s", value);
}

static void read_job(struct job *job, const char *path)
{
    char line[PATH_MAX + 16];
    FILE *file = path != NULL ? fopen(path, "r") : NULL;
    if (file == NULL)
        fail("cannot read the job", path != NULL ? path : "(VM_JOB is not set)");
    while (fgets(line, sizeof line, file) != NULL)
        take_line(job, line);
    fclose(file);
}

/* Makes the folders of `path` below the current directory. */
static void make_folders(const char *path)
{
    char *partial;
    if (asprintf(&partial, "%s/", path + 1) < 0)
        fail("no memory for", path);
    for (char *slash = partial; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(partial, 0755);
        *slash = '/';
    }
    free(partial);
}

/* Leaves the new root as the current directory. */
static void build_root(const char *lower)
{
    char options[64];
    /* every machine has /mnt; with hostfs this hides what the machine keeps there */
    mount_at("tmpfs", "guest", "/mnt", 0, "mode=755");
    mkdir("/mnt/upper", 0755);
    mkdir("/mnt/work", 0755);
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=/mnt/upper,workdir=/mnt/work", lower);
    mount_at("overlay", "guest", "/mnt/root", 0, options);
    if (chdir("/mnt/root") < 0)
        fail("cannot enter", "/mnt/root");
}

static void mount_system(void)
{
    mount_at("proc", "proc", "proc", 0, NULL);
    mount_at("sysfs", "sys", "sys", 0, NULL);
    mount_at("devtmpfs", "dev", "dev", 0, NULL);
    mount_at("devpts", "pts", "dev/pts", 0, "mode=620,ptmxmode=666");
    mount_at("tmpfs", "shm", "dev/shm", 0, NULL);
    mount_at("tmpfs", "run", "run", 0, "mode=755");
    static const char *const links[][2] = {{"/proc/self/fd", "dev/fd"},
                                           {"/proc/self/fd/0", "dev/stdin"},
                                           {"/proc/self/fd/1", "dev/stdout"},
                                           {"/proc/self/fd/2", "dev/stderr"}};
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
        if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
            fail("cannot link", links[i][1]);
}

static void mount_scratch(const char *path, bool by_9p)
{
    make_folders(path);
    if (by_9p)
        mount_at("9p", "scratch", path + 1, 0, OPTIONS_9P ",cache=none");
    else
        mount_at("hostfs", "scratch", path + 1, 0, path);
}

static void enter_root(void)
{
    if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        fail("cannot enter", "the new root");
}

static void start_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int handle = socket(AF_INET, SOCK_DGRAM, 0);
    if (handle < 0 || ioctl(handle, SIOCSIFFLAGS, &request) < 0)
        fail("cannot start", "lo");
    close(handle);
}

/* Makes `target` the terminal `path`, raw: bytes come out as they went in. */
static void use_terminal(const char *path, int target)
{
    struct termios settings;
    int file = open(path, O_WRONLY | O_NOCTTY);
    if (file < 0)
        fail("cannot open", path);
    if (tcgetattr(file, &settings) == 0) {
        cfmakeraw(&settings);
        tcsetattr(file, TCSANOW, &settings);
    }
    dup2(file, target);
    close(file);
}

static _Noreturn void execute(const struct job *job)
{
    setsid();
    int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO);
    close(nothing);
    use_terminal(job->output, STDOUT_FILENO);
    use_terminal(job->errors, STDERR_FILENO);
    execl("/bin/sh", "sh", job->command, (char *)NULL);
    _exit(127);
}

/* Runs the command and reaps whatever orphans it leaves. The exit code, as a shell has it. */
static int run(const struct job *job)
{
    pid_t child = fork();
    if (child < 0)
        fail("cannot fork for", job->command);
    if (child == 0)
        execute(job);
    int status = 0;
    while (waitpid(-1, &status, 0) != child)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void store_status(const char *path, int status)
{
    FILE *file = fopen(path, "w");
    if (file == NULL || fprintf(file, "%d\n", status) < 0 || fclose(file) != 0)
        fail("cannot write", path);
}

/* What was written to a serial line must be out before the power is. */
static void drain(const char *path)
{
    int file = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK);
    if (file >= 0) {
        tcdrain(file);
        close(file);
    }
}

int main(void)
{
    static struct job job;
    const char *root = getenv("VM_ROOT");
    bool by_9p = root != NULL && strcmp(root, "9p") == 0;
    const char *lower = "/";
    if (by_9p) {
        mount_at("proc", "proc", "/proc", 0, NULL);
        mount_at("devtmpfs", "dev", "/dev", 0, NULL);
    }
    read_job(&job, getenv("VM_JOB"));
    if (by_9p) {
        lower = "/host";
        mount_at("9p", "root", lower, MS_RDONLY, OPTIONS_9P ",cache=loose");
    }
    build_root(lower);
    mount_system();
    mount_scratch(job.scratch, by_9p);
    enter_root();
    start_loopback();
    sethostname("guest", strlen("guest"));
    int status = run(&job);
    kill(-1, SIGKILL);
    drain(job.output);
    drain(job.errors);
    store_status(job.status, status);
    power_off();
}
