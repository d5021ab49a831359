//! What must hold whatever stands in a configuration file or in the queue, is piped in as a message, or is said on standard
//! input. `tests/fuzz` looks for input that breaks it; the tests below try the same on random input, with any toolchain.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::io::Read;
use std::path::PathBuf;

use crate::addressing::Addressing;
use crate::crypto;
use crate::file::parse;
use crate::head::{Author, split};
use crate::list;
use crate::queue::draft::Draft;
use crate::queue::file::{Stored, Unreadable};
use crate::queue::spool::{DROP, Spool};
use crate::sendmail::dialogue::{Backend, Dialogue};

/// Each entry can be a setting, and means the same when it is written down again.
pub(crate) fn configuration(text: &[u8]) {
    let lines = text.split(|&byte| byte == b'\n').count();
    let entries = match parse(text) {
        Ok(entries) => entries,
        Err(wrong) => {
            assert!((1..=lines).contains(&wrong.line), "{wrong:?}");
            return;
        }
    };
    let mut again = String::new();
    for entry in &entries {
        let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        assert!(!entry.key.is_empty() && entry.key.bytes().all(letters));
        assert!(!entry.value.is_empty());
        assert!(!entry.value.contains(|c: char| c.is_control() && c != '\t'));
        assert!((1..=lines).contains(&entry.line));
        // With the prefix, which is taken off once.
        again.push_str(&format!("EXOSEND_{} = \"", entry.key));
        for c in entry.value.chars() {
            if matches!(c, '"' | '\\' | '$' | '`') {
                again.push('\\');
            }
            again.push(c);
        }
        again.push_str("\"\n");
    }
    let pairs = |text: &[u8]| -> Vec<_> {
        let entries = parse(text).expect("what was written down");
        entries.into_iter().map(|e| (e.key, e.value)).collect()
    };
    let expected: Vec<_> = entries.into_iter().map(|e| (e.key, e.value)).collect();
    assert_eq!(pairs(again.as_bytes()), expected);
}

/// The header is whole lines, holds no Bcc, and From is one that Exchange takes.
pub(crate) fn message(text: &[u8]) {
    const MAILBOX: &str = "robot@contoso.com";
    // A Bcc that is in doubt.
    let Ok((mut head, body)) = split(text, true) else {
        return;
    };
    assert!(body <= text.len());
    for recipient in head.recipients().0 {
        assert!(!recipient.spec.contains(['\r', '\n']), "{recipient:?}");
    }
    head.remove_bcc();
    head.rewrite_from(&Author {
        mailbox: MAILBOX,
        send_as: &["ops@contoso.com".to_owned()],
        is_unreachable: &|domain| domain == "web1",
        name: &|user| format!("{user} on web1"),
    });
    if let Some(from) = head.get("From") {
        let from = list::parse(&from).expect("one mailbox");
        assert_eq!(from.len(), 1);
        assert!(
            [MAILBOX, "ops@contoso.com"].contains(&&*from[0].spec.to_ascii_lowercase()),
            "{from:?}"
        );
    }
    let written = head.text();
    let mut before = b'\n';
    for (at, &byte) in written.iter().enumerate() {
        assert!(byte != b'\n' || before == b'\r', "a bare LF at {at}");
        assert!(before != b'\r' || byte == b'\n', "a bare CR before {at}");
        before = byte;
    }
    assert!(written.ends_with(b"\r\n"));
    let (again, end) = split(&written, true).expect("what was written down");
    assert_eq!(again.text(), written);
    assert_eq!(end, written.len(), "the header ends before its end");
    assert!(again.get("Bcc").is_none() && again.get("Resent-Bcc").is_none());
}

