// Lets a User Mode Linux of 6.1 run on processors that have more registers than it knows of (AMX): it hands the kernel as
// many bytes of them as it knows, and newer kernels refuse all but the whole. What lies beyond is marked as unused in
// the bytes that it hands over, so it is never looked at. Preloaded.
#include <cpuid.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PEEK_FIRST = 1, PEEK_LAST = 3, SET_REGISTER_SET = 0x4205, EXTENDED_STATE = 0x202 };

static unsigned bytes_of_extended_state(void)
{
    unsigned eax, ebx = 0, ecx, edx;
    __get_cpuid_count(0xd, 0, &eax, &ebx, &ecx, &edx);
    return ebx;
}

long ptrace(int request, ...)
{
    va_list rest;
    va_start(rest, request);
    int pid = va_arg(rest, int);
    unsigned long address = va_arg(rest, unsigned long);
    void *data = va_arg(rest, void *);
    va_end(rest);

    if (request >= PEEK_FIRST && request <= PEEK_LAST) {
        long word = 0;
        if (syscall(SYS_ptrace, (long)request, pid, address, &word) < 0)
            return -1;
        errno = 0;
        return word;
    }
    struct iovec whole;
    if (request == SET_REGISTER_SET && address == EXTENDED_STATE) {
        whole = *(struct iovec *)data;
        unsigned bytes = bytes_of_extended_state();
        if (whole.iov_len < bytes)
            whole.iov_len = bytes;
        data = &whole;
    }
    return syscall(SYS_ptrace, (long)request, pid, address, data);
}
