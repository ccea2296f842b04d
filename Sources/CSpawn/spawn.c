#define _GNU_SOURCE
#include "CSpawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Raw calls throughout the child: the C library's versions of setuid and its like change every
// thread of the parent, and others are cancellation points.

struct child {
    struct proffer_spawn_request *plan;
    int error;
};

static int fail(struct child *child, int step, size_t item) {
    child->plan->failed_step = step;
    child->plan->failed_item = item;
    child->error = errno ? errno : EINVAL;
    return -1;
}

static void reset_signals(void) {
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } standard;
    memset(&standard, 0, sizeof standard);
    for (long signal = 1; signal <= 64; signal++)
        syscall(SYS_rt_sigaction, signal, &standard, (void *)0, 8);
    unsigned long none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, (void *)0, 8);
}

static int redirect(int from, int to) { return (int)syscall(SYS_dup3, from, to, 0); }

static void close_from_three(void) {
    if (syscall(SYS_close_range, 3u, ~0u, 0u) == 0) return;
    struct rlimit limit = {1024, 1024};
    syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, (void *)0, &limit);
    long end = limit.rlim_cur > 1048576 ? 1048576 : (long)limit.rlim_cur;
    for (long descriptor = 3; descriptor < end; descriptor++) syscall(SYS_close, descriptor);
}

static void set_oom_score(int score) {
    char text[16];
    int length = 0, value = score < 0 ? -score : score;
    do { text[sizeof text - 1 - length++] = (char)('0' + value % 10); } while (value /= 10);
    if (score < 0) text[sizeof text - 1 - length++] = '-';
    int file = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY, 0);
    if (file < 0) return;
    syscall(SYS_write, file, text + sizeof text - length, (size_t)length);
    syscall(SYS_close, file);
}

static int become_user(const struct proffer_spawn_request *plan) {
    if (syscall(SYS_setgroups, plan->group_count, plan->groups) != 0) return -1;
    if (syscall(SYS_setresgid, plan->group, plan->group, plan->group) != 0) return -1;
    return (int)syscall(SYS_setresuid, plan->user, plan->user, plan->user);
}

static int prepare(struct child *child) {
    struct proffer_spawn_request *plan = child->plan;
    if (syscall(SYS_setsid) < 0) return fail(child, PROFFER_SPAWN_SESSION, 0);
    for (size_t i = 0; i < plan->cgroup_count; i++)
        if (syscall(SYS_write, plan->cgroups[i], "0", 1) != 1)
            return fail(child, PROFFER_SPAWN_CGROUP, i);
    for (size_t i = 0; i < plan->namespace_count; i++)
        if (syscall(SYS_setns, plan->namespaces[i], 0) != 0)
            return fail(child, PROFFER_SPAWN_NAMESPACE, i);
    if (plan->has_oom_score) set_oom_score(plan->oom_score);
    if (syscall(SYS_chdir, plan->directory) != 0)
        return fail(child, PROFFER_SPAWN_DIRECTORY, 0);
    if (redirect(plan->input, 0) < 0) return fail(child, PROFFER_SPAWN_FILES, 0);
    if (redirect(plan->output, 1) < 0) return fail(child, PROFFER_SPAWN_FILES, 1);
    if (redirect(plan->error, 2) < 0) return fail(child, PROFFER_SPAWN_FILES, 2);
    if (plan->takes_terminal) syscall(SYS_ioctl, 0, 0x540E /* TIOCSCTTY */, 0);
    close_from_three();
    for (size_t i = 0; i < plan->limit_count; i++) {
        struct rlimit limit = {plan->limits[i].soft, plan->limits[i].hard};
        if (syscall(SYS_prlimit64, 0, plan->limits[i].resource, &limit, (void *)0) != 0)
            return fail(child, PROFFER_SPAWN_LIMIT, i);
    }
    if (plan->changes_user && become_user(plan) != 0) return fail(child, PROFFER_SPAWN_USER, 0);
    if (plan->no_new_privileges && syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail(child, PROFFER_SPAWN_PRIVILEGES, 0);
    return 0;
}

static int run(void *argument) {
    struct child *child = argument;
    struct proffer_spawn_request *plan = child->plan;
    errno = 0;
    reset_signals();
    if (prepare(child) == 0) {
        syscall(SYS_execve, plan->program, plan->arguments, plan->environment);
        fail(child, PROFFER_SPAWN_EXECUTE, 0);
    }
    syscall(SYS_exit_group, 127);
    return 0;
}

// clone3 with a stack, which the C library does not offer: the child must not return into the frame
// of its parent. `cgroup` is a directory of the unified tree to be born in, which costs the whole
// machine less than moving there: a move waits until no processor makes or ends a process.
static int born_in(int cgroup, int (*body)(void *), void *argument, void *stack, size_t size) {
#if defined(__x86_64__)
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
            set_tid_size, cgroup;
    } wanted = {.flags = CLONE_VM | CLONE_VFORK | 0x200000000u /* CLONE_INTO_CGROUP */,
                .exit_signal = SIGCHLD,
                .stack = (uint64_t)stack,
                .stack_size = size,
                .cgroup = (uint64_t)cgroup};
    long result;
    register void *child_body __asm__("r8") = (void *)body;
    register void *child_argument __asm__("r9") = argument;
    __asm__ volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xor %%ebp, %%ebp\n\t"
        "mov %%r9, %%rdi\n\t"
        "call *%%r8\n\t"
        "hlt\n"
        "1:"
        : "=a"(result)
        : "0"(435L /* clone3 */), "D"(&wanted), "S"(sizeof wanted), "r"(child_body),
          "r"(child_argument)
        : "rcx", "r11", "memory");
    if (result >= 0) return (int)result;
    errno = (int)-result;
    return -1;
