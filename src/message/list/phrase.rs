//! Names as they are written: atoms, quoted strings and encoded words.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use email_encoding::headers::rfc2047;
use email_encoding::headers::writer::EmailWriter;
use percent_encoding::percent_decode_str;

use super::token::{Kind, Token, encoded_word, is_atext, text_of, tokens};

/// A name or another text, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Encoded(String),
    /// What it says, quotes and backslashes taken away.
    Plain(String),
}

/// The pieces of a text in which quotes mean nothing.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Pieces::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = encoded_word(rest).unwrap_or(c.len_utf8());
        let (text, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        match length == c.len_utf8() {
            true => pieces.plain(text),
            false => pieces.encoded(text),
        }
        rest = behind;
    }
    pieces.0
}

/// The pieces of a name.
pub(super) fn pieces_of(tokens: &[Token<'_>]) -> Vec<Piece> {
    let mut pieces = Pieces::default();
    for token in tokens {
        match token.kind {
            Kind::Space | Kind::Comment => pieces.plain(" "),
            Kind::Quoted => pieces.plain(&token.plain()),
            Kind::Encoded => pieces.encoded(token.text),
            _ => pieces.plain(token.text),
        }
    }
    pieces.0
}

#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn plain(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Piece::Plain(last)) => last.push_str(text),
            _ => self.0.push(Piece::Plain(text.to_owned())),
        }
    }

    fn encoded(&mut self, text: &str) {
        match mended(text) {
            Some(word) => self.0.push(Piece::Encoded(word)),
            None => self.plain(text),
        }
    }
}

/// The characters that have a meaning in a list (RFC 5322 3.2.3).
const SPECIALS: &[u8] = b"()<>[]:;\\,\"";

impl Piece {
    /// Replaces the characters of a name that have a meaning in a list. In quotes they have none, but in an encoded word, and
    /// in what looks like one within quotes, they get it from a reader that decodes first. A word in a character set that
    /// cannot be read becomes empty.
    pub(super) fn make_unmistakable(&mut self) {
        match self {
            Self::Plain(text) => {
                let mut plain = without(text.replace("=?", "= ?").as_bytes(), b"");
                // Any other text becomes encoded words. It is longer now by the `at`s.
                if !plain.is_ascii() || plain.len() > LONGEST_NAME {
                    plain = without(&plain, SPECIALS);
                }
                *text = String::from_utf8_lossy(&plain).into_owned();
            }
            Self::Encoded(word) => {
                match decoded(word) {
                    Some((charset, bytes)) => {
                        let plain = without(&bytes, SPECIALS);
                        if plain != bytes {
                            *word = format!("=?{charset}?B?{}?=", STANDARD.encode(plain));
                        }
                    }
                    None => word.clear(),
                }
                if word.len() > LONGEST_NAME {
                    word.clear();
                }
            }
        }
    }
}

/// Character set and text of an encoded word, unless it cannot be read.
fn decoded(word: &str) -> Option<(&str, Vec<u8>)> {
    /// In these character sets a byte below 0x80 is ASCII, or the second byte of a letter.
    const READABLE: &str =
        "utf-8 us-ascii iso-8859- windows-125 koi8- euc- gb big5 shift_jis ks_c_5601";
    let (charset, encoding, text) = parts(word)?;
    let bytes = match encoding.eq_ignore_ascii_case("b") {
        true => STANDARD.decode(text).ok()?,
        // `=40` becomes `%40`. `mended` has left no other `%`.
        false => percent_decode_str(&text.replace('=', "%").replace('_', " ")).collect(),
    };
    let is_readable = READABLE.split(' ').any(|known| begins(charset, known));
    is_readable.then_some((charset, bytes))
}

/// Whether a text begins with another, in any case.
pub(crate) fn begins(text: &str, with: &str) -> bool {
    let begin = text.get(..with.len());
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(with))
}

/// The text without these characters, control characters and `@`.
fn without(text: &[u8], specials: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    for &byte in text {
        let is_special = byte.is_ascii_control() || specials.contains(&byte);
        match byte {
            b'@' => plain.extend(b" at "),
            _ => plain.push(if is_special { b' ' } else { byte }),
        }
    }
    plain
}

/// Character set, encoding and text of an encoded word.
fn parts(word: &str) -> Option<(&str, &str, &str)> {
    let mut parts = word.strip_prefix("=?")?.strip_suffix("?=")?.splitn(3, '?');
    Some((parts.next()?, parts.next()?, parts.next()?))
}

/// An encoded word with its text as RFC 2047 5 wants it: `Q` has no space in it and, in a phrase, no character that could
/// end it. `None` if it cannot be decoded.
fn mended(word: &str) -> Option<String> {
    let (charset, encoding, text) = parts(word)?;
    let mut mended = String::new();
    for c in text.chars() {
        match c {
            ' ' => mended.push('_'),
            c if c.is_ascii_alphanumeric() || "!*+-/=_".contains(c) => mended.push(c),
            c => {
                let mut bytes = [0; 4];
                let bytes = c.encode_utf8(&mut bytes).bytes();
                mended.extend(bytes.map(|byte| format!("={byte:02X}")));
            }
        }
    }
    let decodable = encoding.eq_ignore_ascii_case("q") || mended == text;
    decodable.then(|| format!("=?{charset}?{encoding}?{mended}?="))
}

