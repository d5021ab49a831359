//! Reads a transcript: `S:` what the server says, `C:` what the client must say, in order.
//!
//! ```text
//! # why this case is here
//! set: initial_response = always     an account's key
//! token: short                       43 bytes instead of 2,012
//! size: 100000                       bytes of each message at least; else 73
//! > ann@example.com bob@example.com  the client sends a message to these; "partial" behind them allows partial delivery,
//!                                    "probe" asks only
//! S: 220 hello                       a line of the server's; lines in a row leave in one write
//! S~ 250 2.1.0 Sen                   no line end, and a write of its own
//! S: <close>                         hangs up
//! C: EHLO [127.0.0.1]                a line of the client's; lines in a row must arrive in one write
//! C: <login>                         the XOAUTH2 message in base64
//! C: <message>                       a message, up to and with its final dot
//! C: <block>                         the first piece of a message
//! TLS                                the handshake
//! @hello                             tests/transcripts/hello.part: greeting to second EHLO
//! = what the client's call gives     kind and judgement before an error's text
//! ```
//!
//! `{1..100}` repeats its line with each, `{x*20000}` repeats a character, `{\x1b}` is a byte.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::receipt::{Receipt, Refusal};

#[derive(Debug, Default)]
pub(super) struct Transcript {
    pub(super) name: String,
    pub(super) settings: Vec<(String, String)>,
    pub(super) short_token: bool,
    pub(super) size: usize,
    pub(super) sends: Vec<Send>,
    pub(super) steps: Vec<Step>,
    pub(super) outcomes: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Send {
    pub(super) to: Vec<String>,
    pub(super) partial: bool,
    pub(super) probe: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Lines that arrive together.
    Client(Vec<String>),
    /// Bytes that leave together.
    Server(Vec<u8>),
    Close,
    Tls,
}

/// Every transcript in the folder.
pub(super) fn all() -> Vec<Transcript> {
    let mut paths: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "txt"));
    paths.sort();
    assert!(paths.len() > 20, "where are the transcripts?");
    paths.iter().map(|path| read(path)).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

fn read(path: &Path) -> Transcript {
    let mut transcript = Transcript {
        name: path.file_stem().unwrap().to_string_lossy().into(),
        ..Default::default()
    };
    let mut open = false; // whether the last step takes another line
    for line in std::fs::read_to_string(path).unwrap().lines() {
        transcript.line(line, &mut open);
    }
    transcript
}

impl Transcript {
    /// The text of each message: lines that begin with a dot, for their doubling to be seen.
    pub(super) fn text(&self) -> String {
        format!(".{}\r\n", "x".repeat(70)).repeat(self.size.div_ceil(73).max(1))
    }

    pub(super) fn assert_outcomes(&self, outcomes: &[String]) {
        assert_eq!(self.outcomes, outcomes, "{}", self.name);
    }

    fn line(&mut self, line: &str, open: &mut bool) {
        let (mark, text) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            "" | "#" => {}
            "set:" => {
                let (key, value) = text.split_once(" = ").unwrap();
                self.settings.push((key.into(), value.into()));
            }
            "token:" => self.short_token = text == "short",
            "size:" => self.size = text.parse().unwrap(),
            ">" => {
                let (text, probe) = flag(text, " probe");
                let (text, partial) = flag(text, " partial");
                self.sends.push(Send {
                    to: text.split(' ').flat_map(repeated).collect(),
                    partial,
                    probe,
                });
            }
            "=" => self.outcomes.push(text.into()),
            "S:" if text == "<close>" => self.step(Step::Close, open),
            "S:" => {
                for text in repeated(text) {
                    self.server(bytes(&(text + "\r\n")), *open);
                    *open = true;
                }
            }
            "S~" => {
                self.server(bytes(text), false);
                *open = false;
            }
            "C:" => {
                for text in repeated(text) {
                    match self.steps.last_mut() {
                        Some(Step::Client(lines)) => lines.push(text),
                        _ => self.steps.push(Step::Client(vec![text])),
                    }
                    *open = false;
                }
            }
            "TLS" => self.step(Step::Tls, open),
            part if part.starts_with('@') => {
                let path = folder().join(&part[1..]).with_extension("part");
                for line in std::fs::read_to_string(path).unwrap().lines() {
                    self.line(line, open);
                }
            }
            _ => panic!("{}: what is {line:?}?", self.name),
        }
    }

    fn step(&mut self, step: Step, open: &mut bool) {
        self.steps.push(step);
        *open = false;
    }

    fn server(&mut self, bytes: Vec<u8>, open: bool) {
        match self.steps.last_mut() {
            Some(Step::Server(said)) if open => said.extend(bytes),
            _ => self.steps.push(Step::Server(bytes)),
        }
    }
}

/// The text without this last word, and whether it was there.
fn flag<'t>(text: &'t str, word: &str) -> (&'t str, bool) {
    text.strip_suffix(word)
        .map_or((text, false), |text| (text, true))
}

/// `a{1..3}b` is a1b, a2b, a3b.
fn repeated(text: &str) -> Vec<String> {
    let range = || {
        let (before, rest) = text.split_once('{')?;
        let (range, after) = rest.split_once('}')?;
        let (from, to) = range.split_once("..")?;
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        Some((from..=to).map(|n| format!("{before}{n}{after}")).collect())
    };
    range().unwrap_or_else(|| vec![text.to_owned()])
}

/// `{x*3}` is xxx, `{\x1b}` is a byte.
fn bytes(text: &str) -> Vec<u8> {
    let Some((before, rest)) = text.split_once('{') else {
        return text.as_bytes().to_vec();
    };
    let (inside, after) = rest.split_once('}').unwrap();
    let inside = match inside.split_once('*') {
        Some((character, times)) => character.repeat(times.parse().unwrap()).into_bytes(),
        None => vec![u8::from_str_radix(inside.strip_prefix("\\x").unwrap(), 16).unwrap()],
    };
    [before.as_bytes(), &inside, &bytes(after)].concat()
}

/// Replaces `<login>` where the server repeats it.
pub(super) fn fill_in(said: &mut Vec<u8>, login: &str) {
    if let Some(at) = said.windows(7).position(|piece| piece == b"<login>") {
        said.splice(at..at + 7, login.bytes());
    }
}

/// `Refused permanent: recipient <bob@example.com>: 550 5.1.10 Recipient not found`, or a receipt and its refusals.
pub(super) fn outcome(result: &Result<Receipt, Error>) -> String {
    match result {
        Ok(receipt) => with_refusals(receipt.to_string(), receipt.refused()),
        Err(error) => {
            let judgement = match (error.is_transient(), error.in_doubt()) {
                (true, _) => "transient",
                (_, true) => "in doubt",
                _ => "permanent",
            };
            format!("{:?} {judgement}: {error}", error.kind())
        }
    }
}

/// The same where nothing was sent.
pub(super) fn outcome_of_probe(result: Result<Vec<Refusal>, Error>) -> String {
    match result {
        Ok(refused) => with_refusals("probed".into(), &refused),
        Err(error) => outcome(&Err(error)),
    }
}

fn with_refusals(text: String, refused: &[Refusal]) -> String {
    refused
        .iter()
        .fold(text, |text, refusal| format!("{text}; {refusal}"))
}
