/* For LD_PRELOAD: makes calls of the operating system fail, and keeps the balance of the heap.
 *
 * What a test wants and what it learns stands in the file FAIL_PAGE, mapped by both (struct page;
 * interposer.py reads it). Calls are counted from main's first instruction to its return, in five
 * kinds; the one whose number is `failing[kind]` fails, and the test may set that at any time.
 * FAIL_KIND and FAIL_NUMBER set it before main.
 *
 * Each block carries a tag in its last bytes: whether our own program, not a library, asked for it.
 *
 * Not counted, because what they do with a failure is not ours to mend: allocations of libconfig
 * 1.5, libtasn1 4.19 and glibc 2.36's fts_open, which do not look at what malloc returns, and of
 * jansson 2.14, which does not everywhere; those of GMP 6.2, which aborts, also as GnuTLS sets it
 * up; mmap of OpenBLAS 0.3.21, which repeats it for ever. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

enum kind { MALLOC, MMAP, OPEN, READ, THREAD, KINDS };

struct page {
    atomic_long calls[KINDS];   /* since main began */
    atomic_long failing[KINDS]; /* the number of the call that fails; 0: none */
    atomic_long failed[KINDS];
    atomic_long own_blocks, own_bytes; /* living, asked for by our own program since main began */
    atomic_long blocks, bytes;         /* living, of everyone */
    atomic_long of_workers;            /* allocations in workers but for libjpeg's own */
    atomic_long leaks;                 /* so many blocks of our own are leaked when next freed */
    atomic_long ended;                 /* main has returned */
};

static struct page unwatched, *page = &unwatched;
static atomic_bool armed;
static _Thread_local int in_fts_open;

/* --- who calls --- */

struct range {
    uintptr_t begin, end;
};

static struct range program, jansson, libconfig, libtasn1, gmp, openblas, libjpeg;

static int note_range(struct dl_phdr_info *info, size_t size, void *first)
{
    static const struct {
        const char *name;
        struct range *range;
    } libraries[] = {{"libjansson", &jansson}, {"libconfig", &libconfig},  {"libtasn1", &libtasn1},
                     {"libgmp", &gmp},         {"libopenblas", &openblas}, {"libjpeg", &libjpeg}};
    (void)size;
    struct range *range = *(int *)first ? &program : NULL;
    *(int *)first = 0;
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++)
        if (strstr(info->dlpi_name, libraries[i].name))
            range = libraries[i].range;
    for (int i = 0; range && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X)) {
            range->begin = info->dlpi_addr + part->p_vaddr;
            range->end = range->begin + part->p_memsz;
        }
    }
    return 0;
}

static int is_from(const void *caller, const struct range *range)
{
    return (uintptr_t)caller >= range->begin && (uintptr_t)caller < range->end;
}

static int is_worker(void)
{
    char name[16] = "";
    return prctl(PR_GET_NAME, name) == 0 && strncmp(name, "worker/", 7) == 0;
}

/* --- which fails --- */

static int fails(enum kind kind, int reason)
{
    if (!armed || ++page->calls[kind] != page->failing[kind])
        return 0;
    ++page->failed[kind];
    errno = reason;
    return 1;
}

static int malloc_fails(const void *caller)
{
    if (!armed || in_fts_open)
        return 0;
    if (is_worker() && !is_from(caller, &libjpeg))
        ++page->of_workers;
    const struct range *const spared[] = {&jansson, &libconfig, &libtasn1, &gmp};
    for (size_t i = 0; i < sizeof spared / sizeof spared[0]; i++)
        if (is_from(caller, spared[i]))
            return 0;
    return fails(MALLOC, ENOMEM);
}

/* --- the heap --- */

static const uint64_t mark = 0x9e3779b97f4a7c15u;

static uint64_t *tag_of(void *block)
{
    return (uint64_t *)((char *)block + malloc_usable_size(block)) - 1;
}

