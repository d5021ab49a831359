//! Lines that this command writes on stderr or into its log.

/// What was recognised, its meaning, and what to do.
type Found = (String, (&'static str, &'static str));

/// Words in our lines, in lower case; their meaning, and what to do.
const WORDS: &[(&str, &str, &str)] = &[
    (
        "not queued",
        "the message was not queued; the caller still has it",
        "make room on the queue's disk, or correct its folder: exosend doctor",
    ),
    (
        "the queue is exosend's",
        "only root and the queue's owner may look into it",
        "sudo exosend queue",
    ),
    (
        "nobody has sent from",
        "messages wait, and there was no run of the queue for a day",
        "systemctl enable --now exosend.path exosend.timer",
    ),
    (
        "others may write here",
        "the queue's folders belong to root, who does not send what others put there",
        "give them to the user exosend: exosend doctor",
    ),
    (
        "no queue takes",
        "this account has no queue",
        "install the machine's, or set `spool`",
    ),
    (
        "s from now: ",
        "the mailbox has sent as much as Exchange takes for the moment",
        "wait, or leave it to the queue",
    ),
    (
        "the client secret expire",
        "its last day, as `client_secret_expires` says, is near or past",
        "make a new one in Entra, and put its Value where the line says",
    ),
    (
        "more recipients than a mailbox",
        "the message was given up without an attempt",
        "send it to fewer recipients at once",
    ),
    (
        "longer than exchange takes",
        "the message was given up without an attempt",
        "send less, or a link to it",
    ),
    (
        "its check sum is another",
        "the message's file is not what was put into the queue",
        "check the disk, and send the message again",
    ),
    (
        "not a file that exosend made",
        "somebody has put a file into the queue that is no message",
        "exosend queue show, and remove",
    ),
    (
        "without a reply to the final dot",
        "the connection was lost three times after the whole message was sent",
        "look for its Message-ID in the mailbox's Sent Items before you release it",
    ),
    (
        "too old (queue_lifetime)",
        "it was tried for as long as `queue_lifetime` says",
        "correct what its last error names, then exosend queue release",
    ),
    (
        "permission denied",
        "the user who sends mail may not read this file",
        "give it to a group that this user is in (chgrp, chmod 0640), and start what sends anew after adding the group",
    ),
    (
        "no such file or directory",
        "a file that is named in the configuration or in an argument is not there",
        "correct its path",
    ),
    (
        "a name without a domain",
        "the recipient has no domain, and nothing says where its mail goes",
        "set `local_recipient` or `aliases`",
    ),
    (
        "not believed",
        "a user other than root and the one who sends could have written this file",
        "chown it to one of them, chmod go-w it, and chmod o-w its folder",
    ),
    (
        "not a regular file",
        "the name leads to a folder, a pipe or a device",
        "name a file",
    ),
    (
        "set-user-id or set-group-id",
        "installed so, the program would hand the secret to every user of the machine",
        "chmod u-s,g-s on the program",
    ),
    (
        "capabilities of its own",
        "installed so, the program would hand the secret to every user of the machine",
        "setcap -r on the program",
    ),
    (
        "others can read arguments",
        "a secret was given as an argument",
        "put it into the configuration or the environment",
    ),
    (
        "a mode that sends nothing",
        "the message would be lost, with exit code 0",
        "leave out -bi, -bp, -bs, -I or -q",
    ),
    (
        "only after a subcommand",
        "whoever can add a word to a caller's arguments must not choose where mail goes",
        "EXOSEND_CONFIG in the environment names another configuration",
    ),
    (
        "no subcommand",
        "the first word is neither a subcommand nor an address",
        "exosend --help",
    ),
    ("no message", "nothing came on stdin", "pipe the message in"),
    (
        "may make a file",
        "the limit on files (ulimit -f) is too small for the message",
        "raise it where the caller is started",
    ),
    (
        "is no address",
        "an address is none",
        "correct it: user@contoso.com, or Name <user@contoso.com>",
    ),
    (
        "no recipient",
        "the message has no recipient",
        "name one as an argument, or give -t and a To field",
    ),
];

/// The stages with which the library's errors begin.
const STAGES: &[(&str, &str, &str)] = &[
    (
        "account",
        "the configuration cannot be used as it is",
        "correct the key that is named, then exosend doctor",
    ),
    (
        "message",
        "the message cannot be sent as it is",
        "correct the field that is named",
    ),
    ("token", "no token could be fetched", "exosend doctor"),
    ("resolve", WAY, DOCTOR),
    ("connect", WAY, DOCTOR),
    ("greeting", WAY, DOCTOR),
    ("ehlo", WAY, DOCTOR),
    ("starttls", WAY, DOCTOR),
    (
        "auth",
        "the server does not let this mailbox in",
        "exosend doctor",
    ),
    ("sender", REFUSED, LOOK_UP),
    ("recipient", REFUSED, LOOK_UP),
    ("data", REFUSED, LOOK_UP),
    (
        "body",
        "the message could not be read to its end",
        "check stdin and the files that are attached",
    ),
    ("accept", REFUSED, LOOK_UP),
    ("reset", REFUSED, LOOK_UP),
    (
        "graph",
        "Microsoft Graph did not take the message, or did not say so",
        "look its words and its request-id up; exosend doctor walks the way there",
    ),
];
const WAY: &str = "the way to the mail server is not as it should be";
const DOCTOR: &str = "exosend doctor walks it step by step";
const REFUSED: &str =
    "the server took neither the address nor the message, for the reason in its words";
const LOOK_UP: &str = "look its words and its code up at Microsoft";

pub(super) fn line(line: &str) -> Option<Found> {
    let text = line.trim().to_ascii_lowercase();
    let marked = match text.strip_prefix("exosend: ") {
        Some(ours) => Some(ours),
        None => text.split_once("text=\"").map(|(_, ours)| ours),
    };
    let found = |(words, meaning, advice): &(&str, &'static str, &'static str)| {
        marked.filter(|ours| ours.contains(words))?;
        Some(((*words).to_owned(), (*meaning, *advice)))
    };
    if let Some(found) = WORDS.iter().find_map(found) {
        return Some(found);
    }
    let ours = marked.unwrap_or(&text);
    let is_stage = |stage: &str| {
        let rest = ours.strip_prefix(stage);
        rest.is_some_and(|rest| rest.starts_with([' ', ':']) && rest.contains(": ") || rest == ":")
    };
    if let Some((stage, meaning, advice)) = STAGES.iter().find(|(stage, ..)| is_stage(stage)) {
        return Some(((*stage).to_owned(), (meaning, advice)));
    }
    let of_file = ours
        .split(':')
        .nth(1)
        .is_some_and(|n| n.parse::<u32>().is_ok());
    let settings = ["exosend_", "--set "];
    if of_file && ours.contains(".conf:") || settings.iter().any(|set| ours.starts_with(set)) {
        let advice = "correct the line or the key that is named, then exosend doctor";
        return Some((
            "a setting".into(),
            ("the configuration cannot be used as it is", advice),
        ));
    }
    let usage = [
        "invalid option",
        "missing argument for option",
        "unexpected argument",
    ];
    let option = usage.iter().find(|words| ours.starts_with(**words))?;
    let words = ("the arguments make no sense", "exosend --help");
    Some(((*option).to_owned(), words))
}
