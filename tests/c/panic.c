/* A clock that fails makes Rust's standard library panic, in the middle of a call: that ends at the border, is told, and
 * prints nothing. */
#define _GNU_SOURCE
#include <errno.h>
#include <exosend.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CHECK(what) ((what) ? (void)0 : (printf("%s:%d: %s\n", __FILE__, __LINE__, #what), exit(1)))

static volatile int in_main, in_others;
static __thread int is_main;

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (is_main ? in_main : in_others) {
        errno = EINVAL;
        return -1;
    }
    return syscall(SYS_clock_gettime, clock, now);
}

int main(void)
{
    const char *settings = "mailbox=robot@contoso.com\ntenant=t\nclient_id=c\nclient_secret=s\n"
                           "server=localhost:1\nauthority=https://localhost:1\ntimeout=20";
    const char *message = "To: ann@example.com\n\nx\n";
    char report[500], byte;
    int stderr_is[2];
    CHECK(pipe(stderr_is) == 0 && dup2(stderr_is[1], 2) == 2);
    is_main = 1;

    in_main = 1;
    CHECK(exosend_send(settings, NULL, message, strlen(message), report, sizeof report) == (EXOSEND_BUG | EXOSEND_IN_DOUBT));
    CHECK(strstr(report, "bug") != NULL);
    in_main = 0;
    in_others = 1;
    CHECK(exosend_send(settings, NULL, message, strlen(message), report, sizeof report) != 0);
    in_others = 0;
    CHECK(EXOSEND_KIND(exosend_send(settings, NULL, message, strlen(message), report, sizeof report)) == EXOSEND_NETWORK);

    close(2);
    close(stderr_is[1]);
    CHECK(read(stderr_is[0], &byte, 1) == 0);
    return 0;
}
