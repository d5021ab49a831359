/* many THREADS SENDS: that many at once, in a host that is hit by signals and forks. The account is in EXOSEND_* variables;
 * half of the calls get the same lines as text. */
#define _GNU_SOURCE
#include <errno.h>
#include <exosend.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char settings[4096];
static int sends;
static volatile sig_atomic_t signals;

static void count(int signal)
{
    (void)signal;
    signals++;
}

static int send_one(int n)
{
    const char *message = "To: ann@example.com\nCc: bob@example.com\nBcc: hidden@example.com\nSubject: many\n\n.\nx";
    char report[500];
    int code = exosend_send(n % 2 ? NULL : settings, NULL, message, strlen(message), report, sizeof report);
    if (code != 0)
        fprintf(stderr, "%#x %s\n", code, report);
    return code;
}

static void *send_all(void *failed)
{
    for (int n = 0; n < sends; n++)
        if (send_one(n) != 0)
            *(int *)failed = 1;
    return NULL;
}

static int send_in_a_child(void)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        if (send_one(0) != 0)
            _exit(1);
        /* What the parent's threads owned is lost in a child, and no leak of ours. */
        execlp("true", "true", NULL);
        _exit(2);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0)
        printf("a child ended with %#x\n", status);
    return status != 0;
}

int main(int argc, char **argv)
{
    static int failed[1000];
    static pthread_t threads[1000];
    int count_of_threads = argc == 3 ? atoi(argv[1]) : 0, result = 0;
    sends = argc == 3 ? atoi(argv[2]) : 0;
    for (char **line = environ; *line; line++)
        if (strncmp(*line, "EXOSEND_", 8) == 0)
            strcat(strcat(settings, *line), "\n");

    struct sigaction action = {.sa_handler = count};
    struct itimerval often = {{0, 2000}, {0, 2000}};
    struct sigaction pipe, alarm;
    sigaction(SIGPIPE, NULL, &pipe);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);

    result |= send_in_a_child();
    result |= send_one(0);
    result |= send_in_a_child();
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 * 1024);
    for (int n = 0; n < count_of_threads; n++)
        result |= pthread_create(&threads[n], &small, send_all, &failed[n]);
    for (int n = 0; n < count_of_threads; n++) {
        pthread_join(threads[n], NULL);
        result |= failed[n];
    }
    result |= send_in_a_child();
    /* As the host left them. */
    action = pipe;
    sigaction(SIGPIPE, NULL, &pipe);
    sigaction(SIGALRM, NULL, &alarm);
    if (signals == 0 || alarm.sa_handler != count || pipe.sa_handler != action.sa_handler) {
        printf("%d signals, or other handlers\n", (int)signals);
        result = 1;
    }
    return result;
}
