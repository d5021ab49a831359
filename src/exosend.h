/* exosend: sends a message through Exchange Online, with OAuth2. One function: nothing to initialise, nothing to free.
 *
 *     const char *settings = "mailbox = robot@contoso.com\n"
 *                            "tenant = contoso.onmicrosoft.com\n"
 *                            "client_id = 6731de76-14a6-49ae-97bc-6eba6914391e\n"
 *                            "client_secret_file = /etc/robot.secret\n";
 *     const char *to[] = {"ann@example.com", NULL};
 *     const char *message = "Subject: backup done\n\n212 GiB in 41 min\n";
 *     char report[500];
 *     int code = exosend_send(settings, to, message, strlen(message), report, sizeof report);
 *     if (code != 0)
 *         fprintf(stderr, "%s\n", report);
 *
 *     cc note.c libexosend.a
 *     cc -static note.c $(pkg-config --static --cflags --libs exosend)
 *
 * Without a tenant: `cargo run --example stand_in` in exosend's source is an Exchange Online on your own machine, and
 * prints the settings for it.
 */
#ifndef EXOSEND_H
#define EXOSEND_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EXOSEND_VERSION "0.1.0"

/* Who has to act: the low byte of what exosend_send returns. 0 is a message that the server took for every recipient. */
#define EXOSEND_INPUT 1    /* you: settings, recipients or message cannot be right; nothing was sent */
#define EXOSEND_TOKEN 2    /* the administrator of the application in Entra: no token was issued */
#define EXOSEND_NETWORK 3  /* the network: names, connections, timeouts */
#define EXOSEND_TLS 4      /* certificates and TLS */
#define EXOSEND_PROTOCOL 5 /* the server does not speak what is needed, or not as the RFCs say */
#define EXOSEND_AUTH 6     /* the administrator of Exchange Online: the token was refused */
#define EXOSEND_DEFERRED 7 /* nobody yet: the server said to try again later */
#define EXOSEND_REFUSED 8  /* the server said no to the sender, a recipient or the message */
#define EXOSEND_BODY 9     /* the message could not be read to its end */
#define EXOSEND_BUG 15     /* us: please report it */
#define EXOSEND_KIND(code) ((code) & 0xff)

/* At most one of these comes with it. */
#define EXOSEND_TRANSIENT 0x100 /* nothing was sent, and the same call may succeed later: repeat with pauses */
#define EXOSEND_IN_DOUBT 0x200  /* the message may have been sent: look before you repeat */

/* Sends one message, and returns when the server has taken it or the call has failed.
 *
 * settings  Lines of "key = value", in UTF-8: the keys of the account in exosend.conf(5), but transport, graph_endpoint and
 *           login_file. Needed are mailbox, tenant, client_id and a credential. Values are plain: true and not yes, 60 and
 *           not 60s, no $CREDENTIALS_DIRECTORY; token_cache is none unless set. Keys of the command, log or queue, are
 *           errors. NULL: the variables EXOSEND_MAILBOX and so on. A call ends within timeout = SECONDS, 3600 unless set.
 * to        The recipients' addresses, ended by NULL. NULL: those in To, Cc and Bcc of the message, as sendmail -t.
 * message   Header, empty line and text (RFC 5322), length bytes; lines end in LF or CRLF. Bcc is always taken out. From,
 *           Date and Message-ID are added where they are missing, and so is the character set of a text that names none;
 *           letters of other languages in the header are encoded. All else goes out as it is.
 * report    Gets one line, ended by NUL and cut to room bytes: the server's reply, or what went wrong at which step and what
 *           to do about it. 500 bytes are enough for most. May be NULL.
 *
 * Threads: any number may call at once; each call logs in for itself, and Exchange takes 3 connections from a mailbox. A call
 * starts threads of its own; one that waits for a name server may outlive it, and runs handlers of signals that the
 * caller does not block. The caller's own stack needs 128 KiB. Nothing is kept between calls but the file that token_cache
 * names. Before and after fork(): yes, in a child that may call malloc. Not in the child of a fork amid another thread's
 * call: a lock that this thread held is held for ever there (POSIX: such a child calls exec).
 * Signals: none is blocked, handled or raised, SIGPIPE among them; one that comes does not end a wait.
 * Printed: nothing, to no stream and no log. A secret is in no report.
 * Environment: https_proxy and its kin are read, so no other thread may call setenv meanwhile.
 * Where there is no memory left, the process is aborted.
 */
int exosend_send(const char *settings, const char *const *to, const void *message, size_t length, char *report, size_t room);

#ifdef __cplusplus
}
#endif

#endif
