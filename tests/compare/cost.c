/* cost PROGRAM ARGUMENT...: runs it and writes to descriptor 3 its wall time, CPU time, peak memory and exit code.
 * C, and linked statically: Linux counts the memory of the parent at the fork into the child's peak, so the parent has
 * to be smaller than anything that is measured. Python is not, nor is Rust. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long micros(struct timeval t) { return t.tv_sec * 1000000L + t.tv_usec; }

int main(int count, char **words) {
    struct timespec start, end;
    struct rusage used;
    int status;
    if (count < 2) return 2;
    clock_gettime(CLOCK_MONOTONIC, &start);
    pid_t child = fork();
    if (child == 0) {
        close(3);
        execvp(words[1], words + 1);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) < 0) return 2;
    clock_gettime(CLOCK_MONOTONIC, &end);
    long wall = (end.tv_sec - start.tv_sec) * 1000000L + (end.tv_nsec - start.tv_nsec) / 1000;
    dprintf(3, "%ld %ld %ld %d\n", wall, micros(used.ru_utime) + micros(used.ru_stime), used.ru_maxrss,
            WIFEXITED(status) ? WEXITSTATUS(status) : 128);
    return 0;
}
