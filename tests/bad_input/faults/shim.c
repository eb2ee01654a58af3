/* Loaded before the C library: the n-th call that changes a file under one folder fails.

   Modes: 0 counts, 1 kills before the call, 2 kills after half of it was written, 3 says that the
   disk is full, from then on, 4 says once that a signal came between. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT, KILL, TORN, FULL, INTERRUPTED };

static char folder[4096];
static int mode, at, calls;

void fault_arm(const char *where, int how, int number)
{
    snprintf(folder, sizeof folder, "%s", where);
    mode = how;
    at = number;
    calls = 0;
}

int fault_calls(void) { return calls; }

static int inside(int fd)
{
    char name[64], path[4096];
    if (!folder[0])
        return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, path, sizeof path - 1);
    if (n < 0)
        return 0;
    path[n] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}

/* Whether this call fails; errno says how. `torn` is told that half is to be written. */
static int fails(int *torn)
{
    int now = ++calls == at;
    if (mode == KILL && now)
        raise(SIGKILL);
    if (mode == TORN && now) {
        if (!torn)
            raise(SIGKILL);
        *torn = 1;
    }
    if (mode == FULL && at && calls >= at) {
        errno = ENOSPC;
        return 1;
    }
    if (mode == INTERRUPTED && now) {
        errno = EINTR;
        return 1;
    }
    return 0;
}

#define NEXT(name) __typeof__(&name) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t size)
{
    NEXT(write);
    int torn = 0;
    if (inside(fd) && fails(&torn))
        return -1;
    if (torn) {
        next(fd, data, size / 2);
        raise(SIGKILL);
    }
    return next(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t place)
{
    NEXT(pwrite);
    int torn = 0;
    if (inside(fd) && fails(&torn))
        return -1;
    if (torn) {
        next(fd, data, size / 2, place);
        raise(SIGKILL);
    }
    return next(fd, data, size, place);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place)
{
    return pwrite(fd, data, size, place);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    NEXT(writev);
    if (inside(fd) && fails(NULL))
        return -1;
    return next(fd, parts, count);
}

int fsync(int fd)
{
    NEXT(fsync);
    return inside(fd) && fails(NULL) ? -1 : next(fd);
}

int ftruncate(int fd, off_t size)
{
    NEXT(ftruncate);
    return inside(fd) && fails(NULL) ? -1 : next(fd, size);
}

int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

static int changes(const char *path)
{
    return folder[0] && (path[0] != '/' || strncmp(path, folder, strlen(folder)) == 0);
}

int rename(const char *from, const char *to)
{
    NEXT(rename);
    return changes(to) && fails(NULL) ? -1 : next(from, to);
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    NEXT(renameat2);
    return changes(to) && fails(NULL) ? -1 : next(a, from, b, to, flags);
}

int mkdir(const char *path, mode_t how)
{
    NEXT(mkdir);
    return changes(path) && fails(NULL) ? -1 : next(path, how);
}

int open(const char *path, int flags, ...)
{
    NEXT(open);
    mode_t how = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list more;
        va_start(more, flags);
        how = va_arg(more, mode_t);
        va_end(more);
        if (changes(path) && fails(NULL))
            return -1;
    }
    return next(path, flags, how);
}

int open64(const char *path, int flags, ...)
{
    mode_t how = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list more;
        va_start(more, flags);
        how = va_arg(more, mode_t);
        va_end(more);
    }
    return open(path, flags, how);
}
