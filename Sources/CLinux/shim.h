// What Swift's view of the C library leaves out. No header with types of its own is included:
// they would exist twice in every module that sees both views.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

extern long syscall(long number, ...);

// Descriptors that become readable when a process ends (Linux 5.3).
static inline int linux_pidfd_open(int pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

// A pipe whose ends no other program inherits, whichever thread starts one meanwhile.
static inline int linux_pipe(int *ends) {
    return (int)syscall(SYS_pipe2, ends, 02000000 /* close on exec */);
}

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

// Takes the calling thread into a namespace (Linux 3.0).
static inline int linux_enter_namespace(int descriptor) {
    return (int)syscall(SYS_setns, descriptor, 0);
}

// A file that is in memory only and goes with its last descriptor (Linux 3.17).
static inline int linux_memory_file(const char *name) {
    return (int)syscall(SYS_memfd_create, name, 1u /* close on exec */);
}

// mount(2) and umount2(2).
static inline int linux_mount(
    const char *source, const char *target, const char *kind, unsigned long flags,
    const char *data) {
    return (int)syscall(SYS_mount, source, target, kind, flags, data);
}
// Whether a file or directory is in memory only: on tmpfs or ramfs, by the first number of what
// the kernel tells about a file system.
static inline int linux_is_memory(long result, const long *numbers) {
    unsigned long kind = (unsigned long)numbers[0] & 0xFFFFFFFFUL;
    return result == 0 && (kind == 0x01021994UL || kind == 0x858458F6UL);
}
static inline int linux_directory_in_memory(const char *path) {
    long numbers[64] = {0};
    return linux_is_memory(syscall(SYS_statfs, path, numbers), numbers);
}
static inline int linux_file_in_memory(int file) {
    long numbers[64] = {0};
    return linux_is_memory(syscall(SYS_fstatfs, file, numbers), numbers);
}
// Whether the kernel counts its clock as synchronised: 1 yes, 0 no, -1 when it does not say.
static inline int linux_clock_synchronised(void) {
    // struct timex: its first number asks for nothing to be changed, its sixth has the flags.
    long numbers[64] = {0};
    long state = syscall(SYS_adjtimex, numbers);
    if (state < 0) return -1;
    int flags = (int)((unsigned long)numbers[5] & 0xFFFFFFFFUL);
    return state != 5 /* error */ && (flags & 0x40 /* unsynchronised */) == 0;
}
static inline int linux_unmount(const char *target) {
    return (int)syscall(SYS_umount2, target, 2 /* detach */ | 8 /* no link */);
}
enum {
    LINUX_MOUNT_READ_ONLY = 1,
    LINUX_MOUNT_NO_SUID = 2,
    LINUX_MOUNT_NO_DEVICES = 4,
    LINUX_MOUNT_NO_EXEC = 8,
    LINUX_MOUNT_AGAIN = 32,
    LINUX_MOUNT_BIND = 4096,
};

// Opens what is named directly below a directory, and nothing that a link or a mount, also one of
// the same file system, would lead to (Linux 5.6).
static inline int linux_open_here(int directory, const char *name, uint64_t flags) {
    struct { uint64_t flags, mode, resolve; } how = {flags, 0, 1 | 2 | 4 | 8};
    return (int)syscall(SYS_openat2, directory, name, &how, sizeof how);
}

// The same for a path of several names, which may cross mounts.
static inline int linux_open_below(int directory, const char *path, uint64_t flags) {
    struct { uint64_t flags, mode, resolve; } how = {flags, 0, 2 | 4 | 8};
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

// Cuts off the first bytes of a file, a whole number of its file system's blocks and less than all
// of it, while others append to it (Linux 3.15; ext4, XFS and F2FS).
static inline int linux_cut_front(int file, int64_t count) {
    return (int)syscall(SYS_fallocate, file, 8 /* collapse */, (int64_t)0, count);
}
