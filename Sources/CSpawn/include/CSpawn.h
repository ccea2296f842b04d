// Starts processes: what posix_spawn does, and the steps that it lacks.
//
// The new process shares the memory of its parent until it has become another program, as with
// vfork, so the cost does not grow with the memory of the parent; the calling thread waits for it.
// In between it makes system calls only and touches nothing of the parent's but the request.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct proffer_limit {
    int resource;
    uint64_t soft, hard;
};

// The step at which a start failed.
enum {
    PROFFER_SPAWN_CREATE = 1,
    PROFFER_SPAWN_SESSION,
    PROFFER_SPAWN_CGROUP,
    PROFFER_SPAWN_NAMESPACE,
    PROFFER_SPAWN_DIRECTORY,
    PROFFER_SPAWN_FILES,
    PROFFER_SPAWN_LIMIT,
    PROFFER_SPAWN_USER,
    PROFFER_SPAWN_PRIVILEGES,
    PROFFER_SPAWN_EXECUTE,
    PROFFER_SPAWN_BIRTH,
};

struct proffer_spawn_request {
    const char *program;
    char *const *arguments;
    char *const *environment;
    // The working directory; entered before the user changes.
    const char *directory;
    // What becomes of descriptors 0, 1 and 2; none of them below 3. Everything above 2 is closed.
    int input, output, error;
    // Descriptors of files `tasks` or `cgroup.procs` that the process enters, in this order.
    const int *cgroups;
    size_t cgroup_count;
    // A directory of the unified tree in which the process is born, if `has_birthplace`; fails with
    // PROFFER_SPAWN_BIRTH where the kernel or the machine cannot do it.
    int has_birthplace;
    int birthplace;
    // Descriptors of namespaces that it enters.
    const int *namespaces;
    size_t namespace_count;
    const struct proffer_limit *limits;
    size_t limit_count;
    // Becomes this user if `changes_user`; no capability stays.
    int changes_user;
    uint32_t user, group;
    const uint32_t *groups;
    size_t group_count;
    // Whether `input` is a terminal that becomes the session's own; a failure is ignored.
    int takes_terminal;
    // Whether executing a program can never give privileges.
    int no_new_privileges;
    // Written to oom_score_adj if `has_oom_score`; a failure is ignored.
    int has_oom_score;
    int oom_score;
    // Set when the start has failed: the step, and on which of its items.
    int failed_step;
    size_t failed_item;
};

// Starts a process as the leader of a session of its own, with no signal blocked, handled or
// ignored. Returns its id, or -1 with errno and `failed_step`.
int proffer_spawn(struct proffer_spawn_request *plan);

enum { PROFFER_NAMESPACE_NETWORK = 0x40000000, PROFFER_NAMESPACE_IPC = 0x08000000 };

// Makes a namespace of this kind that lasts as long as it is mounted at `path`, an existing file.
// Returns 0, or -1 with errno.
int proffer_pin_namespace(int kind, const char *path);
