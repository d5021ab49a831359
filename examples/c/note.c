/* Sends a note; the account is in EXOSEND_* variables.
 *
 *     cc note.c -I include lib/libexosend.a -o note && ./note ann@example.com
 */
#include <exosend.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    const char *message = "Subject: backup done\n\n212 GiB in 41 min\n";
    const char *to[] = {NULL, NULL};
    char report[500];
    int code;

    if (argc != 2) {
        fputs("usage: note RECIPIENT\n", stderr);
        return 64;
    }
    to[0] = argv[1];
    code = exosend_send(NULL, to, message, strlen(message), report, sizeof report);
    fprintf(code == 0 ? stdout : stderr, "%s\n", report);
    if (code & EXOSEND_TRANSIENT)
        return 75; /* whoever called may try again */
    return EXOSEND_KIND(code);
}