/// Whatever a client says, in pieces of any size: it gets replies, and the backend gets what is between a DATA and the first
/// CRLF.CRLF after it, or the first line of one dot if its greeting ended in LF. The first byte chooses the valid commands
/// before the rest, and what the backend does.
pub(crate) fn dialogue(input: &[u8]) {
    let Some((&mode, input)) = input.split_first() else {
        return;
    };
    let usual = [
        "",
        "EHLO x\r\n",
        "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n",
        "EHLO x\nMAIL FROM:<>\nRCPT TO:<a@b.c>\nDATA\n",
    ];
    let framings: &[Framing] = match mode % 4 {
        0 => &[by_crlf, by_lf],
        3 => &[by_lf],
        _ => &[by_crlf],
    };
    let usual = usual[usize::from(mode % 4)];
    let input = [usual.as_bytes(), input].concat();
    let behaviour = mode / 4 % 4;
    let (said, store) = converse(&input, usize::MAX, behaviour);
    for piece in [1, 7] {
        let again = converse(&input, piece, behaviour);
        assert_eq!(
            (&said, &store),
            (&again.0, &again.1),
            "in pieces of {piece}"
        );
    }
    let mut accepted = 0;
    for line in said.split_inclusive('\n') {
        let (code, rest) = line.split_at(3);
        assert!((200..600).contains(&code.parse().unwrap()), "{line:?}");
        let words = rest[1..].strip_suffix("\r\n").expect("a whole line");
        assert!(
            rest.starts_with([' ', '-']) && line.len() <= 512,
            "{line:?}"
        );
        assert!(
            words.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{line:?}"
        );
        accepted += usize::from(words.starts_with("2.0.0 queued"));
    }
    assert_eq!(accepted, store.taken.len());
    let mut rest = &input[..];
    for (addressing, text) in &store.taken {
        assert!((1..=1000).contains(&addressing.to.len()));
        let mut addresses = addressing.to.iter().chain(&addressing.sender);
        assert!(
            addresses.all(|a| !a.is_empty() && !a.contains(char::is_control)),
            "{addressing:?}"
        );
        let begins = (0..rest.len()).filter(|&at| at == 0 || rest[at - 1] == b'\n');
        let framed = begins.flat_map(|at| {
            let framed = framings.iter().filter_map(move |by| by(&rest[at..]));
            framed.map(move |(said, length)| (said, at + length))
        });
        let mut ends = framed.filter(|(said, _)| said == text).map(|(_, end)| end);
        let end = ends.next();
        rest = &rest
            [end.unwrap_or_else(|| panic!("never said: {:?}", String::from_utf8_lossy(text)))..];
    }
}

/// A message, and its length with its end (RFC 5321 4.5.2).
type Framing = fn(&[u8]) -> Option<(Vec<u8>, usize)>;

fn by_lf(said: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut text, mut length) = (Vec::new(), 0);
    for line in said.split_inclusive(|&byte| byte == b'\n') {
        length += line.len();
        match line {
            b".\n" | b".\r\n" => return Some((text, length)),
            line => text.extend(line.strip_prefix(b".").unwrap_or(line)),
        }
    }
    None
}

fn by_crlf(said: &[u8]) -> Option<(Vec<u8>, usize)> {
    let framed = [b"\r\n", said].concat();
    let end = framed.windows(5).position(|five| five == b"\r\n.\r\n")?;
    let mut text = Vec::new();
    for at in 2..end + 2 {
        if !(framed[at] == b'.' && framed[at - 2..at] == *b"\r\n") {
            text.push(framed[at]);
        }
    }
    Some((text, end + 3))
}

fn converse(input: &[u8], piece: usize, behaviour: u8) -> (String, Store) {
    let mut store = Store {
        behaviour,
        ..Store::default()
    };
    let mut said = Vec::new();
    let pieces = Pieces(input, piece);
    let mut dialogue = Dialogue::new(pieces, &mut said, "here".into());
    dialogue.serve(&mut store).unwrap_or_else(|error| {
        // The only thing that can go wrong is a message without an end.
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    });
    dialogue.end().unwrap();
    drop(dialogue);
    (String::from_utf8(said).unwrap(), store)
}

struct Pieces<'i>(&'i [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let most = self.1.min(into.len());
        self.0.read(&mut into[..most])
    }
}

/// Takes all, stops in the middle of a message, refuses, or is unavailable.
#[derive(Debug, Default, PartialEq, Eq)]
struct Store {
    behaviour: u8,
    taken: Vec<(Addressing, Vec<u8>)>,
}

impl Backend for Store {
    fn unavailable(&self) -> Option<&str> {
        (self.behaviour == 3).then_some("closed\r\n250 \u{fc}")
    }

    fn take(&mut self, addressing: Addressing, mut text: impl Read) -> Result<String, String> {
        const NO: &str = "451 4.3.0 no\r\n250 2.0.0 queued";
        let mut whole = Vec::new();
        match self.behaviour {
            0 => text.read_to_end(&mut whole).map_err(|_| NO)?,
            1 => text.take(3).read_to_end(&mut whole).map_err(|_| NO)?,
            _ => return Err(NO.into()),
        };
        if self.behaviour == 1 {
            return Err(NO.into());
        }
        self.taken.push((addressing, whole));
        Ok("queued as 1\r\n250 2.0.0 queued".into())
    }
}