#else
    (void)cgroup, (void)body, (void)argument, (void)stack, (void)size;
    errno = ENOSYS;
    return -1;
#endif
}

// Runs `body` in a process that shares our memory, with every signal blocked, and waits until it
// has become another program or ended. Returns its id. `cgroup` is as above, or -1.
static int start(int (*body)(void *), void *argument, int flags, int cgroup) {
    const size_t size = 65536;
    void *stack = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return -1;
    sigset_t all, before;
    sigfillset(&all);
    // A handler of the parent must not run in the child, on the parent's memory.
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int pid = cgroup >= 0
                  ? born_in(cgroup, body, argument, stack, size)
                  : clone(body, (char *)stack + size, CLONE_VM | CLONE_VFORK | SIGCHLD | flags,
                          argument);
    int code = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    munmap(stack, size);
    errno = code;
    return pid;
}

int proffer_spawn(struct proffer_spawn_request *plan) {
    struct child child = {plan, 0};
    plan->failed_step = 0;
    plan->failed_item = 0;
    // A child that becomes another user makes the shared memory look like a privileged program's.
    int dumpable = prctl(PR_GET_DUMPABLE);
    int pid = start(run, &child, 0, plan->has_birthplace ? plan->birthplace : -1);
    int code = errno;
    if (plan->changes_user && dumpable == 1) prctl(PR_SET_DUMPABLE, 1);
    if (pid < 0) {
        plan->failed_step = plan->has_birthplace ? PROFFER_SPAWN_BIRTH : PROFFER_SPAWN_CREATE;
        errno = code;
        return -1;
    }
    if (plan->failed_step == 0) return pid;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    errno = child.error;
    return -1;
}

struct pin {
    const char *source, *target;
    int error;
};

static int pin(void *argument) {
    struct pin *pin = argument;
    if (syscall(SYS_mount, pin->source, pin->target, (void *)0, MS_BIND, (void *)0) != 0)
        pin->error = errno;
    syscall(SYS_exit_group, 0);
    return 0;
}

int proffer_pin_namespace(int kind, const char *path) {
    struct pin state = {
        kind == PROFFER_NAMESPACE_NETWORK ? "/proc/self/ns/net" : "/proc/self/ns/ipc", path, 0};
    int pid = start(pin, &state, kind, -1);
    if (pid < 0) return -1;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    errno = state.error;
    return state.error ? -1 : 0;
}
