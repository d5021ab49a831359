//! Lines that only this command writes, on stderr or in its log.

/// What was recognised, what it means, and what to do.
type Found = (String, (&'static str, &'static str));

/// Words that say enough in a line of ours, in lower case.
const WORDS: &[(&str, &str, &str)] = &[
    (
        "not queued",
        "the queue took nothing, and who called has the message yet",
        "make room on its disk, or mend its folder: exosend doctor",
    ),
    (
        "the queue is exosend's",
        "only root and the queue's owner look into it",
        "sudo exosend queue",
    ),
    (
        "nobody has sent from",
        "messages wait, and no run has come for them for a day",
        "systemctl enable --now exosend.path exosend.timer",
    ),
    (
        "others may write here",
        "the queue's folders are root's, who sends nothing that others put there",
        "give them to the user exosend: exosend doctor",
    ),
    (
        "no queue takes",
        "this account has no queue",
        "install the machine's, or set `spool`",
    ),
    (
        "s from now: ",
        "the mailbox has sent what Exchange takes of it for the moment",
        "wait, or leave it to the queue",
    ),
    (
        "more recipients than a mailbox",
        "the message was given up untried",
        "send it to fewer at once",
    ),
    (
        "longer than exchange takes",
        "the message was given up untried",
        "send less of it, or a link to it",
    ),
    (
        "its check sum is another",
        "the message's file is not what was put into the queue",
        "look after the disk, and send the message anew",
    ),
    (
        "not a file that exosend made",
        "somebody has put into the queue what is no message",
        "exosend queue show, and remove",
    ),
    (
        "without an answer to its last dot",
        "the connection was lost three times when all was said",
        "look for its Message-ID in the mailbox's Sent Items before you release it",
    ),
    (
        "its time is over",
        "it was tried for as long as `queue_lifetime` says",
        "mend what its last words name, then exosend queue release",
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
        "somebody else than root and the user who sends could have written this file",
        "chown it to one of them, and chmod go-w; its folder, chmod o-w",
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
        "the message would be gone, and all would look well",
        "leave out -bi, -bp, -bs, -I or -q",
    ),
    (
        "only behind a subcommand",
        "who adds a word to a caller's arguments may not say where mail goes",
        "EXOSEND_CONFIG in the environment names another configuration",
    ),
    (
        "no subcommand",
        "the first word is no subcommand, and nobody's name",
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

/// How a line goes on that the library's error began, by its stage.
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
    ("token", "no token was to be had", "exosend doctor"),
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