/// Any file in the queue is read as a message or as damaged, and a message is read as it was written. The first byte chooses
/// which is tried: a file as it is, one with the right sum at its end, or a message with the addresses of its first lines.
pub(crate) fn queued(input: &[u8]) {
    let Some((&mode, input)) = input.split_first() else {
        return;
    };
    let place = Place::new();
    let path = place.spool.path(DROP).join("1");
    if mode % 3 == 2 {
        return put_in_and_out(&place.spool, input);
    }
    let mut file = input.to_vec();
    if mode % 3 == 1 {
        file.extend(format!("end {}\n", crypto::hex(&crypto::sha256(input))).bytes());
    }
    std::fs::write(&path, &file).unwrap();
    match Stored::open(&path) {
        Err(Unreadable::Damaged(_)) => {}
        Err(Unreadable::Disk(error)) => panic!("{error}"),
        Ok(mut stored) => {
            let mut addresses = stored.addressing.to.iter().chain(&stored.addressing.sender);
            assert!(addresses.all(|a| !a.contains(char::is_control)));
            let mut text = std::mem::take(&mut stored.start);
            if let Some((rest, _)) = &mut stored.rest {
                rest.read_to_end(&mut text).unwrap();
            }
            let behind = [text.as_slice(), &file[file.len() - 69..]].concat();
            assert!(file.starts_with(b"exosend 1\n") && file.ends_with(&behind));
        }
    }
}

fn put_in_and_out(spool: &Spool, input: &[u8]) {
    let mut parts = input.splitn(4, |&byte| byte == b'\n');
    let mut part = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (to, sender, name) = (part(), part(), part());
    let text = parts.next().unwrap_or_default();
    let addressing = Addressing {
        to: to.split('\t').map(str::to_owned).collect(),
        sender: Some(sender).filter(|sender| !sender.is_empty()),
        full_name: Some(name).filter(|name| !name.is_empty()),
    };
    let mut draft = Draft::begin(spool, "1", &addressing).unwrap();
    draft.write(text).unwrap();
    draft.commit().unwrap();
    let Ok(stored) = Stored::open(&spool.path(DROP).join("1")) else {
        panic!("what was committed is damaged");
    };
    let plain = |text: &String| text.replace(char::is_control, " ");
    assert_eq!(
        stored.addressing.to,
        addressing.to.iter().map(plain).collect::<Vec<_>>()
    );
    assert_eq!(
        stored.addressing.sender,
        addressing.sender.as_ref().map(plain)
    );
    assert_eq!(
        stored.addressing.full_name,
        addressing.full_name.as_ref().map(plain)
    );
    assert!(stored.start == text && stored.rest.is_none());
}

/// A spool of one's own.
struct Place {
    spool: Spool,
    root: PathBuf,
}

impl Place {
    fn new() -> Self {
        let root = std::env::temp_dir().join(format!("exosend-queued-{}", std::process::id()));
        let spool = Spool::new(&root, true);
        spool.make().unwrap();
        Self { spool, root }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Random bytes would seldom be a line: these are put together of what matters.
    fn pieces(known: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            8 => proptest::sample::select(known).prop_map(|piece| piece.as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 1..4),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_configuration_of_any_bytes(
            text in pieces(&[
                "mailbox", "EXOSEND_", "tenant", "=", " = ", "\n", "\r\n", "\"", "'", "\\", "$", "`", "#", ";", "\t", "x",
                "\u{feff}", "\u{e9}", " ",
            ]),
        ) {
            super::configuration(&text);
        }

        #[test]
        fn a_message_of_any_bytes(
            text in pieces(&[
                "From", "To", "Bcc", "Sender", "Reply-To", "Resent-Bcc", ": ", ":", " ", "\n", "\r\n", "\r", "\n ", "\n\t",
                "ann@x.org", "<robot@contoso.com>", "<", ">", "\"", "(", ")", "\\", ",", ";", "[", "]", "ops@contoso.com",
                "From root Tue\n", "Ann",
            ]),
        ) {
            super::message(&text);
        }

        #[test]
        fn a_dialogue_of_any_bytes(
            mode in 0..16u8,
            said in pieces(&[
                "EHLO x", "HELO x", "MAIL FROM:", "RCPT TO:", "<ann@example.com>", "<root>", "<>", "<\"a>b\"@x>", " SIZE=9",
                " BODY=8BITMIME", " SMTPUTF8", "DATA", "RSET", "QUIT", "\r\n", "\r\n", "\n", "\r", ".", "\r\n.\r\n",
                "\r\n..\r\n", "\n.\n", "Subject: x\r\n", "\u{fc}", "\0", " ",
            ]),
        ) {
            super::dialogue(&[&[mode], said.as_slice()].concat());
        }
    }

    proptest! {
        // Each is written to the disk.
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn a_file_of_any_bytes(
            mode in 0..3u8,
            rest in pieces(&[
                "exosend 1\n", "time a 1 2\n", "time - 18446744073709551616 1\n", "to ann@example.com\n", "to \n", "to\n",
                "from ops@contoso.com\n", "name Ann\n", "\n", "\n\n", "end ", "Subject: x\n", "\r", "\t", "\0", " ",
            ]),
        ) {
            super::queued(&[&[mode], rest.as_slice()].concat());
            super::queued(&[&[mode], &b"exosend 1\n"[..], rest.as_slice()].concat());
        }
    }
}
