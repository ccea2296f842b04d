// What Swift's view of the C library leaves out. No header with types of its own is included:
// they would exist twice in every module that sees both views.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

extern long syscall(long number, ...);

// Descriptors that become readable when a process ends (Linux 5.3).
static inline int linux_pidfd_open(int pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

// Sends a signal to the very process behind the descriptor.
static inline int linux_pidfd_send_signal(int descriptor, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, descriptor, signal, (void *)0, 0);
}

// epoll(7). The kernel's structure is packed on x86-64 only.
struct linux_event {
    uint32_t events;
    uint64_t token;
}
#ifdef __x86_64__
__attribute__((packed))
#endif
;

enum {
    LINUX_EVENT_ADD = 1,
    LINUX_EVENT_REMOVE = 2,
    LINUX_EVENT_CHANGE = 3,
    LINUX_EVENT_READABLE = 0x001,
    LINUX_EVENT_WRITABLE = 0x004,
};

static inline int linux_epoll_create(void) {
    return (int)syscall(SYS_epoll_create1, 02000000 /* close on exec */);
}

static inline int linux_epoll_control(
    int set, int operation, int descriptor, uint32_t events, uint64_t token) {
    struct linux_event event = {events, token};
    return (int)syscall(SYS_epoll_ctl, set, operation, descriptor, &event);
}

static inline int linux_epoll_wait(
    int set, struct linux_event *events, int limit, int milliseconds) {
    return (int)syscall(SYS_epoll_pwait, set, events, limit, milliseconds, (void *)0, 8);
}

// A descriptor that becomes readable when one of the signals of `mask` (bit n-1 for signal n)
// is pending; the caller must have blocked them.
static inline int linux_signal_descriptor(uint64_t mask) {
    return (int)syscall(SYS_signalfd4, -1, &mask, 8, 02004000 /* close on exec, not blocking */);
}

// Two steps that posix_spawn takes in the new process. glibc 2.29 and 2.34.
extern int linux_spawn_add_directory(void *actions, const char *path)
    __asm__("posix_spawn_file_actions_addchdir_np");
extern int linux_spawn_add_close_from(void *actions, int first)
    __asm__("posix_spawn_file_actions_addclosefrom_np");
enum { LINUX_SPAWN_NEW_SESSION = 0x80 };

// Makes the caller the parent of all its descendants that lose theirs (Linux 3.4).
static inline int linux_adopt_orphans(void) {
    return (int)syscall(SYS_prctl, 36 /* PR_SET_CHILD_SUBREAPER */, 1, 0, 0, 0);
}
