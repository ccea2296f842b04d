internal import ProfferModel

/// The system calls that a contained task may make; every other one fails.
///
/// The list has what programs need for files, memory, threads, sockets, signals and time. Not on
/// it: what changes the node (modules, clock, swap, reboot, mounts, namespaces, quotas), what looks
/// into other processes, what loads code into the kernel, and what has been a way out before (keys,
/// user faults, io_uring, raw I/O ports, handles of files).
enum SeccompProfile {
    private static let files = """
        access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 \
        faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 \
        fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr \
        fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat \
        getcwd getdents getdents64 getxattr inotify_add_watch inotify_init inotify_init1 \
        inotify_rm_watch ioctl lchown lchown32 lgetxattr link linkat listxattr llistxattr _llseek \
        lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat newfstatat open \
        openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead \
        readlink readlinkat readv removexattr rename renameat renameat2 rmdir sendfile sendfile64 \
        setxattr splice stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range \
        syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 \
        utimes vmsplice write writev fanotify_mark memfd_create
        """

    private static let processes = """
        alarm arch_prctl capget capset execve execveat exit exit_group fork futex futex_time64 \
        futex_waitv get_robust_list get_thread_area getegid getegid32 geteuid geteuid32 getgid \
        getgid32 getgroups getgroups32 getpgid getpgrp getpid getppid getpriority getresgid \
        getresgid32 getresuid getresuid32 getrlimit getrusage getsid gettid getuid getuid32 \
        ioprio_get ioprio_set kill membarrier pause pidfd_open pidfd_send_signal prctl prlimit64 \
        restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo \
        rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo \
        sched_getaffinity sched_getattr sched_getparam sched_get_priority_max \
        sched_get_priority_min sched_getscheduler sched_rr_get_interval sched_setaffinity \
        sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list \
        set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 \
        setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid \
        setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setuid setuid32 \
        sigaltstack signalfd signalfd4 sigprocmask sigreturn tgkill time times tkill ugetrlimit \
        uname vfork wait4 waitid waitpid sysinfo getcpu getrandom getitimer landlock_add_rule \
        landlock_create_ruleset landlock_restrict_self
        """

    private static let memory = """
        brk madvise mincore mlock mlock2 mlockall mmap mmap2 mprotect mremap msync munlock \
        munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages get_mempolicy \
        set_mempolicy mbind shmat shmctl shmdt shmget semctl semget semop semtimedop \
        semtimedop_time64 msgctl msgget msgrcv msgsnd ipc mq_getsetattr mq_notify mq_open \
        mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
        """

    private static let waiting = """
        clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep \
        clock_nanosleep_time64 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait \
        epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 gettimeofday io_cancel io_destroy \
        io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit nanosleep poll ppoll \
        ppoll_time64 pselect6 pselect6_time64 select _newselect timer_create timer_delete \
        timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 \
        timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
        """

    private static let sockets = """
        accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom \
        recvmmsg recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown \
        socketcall socketpair
        """

    /// The flags of `clone` that make namespaces.
    private static let namespaceFlags: Int64 = 0x7E02_0000
    private static let noSuchCall: Int64 = 38
    private static let vsock: Int64 = 40

    /// The profile as the runtime reads it.
    ///
    /// - Parameter capabilities: What the task may do that others may not; calls that are of no
    ///   use without are added.
    /// - Returns: The value of `linux.seccomp`.
    static func json(capabilities: [Capability]) -> JSON {
        let plain = [files, processes, memory, waiting, sockets].flatMap(names)
        var rules: [JSON] = [
            allow(plain),
            allow(
                ["clone"],
                arguments: [
                    [
                        "index": 0, "value": .number(namespaceFlags), "valueTwo": 0,
                        "op": "SCMP_CMP_MASKED_EQ",
                    ]
                ]),
            // Sockets to the host of a virtual machine are of no task's concern.
            allow(
                ["socket"],
                arguments: [["index": 0, "value": .number(vsock), "op": "SCMP_CMP_NE"]]),
            // The flags of the newer call lie in memory, where a filter cannot see them; programs
            // take the older one when this one is not there.
            [
                "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": .number(noSuchCall),
            ],
        ]
        for capability in capabilities {
            if let more = extra[capability.description] { rules.append(allow(names(more))) }
        }
        return [
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
            "architectures": [
                "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64",
                "SCMP_ARCH_ARM",
            ],
            "syscalls": .array(rules),
        ]
    }

    private static let extra: [String: String] = [
        "SYS_ADMIN": """
        bpf clone3 fanotify_init fsconfig fsmount fsopen fspick mount mount_setattr \
        move_mount open_tree perf_event_open pivot_root setdomainname sethostname setns umount \
        umount2 unshare
        """,
        "SYS_CHROOT": "chroot", "SYS_TIME": "adjtimex clock_adjtime clock_settime settimeofday",
        "SYS_NICE": "migrate_pages move_pages", "SYS_BOOT": "reboot",
        "SYS_PTRACE": "ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp",
        "SYS_MODULE": "delete_module finit_module init_module", "SYS_PACCT": "acct",
        "SYSLOG": "syslog", "DAC_READ_SEARCH": "name_to_handle_at open_by_handle_at",
    ]

    private static func allow(_ names: [String], arguments: [JSON] = []) -> JSON {
        var members = [
            JSON.Member("names", .strings(names)), JSON.Member("action", "SCMP_ACT_ALLOW"),
        ]
        if !arguments.isEmpty { members.append(JSON.Member("args", .array(arguments))) }
        return .object(members)
    }

    private static func names(_ text: String) -> [String] {
        text.split { $0 == " " || $0 == "\n" }.map(String.init)
    }
}
