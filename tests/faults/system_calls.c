/* Asks a hook before each system call on a file of one folder, and fails the call if the hook says so.

   The library is loaded with LD_PRELOAD: its functions come before those of the C library, whoever calls them, be it
   SQLite or Python. `watch` sets the folder and the hook. A call asks nothing while the hook itself runs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct call {
    const char *name, *path, *target; /* target: the new path of a rename or a link */
    const void *data;                 /* what a write writes */
    size_t size;                      /* of the data; or the new size of a truncated file */
    off_t offset;
    int flags;                        /* of an open */
};

/* Returns the errno to fail with, 0 to make the call, or DONE to have it succeed without being made. */
typedef int (*hook_type)(const struct call *);
enum { DONE = -1, MAX_FILES = 4096 };

static hook_type hook;
static char folder[PATH_MAX];
static char paths[MAX_FILES][PATH_MAX]; /* of open descriptors in the folder; empty for all others */
static __thread int is_inside;

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name); real; })
#define ASK(...) \
    do { \
        int verdict = ask((struct call){__VA_ARGS__}); \
        if (verdict == DONE) return 0; \
        if (verdict) { errno = verdict; return -1; } \
    } while (0)

void watch(const char *below, hook_type asked)
{
    hook = NULL;
    strncpy(folder, below, sizeof folder - 1);
    hook = asked;
}

static int is_watched(const char *path)
{
    size_t length = strlen(folder);
    return hook && path && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

static int ask(struct call call)
{
    if (is_inside || !is_watched(call.path)) return 0;
    int before = errno;
    is_inside = 1;
    int verdict = hook(&call);
    is_inside = 0;
    errno = before;
    return verdict;
}

static const char *path_of(int file) { return file >= 0 && file < MAX_FILES && *paths[file] ? paths[file] : NULL; }

static off_t position(int file) { return path_of(file) ? REAL(lseek)(file, 0, SEEK_CUR) : 0; }

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    ASK(.name = "open", .path = path, .flags = flags);
    int file = REAL(open)(path, flags, mode);
    if (file >= 0 && file < MAX_FILES) strncpy(paths[file], is_watched(path) ? path : "", PATH_MAX - 1);
    return file;
}

int close(int file)
{
    if (path_of(file)) *paths[file] = 0;
    return REAL(close)(file);
}

ssize_t pread(int file, void *data, size_t size, off_t offset)
{
    ASK(.name = "read", .path = path_of(file), .size = size, .offset = offset);
    return REAL(pread)(file, data, size, offset);
}

ssize_t read(int file, void *data, size_t size)
{
    ASK(.name = "read", .path = path_of(file), .size = size, .offset = position(file));
    return REAL(read)(file, data, size);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t offset)
{
    ASK(.name = "write", .path = path_of(file), .data = data, .size = size, .offset = offset);
    return REAL(pwrite)(file, data, size, offset);
}

ssize_t write(int file, const void *data, size_t size)
{
    ASK(.name = "write", .path = path_of(file), .data = data, .size = size, .offset = position(file));
    return REAL(write)(file, data, size);
}

int ftruncate(int file, off_t size)
{
    ASK(.name = "truncate", .path = path_of(file), .size = size);
    return REAL(ftruncate)(file, size);
}

int fsync(int file)
{
    ASK(.name = "sync", .path = path_of(file));
    return REAL(fsync)(file);
}

int fdatasync(int file)
{
    ASK(.name = "sync", .path = path_of(file));
    return REAL(fdatasync)(file);
}

void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
    int verdict = ask((struct call){.name = "map", .path = path_of(file), .size = size, .offset = offset});
    if (verdict > 0) {
        errno = verdict;
        return MAP_FAILED;
    }
    return REAL(mmap)(address, size, protection, flags, file, offset);
}

int fcntl(int file, int command, ...)
{
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (command == F_SETLK || command == F_SETLKW || command == F_GETLK) ASK(.name = "lock", .path = path_of(file));
    return REAL(fcntl)(file, command, argument);
}

int fstat(int file, struct stat *found)
{
    ASK(.name = "stat", .path = path_of(file));
    return REAL(fstat)(file, found);
}

int stat(const char *path, struct stat *found)
{
    ASK(.name = "stat", .path = path);
    return REAL(stat)(path, found);
}

int lstat(const char *path, struct stat *found)
{
    ASK(.name = "stat", .path = path);
    return REAL(lstat)(path, found);
}

int access(const char *path, int mode)
{
    ASK(.name = "stat", .path = path);
    return REAL(access)(path, mode);
}

int unlink(const char *path)
{
    ASK(.name = "unlink", .path = path);
    return REAL(unlink)(path);
}

int rename(const char *path, const char *target)
{
    ASK(.name = "rename", .path = path, .target = target);
    return REAL(rename)(path, target);
}

int link(const char *path, const char *target)
{
    ASK(.name = "link", .path = path, .target = target);
    return REAL(link)(path, target);
}

/* The same under the names with which programs ask for 64-bit file sizes. */
int open64(const char *, int, ...) __attribute__((alias("open")));
int fcntl64(int, int, ...) __attribute__((alias("fcntl")));
ssize_t pread64(int, void *, size_t, off_t) __attribute__((alias("pread")));
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));
int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));
void *mmap64(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap")));
int fstat64(int, struct stat64 *) __attribute__((alias("fstat")));
int stat64(const char *, struct stat64 *) __attribute__((alias("stat")));
int lstat64(const char *, struct stat64 *) __attribute__((alias("lstat")));
