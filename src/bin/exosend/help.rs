//! The texts of `--help`. Each fits a screen of 24 lines and 80 columns.

use crate::out::say;

/// In the place of `{shared}`: what most subcommands take.
const SHARED: &str = " --config FILE  --set KEY=VALUE  --json  --quiet  -v  --version";

/// Prints a text and exits.
pub(crate) fn print(text: &str) -> ! {
    std::process::exit(match say(&text.replace("{shared}", SHARED)) {
        Ok(()) => 0,
        Err(failure) => failure.code().into(),
    })
}

/// The date of the roots tells whether this program can know a new certificate authority.
pub(crate) const VERSION: &str = concat!(
    "exosend ",
    env!("CARGO_PKG_VERSION"),
    "\nbuilt-in roots of 2026-10-19 (webpki-roots 1.0.10)"
);

pub(crate) const ALL: &str = "\
exosend [flags] [--] recipient...  a message on stdin, as for sendmail
exosend send --to A --subject S    a message from arguments, its text on stdin
exosend doctor [--to A]            what is wrong, and what to do about it
exosend queue                      what waits to be sent, and why
exosend configure                  writes the configuration; asks for it
exosend explain, setup, token      a log's line; PowerShell; the access token
exosend login, logout              as yourself, where no application may send
exosend COMMAND --help             more about one of them
as sendmail:
 -t       recipients from To, Cc, Bcc  -f A, -r A  From, if there is none
 -F NAME  the name in that From        -i, -oi     a lone dot ends nothing, ever
 -bp, -q  show the queue, send it      -bs, -bd    SMTP on stdin; no daemon
 ignored: -A -a -B -bm -C -c -D -d -E -e -G -h -L -M -m -N -n -O -o -p -Q -R -S
          -s -T -U -V -X -x -4 -6         -bi, -I    aliases: nothing to do
 -v       the transcript on stderr     --quiet     no warnings
after COMMAND also:
 --config FILE    instead of /etc/exosend.conf and ~/.config/exosend.conf
 --set KEY=VALUE  stronger than files and EXOSEND_* variables; repeat
 --dry-run        up to, not with, DATA  --json   a result object on stdout
in the environment: EXOSEND_CONFIG=FILE, EXOSEND_KEY=VALUE
alone: --version, --help              man exosend, exosend.conf: codes, keys
exit: 64 usage 65 data 66 no input 67 recipient 68 host 69 refused 74 in doubt
 75 try again 76 protocol, TLS 77 login 78 configuration";

pub(crate) const SENDMAIL: &str = ALL;

pub(crate) const SEND: &str = "\
exosend send: a message from arguments

 --to A           a recipient, or several with commas; repeat for more
 --cc A, --bcc A  a recipient of a copy, of a blind copy
 --subject S
 --text T         the text; without it, stdin
 --html FILE      the text in HTML
 --attach FILE    repeat for more
 --from A         needs the right to send as A; \"Name <mailbox>\" does not
 --reply-to A
 --header 'N: V'  one more header field; repeat for more
 --queue          put it into the queue, and print its ID

 --config FILE  --set KEY=VALUE  --dry-run  --json  --quiet  -v  --version

Prints the server's reply. A script that sends a backup's report:

  backup 2>&1 | exosend send --queue --to ops@example.com --subject \"backup\"";

pub(crate) const CONFIGURE: &str = "\
exosend configure: writes the configuration, and tests whether it works

 --mailbox A  --tenant T  --client-id ID  --local-recipient A
                  the answers; the others are asked for at a terminal
 --secret-file F  a file with the client secret, - for stdin; without it, asked
                  for and not shown
 --set KEY=VALUE  any other key, such as client_certificate_file; repeat
 --force          ask for what is set, too, and replace it
 --test A         send a test message to A
 --no-doctor      only write the file

 --config FILE  --quiet  -v  --version

Root writes /etc/exosend.conf, which the queue's owner may read; another user
~/.config/exosend.conf. A different value that is set already is an error. A
second run with the same answers changes nothing. Then it does what exosend
doctor does and, if token or login is refused, prints what exosend setup does.";