/// The comments, as a phrase: `root (Cron Daemon)` is an old way to write a name.
pub(super) fn comment(tokens: &[Token<'_>]) -> String {
    let comments = tokens.iter().filter(|token| token.kind == Kind::Comment);
    let text: Vec<_> = comments.map(Token::plain).collect();
    phrase(&pieces(&text.join(" ")))
}

/// A name as it is written: atoms where possible, else in quotes; encoded words as they are.
pub(super) fn phrase(pieces: &[Piece]) -> String {
    let words = pieces.iter().map(|piece| match piece {
        Piece::Encoded(word) => word.clone(),
        Piece::Plain(text) => quoted(text),
    });
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// RFC 5322 2.1.1 lets a line have 998 octets. A phrase is not folded, encoded words are.
const LONGEST_NAME: usize = 700;

fn quoted(text: &str) -> String {
    let text = text.replace(char::is_control, " ");
    let text = text.trim();
    if text.len() > LONGEST_NAME {
        let mut out = String::new();
        let _ = rfc2047::encode(text, &mut EmailWriter::new(&mut out, 20, 0, true));
        return out;
    }
    let atoms = text
        .split(' ')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atext));
    if text.is_empty() || atoms && !text.contains("=?") {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The list with encoded words for names and comments that are not ASCII. All else stays as it is, addresses too. `column`
/// is where the list begins in its line.
pub(crate) fn encoded_list(list: &str, column: usize) -> String {
    let Ok(tokens) = tokens(list) else {
        return list.to_owned();
    };
    let mut out = String::new();
    let mut writer = EmailWriter::new(&mut out, column, 0, true);
    let words = |token: &Token<'_>| {
        matches!(
            token.kind,
            Kind::Space | Kind::Word | Kind::Quoted | Kind::Encoded | Kind::At
        )
    };
    let mut runs = tokens.chunk_by(|a, b| words(a) && words(b)).peekable();
    while let Some(run) = runs.next() {
        let named = runs
            .peek()
            .is_some_and(|next| next.iter().any(|t| t.kind == Kind::Angle));
        let address = !named && run.iter().any(|token| token.kind == Kind::At);
        let text = text_of(run);
        match run {
            _ if text.is_ascii() || address => write(&mut writer, &text),
            [token] if token.kind == Kind::Comment => {
                write(&mut writer, "(");
                encode(&mut writer, &pieces(&token.plain()), false);
                write(&mut writer, ")");
            }
            [token, ..] if words(token) => {
                encode(&mut writer, &pieces_of(run), true);
                if text.ends_with([' ', '\t']) {
                    writer.space();
                }
            }
            _ => write(&mut writer, &text),
        }
    }
    drop(writer);
    out
}

/// The same for a text without structure, such as a subject.
pub(crate) fn encoded_text(text: &str, column: usize) -> String {
    let mut out = String::new();
    let mut writer = EmailWriter::new(&mut out, column, 0, true);
    encode(&mut writer, &pieces(text), false);
    drop(writer);
    out
}

/// Writes what is ASCII as it is, or as a phrase, and all else as encoded words.
fn encode(writer: &mut EmailWriter<'_>, pieces: &[Piece], in_phrase: bool) {
    let mut before: Option<&Piece> = None;
    let mut rest = pieces.iter().peekable();
    while let Some(piece) = rest.next() {
        let follows = match piece {
            Piece::Encoded(_) => matches!(before, Some(Piece::Plain(text)) if !text.is_ascii()),
            Piece::Plain(text) => {
                (in_phrase || !text.is_ascii()) && text.starts_with([' ', '\t', '\r', '\n'])
            }
        };
        if follows || in_phrase && before.is_some() {
            writer.space();
        }
        match piece {
            Piece::Encoded(word) => write(writer, word),
            Piece::Plain(text) if in_phrase && text.trim().is_empty() => continue,
            Piece::Plain(text) if in_phrase && text.is_ascii() => write(writer, &quoted(text)),
            Piece::Plain(text) if text.is_ascii() => write(writer, text),
            Piece::Plain(text) => {
                // Space between two encoded words is not shown (RFC 2047 6.2), so it has to be within one of them.
                let next = rest.peek().copied();
                let space = |beside: Option<&Piece>, there: bool| match beside {
                    Some(Piece::Encoded(_)) if there => " ",
                    _ => "",
                };
                let text = text.replace(['\r', '\n'], "").replace('\t', " ");
                let (first, last) = (text.starts_with(' '), text.ends_with(' '));
                let text = [space(before, first), text.trim(), space(next, last)].concat();
                let _ = rfc2047::encode(&text, writer);
            }
        }
        before = Some(piece);
    }
}

/// Writing into a String does not fail.
fn write(writer: &mut EmailWriter<'_>, text: &str) {
    let _ = std::fmt::Write::write_str(writer, text);
}