static void *enter(void *block, const void *caller)
{
    if (!block)
        return NULL;
    int own = armed && is_from(caller, &program);
    uint64_t tag = own ? mark ^ (uintptr_t)block : 0;
    memcpy(tag_of(block), &tag, sizeof tag);
    long bytes = (long)malloc_usable_size(block);
    ++page->blocks;
    page->bytes += bytes;
    if (own) {
        ++page->own_blocks;
        page->own_bytes += bytes;
    }
    return block;
}

static int is_own(void *block)
{
    uint64_t tag;
    memcpy(&tag, tag_of(block), sizeof tag);
    return tag == (mark ^ (uintptr_t)block);
}

static void leave(long bytes, int own)
{
    --page->blocks;
    page->bytes -= bytes;
    if (own && !page->ended) {
        --page->own_blocks;
        page->own_bytes -= bytes;
    }
}

static void *allocate(size_t size, const void *caller)
{
    if (malloc_fails(caller) || size > PTRDIFF_MAX)
        return NULL;
    return enter(__libc_malloc(size + sizeof mark), caller);
}

void *malloc(size_t size)
{
    return allocate(size, __builtin_return_address(0));
}

void *calloc(size_t count, size_t size)
{
    size_t bytes;
    const void *caller = __builtin_return_address(0);
    if (malloc_fails(caller) || __builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX)
        return NULL;
    return enter(__libc_calloc(1, bytes + sizeof mark), caller);
}

void free(void *block)
{
    int reason = errno;
    if (!block)
        return;
    int own = is_own(block);
    if (own && armed && page->leaks > 0) {
        --page->leaks;
        return;
    }
    leave((long)malloc_usable_size(block), own);
    memset(tag_of(block), 0, sizeof mark);
    __libc_free(block);
    errno = reason;
}

static void *resize(void *old, size_t size, const void *caller)
{
    if (!old)
        return allocate(size, caller);
    if (size == 0) {
        free(old);
        return NULL;
    }
    if (malloc_fails(caller) || size > PTRDIFF_MAX)
        return NULL;
    int own = is_own(old);
    long before = (long)malloc_usable_size(old);
    void *block = __libc_realloc(old, size + sizeof mark);
    if (block)
        leave(before, own);
    return enter(block, caller);
}

void *realloc(void *old, size_t size)
{
    return resize(old, size, __builtin_return_address(0));
}

void *reallocarray(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return resize(old, bytes, __builtin_return_address(0));
}

static void *align(size_t alignment, size_t size, const void *caller)
{
    if (malloc_fails(caller) || size > PTRDIFF_MAX)
        return NULL;
    return enter(__libc_memalign(alignment, size + sizeof mark), caller);
}

void *memalign(size_t alignment, size_t size)
{
    return align(alignment, size, __builtin_return_address(0));
}

void *aligned_alloc(size_t alignment, size_t size) __attribute__((alias("memalign")));

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *block = align(alignment, size, __builtin_return_address(0));
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}

char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *made = allocate(size, __builtin_return_address(0));
    return made ? memcpy(made, text, size) : NULL;
}

char *__strdup(const char *text) __attribute__((alias("strdup"), leaf, malloc, nonnull, nothrow));

/* GnuTLS would have GMP allocate through it; so GMP stays seen as the caller. */
void __gmp_set_memory_functions(void *(*)(size_t), void *(*)(void *, size_t, size_t),
                                void (*)(void *, size_t));
void __gmp_set_memory_functions(void *(*make)(size_t), void *(*again)(void *, size_t, size_t),
                                void (*end)(void *, size_t))
{
    (void)make;
    (void)again;
    (void)end;
}

/* --- the other calls --- */

#define FIND_REAL(name)                                                                            \
    static __typeof__(name) *real;                                                                 \
    if (!real)                                                                                     \
    real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define REAL(name, ...)                                                                            \
    FIND_REAL(name);                                                                               \
    return real(__VA_ARGS__)

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
    if (!is_from(__builtin_return_address(0), &openblas) && fails(MMAP, ENOMEM))
        return MAP_FAILED;
    REAL(mmap, at, length, protection, flags, fd, offset);
}

int open(const char *name, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (fails(OPEN, EMFILE))
        return -1;
    REAL(open, name, flags, mode);
}