pub(crate) const DOCTOR: &str = "\
exosend doctor: tests all that sending needs, step by step, and sends no message

 --to A           test this recipient, too
 --send           if all is well, send that recipient a test message
 -v               each step in full, the transcript, and if something fails, at
                  the end what Microsoft's support asks for

 --config FILE  --set KEY=VALUE  --json  --quiet  --version

Prints for each step whether it works. For one that fails, prints what that
means, and the commands that correct it for this mailbox and this application.
The exit code is that of a message that would fail there; 0 if all is well.";

pub(crate) const EXPLAIN: &str = "\
exosend explain [LINE]: what a line from any program's log means

 LINE             in quotes; without it, stdin

 --json  --version

Knows Entra's AADSTS numbers, Exchange Online's replies, what TLS and the
network say in the words of many programs, and exosend's own lines and exit
codes, 78 or 0x004e. The likeliest meaning comes first. Needs no network. Exit
code 65 for a line of which nothing is known.

  journalctl -u postfix | tail -1 | exosend explain";

pub(crate) const LOGIN: &str = "\
exosend login: lets you send as yourself, without an administrator's application

 --tenant T       for an application that is not for all tenants, if `tenant` is
                  not set: an id, a domain, organizations or consumers

{shared}

Shows an address and a code to enter there, on any device. Needs `client_id`, of
an application of yours that allows public client flows and has the delegated
permission SMTP.Send. The login is kept in the `login_file`, and renewed by each
use; 90 days without one end it.";

pub(crate) const LOGOUT: &str = "\
exosend logout: removes the login and its token

{shared}

Entra is not told: if somebody may have copied it, end your sessions there.";

pub(crate) const QUEUE: &str = "\
exosend queue: what waits to be sent, since when, and why

 run            take over and send what is due; safe beside any number of runs
   --now        all of it, whatever it waits for
 show ID        the message; an ID may be cut short
 hold ID        not to be sent before it is released; several IDs may be given
 release ID     to be sent, even if it was held or given up
 remove ID      deleted, unsent
 --max-age TIME exit code 1 if the oldest is older: 90s, 15m, 36h, 7d

 --config FILE  --set KEY=VALUE  --json  -v  --version

For root and the owner of the queue. A run prints nothing unless it is on a
terminal, because it is for timers and crontabs; its events are in the log.";

pub(crate) const SETUP: &str = "\
exosend setup: prints the PowerShell that lets this application send as this
mailbox, filled in for both; it changes nothing

 --classic        by SMTP.SendAsApp and full access, instead of App RBAC
 --graph          for transport = graph: Application Mail.Send, by App RBAC
 --undo           the commands that take it back
 --object-id ID   of the Enterprise application; a token tells it, if one can
                  be had

{shared}

A member of Exchange's role group Organization Management runs it, on any
machine: in PowerShell 7.6, or Windows PowerShell 5.1.";

pub(crate) const TOKEN: &str = "\
exosend token: prints the access token, for msmtp, mutt, isync, curl and others

 --claims         the claims of the token, as JSON, instead of the token

{shared}

The token lets its holder send as the mailbox for about an hour. It belongs in
no file and in no argument.";

#[cfg(test)]
mod tests {
    use super::*;

    /// The date is that of the crate's version: `pubtime` in the index of crates.io.
    #[test]
    fn the_roots_are_those_of_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        let (_, roots) = lock
            .split_once("name = \"webpki-roots\"\nversion = \"")
            .unwrap();
        let version = roots.split('"').next().unwrap();
        let told = format!("(webpki-roots {version})");
        assert!(VERSION.ends_with(&told), "{VERSION}, and not {told}");
    }

    #[test]
    fn help_fits_a_screen() {
        for text in [
            ALL, SENDMAIL, SEND, CONFIGURE, DOCTOR, EXPLAIN, LOGIN, LOGOUT, QUEUE, SETUP, TOKEN,
        ] {
            assert!(text.lines().count() <= 24, "{text}");
            assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        }
    }
}