_Static_assert(sizeof(off_t) == sizeof(off64_t), "open and open64 are the same");
int open64(const char *name, int flags, ...) __attribute__((alias("open")));

int openat(int folder, const char *name, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (fails(OPEN, EMFILE))
        return -1;
    REAL(openat, folder, name, flags, mode);
}

int __open_2(const char *name, int flags);
int __open_2(const char *name, int flags)
{
    if (fails(OPEN, EMFILE))
        return -1;
    REAL(__open_2, name, flags);
}

FILE *fopen(const char *name, const char *mode)
{
    if (fails(OPEN, EMFILE))
        return NULL;
    REAL(fopen, name, mode);
}

FILE *fopen64(const char *name, const char *mode) __attribute__((alias("fopen")));

DIR *opendir(const char *name)
{
    if (fails(OPEN, EMFILE))
        return NULL;
    REAL(opendir, name);
}

int scandir(const char *name, struct dirent ***list, int (*filter)(const struct dirent *),
            int (*compare)(const struct dirent **, const struct dirent **))
{
    if (fails(OPEN, EMFILE))
        return -1;
    REAL(scandir, name, list, filter, compare);
}

FTS *fts_open(char *const *names, int options, int (*compare)(const FTSENT **, const FTSENT **))
{
    if (fails(OPEN, EMFILE))
        return NULL;
    FIND_REAL(fts_open);
    in_fts_open = 1;
    FTS *tree = real(names, options, compare);
    in_fts_open = 0;
    return tree;
}

int socket(int domain, int type, int protocol)
{
    if (fails(OPEN, EMFILE))
        return -1;
    REAL(socket, domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int pair[2])
{
    if (fails(OPEN, EMFILE))
        return -1;
    REAL(socketpair, domain, type, protocol, pair);
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    if (fails(OPEN, EMFILE))
        return -1;
    REAL(accept4, fd, address, length, flags);
}

int epoll_create1(int flags)
{
    if (fails(OPEN, EMFILE))
        return -1;
    REAL(epoll_create1, flags);
}

int eventfd(unsigned count, int flags)
{
    if (fails(OPEN, EMFILE))
        return -1;
    REAL(eventfd, count, flags);
}

ssize_t read(int fd, void *bytes, size_t size)
{
    if (fails(READ, EIO))
        return -1;
    REAL(read, fd, bytes, size);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
    if (fails(READ, EIO))
        return -1;
    REAL(pread, fd, bytes, size, offset);
}

ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    if (fails(READ, EIO))
        return -1;
    REAL(recv, fd, bytes, size, flags);
}

size_t fread(void *bytes, size_t size, size_t count, FILE *f)
{
    if (fails(READ, EIO)) {
        f->_flags |= _IO_ERR_SEEN;
        return 0;
    }
    REAL(fread, bytes, size, count, f);
}

char *fgets(char *line, int size, FILE *f)
{
    if (fails(READ, EIO)) {
        f->_flags |= _IO_ERR_SEEN;
        return NULL;
    }
    REAL(fgets, line, size, f);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *arg)
{
    if (fails(THREAD, EAGAIN))
        return EAGAIN;
    REAL(pthread_create, thread, attributes, run, arg);
}

/* --- from main's first instruction to its return --- */

static int (*real_main)(int, char **, char **);

static void map_page(void)
{
    const char *path = getenv("FAIL_PAGE"), *kind = getenv("FAIL_KIND");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED)
        return;
    page = mapped;
    page->blocks = unwatched.blocks;
    page->bytes = unwatched.bytes;
    if (kind)
        page->failing[atoi(kind)] = atol(getenv("FAIL_NUMBER"));
}

static int watched_main(int argc, char **argv, char **environment)
{
    int first = 1;
    map_page();
    dl_iterate_phdr(note_range, &first);
    armed = 1;
    int code = real_main(argc, argv, environment);
    armed = 0;
    page->ended = 1;
    return code;
}

int __libc_start_main(int (*run)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end);
int __libc_start_main(int (*run)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
    real_main = run;
    REAL(__libc_start_main, watched_main, argc, argv, init, fini, rtld_fini, stack_end);
}
