//! Lists of addresses, as people and programs write them: RFC 5322 3.4, its obsolete forms, and what is common beyond
//! them. Pure.
//!
//! How a list is read:
//! - A quoted string, a comment, and an encoded word from `=?` to `?=` are each one piece, whatever stands in them.
//! - Commas and semicolons stand between elements. A phrase and a colon begin a group, a semicolon ends it.
//! - The address of an element is its last `<...>`, and whatever stands before that is the name. An element without one
//!   is an address, or the name of a user of this machine.
//! - Words that are neither belong to the name behind them, as in `Smith, John <john@example.com>`.
//! - All else is an error that quotes it. No recipient is guessed, and none is passed over.
//!
//! What is written is a phrase that every reader takes apart in the same way: atoms, quoted strings and encoded words.

// The library and the command both have this file, and neither needs all of it.
#![allow(dead_code)]

use email_encoding::headers::rfc2047;
use email_encoding::headers::writer::EmailWriter;

/// One mailbox of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mailbox {
    /// A phrase as it is written, perhaps with letters that are not ASCII. Empty where there is no name.
    pub(crate) name: String,
    /// The address without comments and spaces, or the name of a user, which has no `@`. Empty for `<>`.
    pub(crate) spec: String,
}

impl Mailbox {
    /// An address, and a name that may be any text.
    pub(crate) fn new(name: &str, spec: impl Into<String>) -> Self {
        Self {
            name: phrase(&[Piece::Plain(name.to_owned())]),
            spec: spec.into(),
        }
    }

    /// As it stands in a list, whatever stands behind it.
    pub(crate) fn written(&self) -> String {
        let stands_alone = self.spec.contains('@') || is_surely_a_user(&self.spec);
        match self.name.as_str() {
            "" if stands_alone => self.spec.clone(),
            "" => format!("<{}>", self.spec),
            name => format!("{name} <{}>", self.spec),
        }
    }
}

/// The mailboxes of a list, groups dissolved, or what is wrong with it.
pub(crate) fn parse(list: &str) -> Result<Vec<Mailbox>, String> {
    let (found, wrong) = read(list);
    wrong.into_iter().next().map_or(Ok(found), Err)
}

/// The mailboxes of a list, and what is none.
pub(crate) fn read(list: &str) -> (Vec<Mailbox>, Vec<String>) {
    let mut found = Found::default();
    match tokens(list) {
        Ok(tokens) => found.read(&tokens),
        Err(what) => found.wrong.push(what),
    }
    (found.mailboxes, found.wrong)
}

#[derive(Default)]
struct Found {
    mailboxes: Vec<Mailbox>,
    wrong: Vec<String>,
    /// What may be users, or the beginning of the name that comes next.
    words: Words,
}

impl Found {
    fn read(&mut self, tokens: &[Token<'_>]) {
        let mut in_group = false;
        for (element, end) in elements(tokens, &[Kind::Comma, Kind::Semicolon, Kind::Colon]) {
            if end == Some(Kind::Colon) {
                if in_group || !self.words.0.is_empty() || !is_phrase(element) {
                    let name = text_of(element);
                    let what = format!("`{}:` is no name of a group", name.trim());
                    // So what stands behind it may not be its members.
                    self.wrong.push(what);
                    return;
                }
                in_group = true;
                continue;
            }
            match Element::of(element) {
                Ok(element) => self.take(element),
                Err(what) => self.wrong.push(what),
            }
            if end == Some(Kind::Semicolon) && in_group {
                self.words_are_users();
                in_group = false;
            }
        }
        self.words_are_users();
    }

    fn take(&mut self, element: Element) {
        match element {
            Element::Nothing => {}
            Element::Words(text) if !is_surely_a_user(&text) => self.words.0.push(text),
            Element::Words(name) => {
                self.words_are_users();
                self.mailboxes.push(Mailbox::new("", name));
            }
            Element::Address(mailbox) => {
                self.words_are_users();
                self.mailboxes.push(mailbox);
            }
            Element::Angle(name, mailbox) => {
                if name.is_empty() && self.words.0.iter().all(|word| is_user(word)) {
                    self.words_are_users();
                }
                self.mailboxes.push(self.words.before(name, mailbox));
            }
        }
    }

    /// No name comes next.
    fn words_are_users(&mut self) {
        for word in self.words.0.drain(..) {
            match is_user(&word) {
                true => self.mailboxes.push(Mailbox::new("", word)),
                false => self.wrong.push(format!("`{word}` is no address")),
            }
        }
    }
}

/// The author, as programs write one into From. Users and groups have no place there, so whatever stands before the
/// first element that ends in an address is the name, and what is not closed is a part of it. Never fails.
pub(crate) fn author(text: &str) -> Mailbox {
    let mut words = Words::default();
    let tokens = tokens(text).unwrap_or_default();
    for (element, _) in elements(&tokens, &[Kind::Comma, Kind::Semicolon]) {
        let angle = element.iter().rposition(|token| token.kind == Kind::Angle);
        let (whole, _) = element.split_at(angle.map_or(element.len(), |at| at + 1));
        match Element::of(whole) {
            Ok(Element::Nothing) => {}
            Ok(Element::Address(mailbox)) => return mailbox,
            Ok(Element::Angle(name, mailbox)) => return words.before(name, mailbox),
            Ok(Element::Words(text)) => words.0.push(text),
            Err(_) => words.0.push(text_of(whole).trim().to_owned()),
        }
    }
    let comment = comment(&tokens);
    // Something is not closed, or there are two of them.
    if let Some((name, spec)) = text.rsplit_once('<') {
        let spec = spec.split('>').next().unwrap_or_default().trim();
        return Mailbox {
            name: phrase(&pieces(name.trim().trim_matches('"'))),
            spec: if is_spec(spec) {
                spec.to_owned()
            } else {
                String::new()
            },
        };
    }
    match words.0.as_slice() {
        [name] if is_user(name) => Mailbox {
            name: comment,
            spec: name.clone(),
        },
        [] if comment.is_empty() => Mailbox::new(text.trim_matches('"'), ""),
        [] => Mailbox {
            name: comment,
            spec: String::new(),
        },
        _ => words.before(String::new(), Mailbox::default()),
    }
}

/// Elements without an address: users, or the beginning of the name that comes next.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn before(&mut self, name: String, mailbox: Mailbox) -> Mailbox {
        if self.0.is_empty() {
            return mailbox;
        }
        self.0.extend(Some(name).filter(|name| !name.is_empty()));
        let name = std::mem::take(&mut self.0).join(", ");
        // Cut where it was cut before, so nothing is unclosed.
        let tokens = tokens(&name).unwrap_or_default();
        Mailbox {
            name: phrase(&pieces_of(&tokens)),
            ..mailbox
        }
    }
}

/// What stands between two separators.
enum Element {
    Nothing,
    Words(String),
    Address(Mailbox),
    /// The name as it stands, and what it all means.
    Angle(String, Mailbox),
}

impl Element {
    fn of(tokens: &[Token<'_>]) -> Result<Self, String> {
        let whole = text_of(tokens);
        let whole = whole.trim();
        let no_address = || format!("`{whole}` is no address");
        let angle = tokens.iter().rposition(|token| token.kind == Kind::Angle);
        if let Some(at) = angle {
            let (before, rest) = tokens.split_at(at);
            let (angle, behind) = rest.split_first().ok_or_else(no_address)?;
            let address = |token: &Token<'_>| token.kind == Kind::Angle && token.text.contains('@');
            if before.iter().any(address) || !behind.iter().all(Token::is_space) {
                return Err(format!(
                    "`{whole}`: two addresses without a comma between them"
                ));
            }
            let mut name = phrase(&pieces_of(before));
            if name.is_empty() {
                name = comment(tokens);
            }
            let spec = angle.address().ok_or_else(no_address)?;
            if !spec.contains('@') && before.iter().any(|token| token.kind == Kind::At) {
                return Err(no_address());
            }
            let before = before.iter().filter(|token| token.kind != Kind::Comment);
            let text: String = before.map(|token| token.text).collect();
            return Ok(Self::Angle(text.trim().to_owned(), Mailbox { name, spec }));
        }
        if tokens.iter().all(Token::is_space) {
            return Ok(Self::Nothing);
        }
        if tokens.iter().any(|token| token.kind == Kind::At) {
            let spec = address(tokens).ok_or_else(no_address)?;
            return Ok(Self::Address(Mailbox {
                name: comment(tokens),
                spec,
            }));
        }
        let mut words = tokens.iter().filter(|token| !token.is_space());
        Ok(match (words.next(), words.next()) {
            (Some(only), None) if only.kind == Kind::Quoted && is_user(&only.plain()) => {
                Self::Words(only.plain())
            }
            (Some(only), None) => Self::Words(only.text.to_owned()),
            _ => Self::Words(whole.to_owned()),
        })
    }
}

/// An address written out of tokens that are nothing else, in any of its obsolete forms.
fn address(tokens: &[Token<'_>]) -> Option<String> {
    let mut spec = String::new();
    let mut gap = false;
    let joins = |c: Option<char>| matches!(c, None | Some('@' | '.'));
    for token in tokens {
        let apart = gap && !joins(spec.chars().next_back()) && !joins(token.text.chars().next());
        match token.kind {
            Kind::Space | Kind::Comment => gap = true,
            Kind::Encoded => return None,
            _ if apart => return None,
            _ => {
                // A line may be folded within quotes; the break means nothing (RFC 5322 3.2.4).
                spec.extend(token.text.chars().filter(|c| !matches!(c, '\r' | '\n')));
                gap = false;
            }
        }
    }
    is_spec(&spec).then_some(spec)
}

/// Whether a text has the shape of an address. Whether it can be one is for the library to judge.
fn is_spec(spec: &str) -> bool {
    let Some((local, domain)) = spec.rsplit_once('@') else {
        return false;
    };
    let atom = |text: &str| !text.is_empty() && text.chars().all(|c| c == '.' || is_atext(c));
    let literal = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']'));
    let inside = |c: char| c.is_ascii_graphic() && !matches!(c, '[' | ']' | '\\');
    let quoted = local.starts_with('"') && closing(local) == Some(local.len());
    (atom(local) || quoted && !local.contains(char::is_control))
        && literal.map_or_else(|| atom(domain), |literal| literal.chars().all(inside))
}

/// Whether a word can be the name of a user. `undisclosed-recipients` without its colon is nobody's.
pub(crate) fn is_user(word: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'+');
    let begins = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    word.len() <= 64
        && word.bytes().next().is_some_and(begins)
        && word.strip_suffix('$').unwrap_or(word).bytes().all(fits)
        && !word.to_ascii_lowercase().starts_with("undisclosed")
}

/// Whether it is one even where a name may follow. `Smith, John <john@example.com>` is one person, while
/// `root, Ann <ann@example.com>` are two.
fn is_surely_a_user(word: &str) -> bool {
    let known = |name| word.eq_ignore_ascii_case(name);
    is_user(word) && (!word.contains(char::is_uppercase) || known("root") || known("postmaster"))
}

/// RFC 5322 3.2.3, and RFC 6532 3.2 for what is not ASCII.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(c)
        || !c.is_ascii() && !c.is_whitespace() && !c.is_control()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Space,
    Comment,
    Word,
    Quoted,
    Encoded,
    /// `<...>`
    Angle,
    /// `[...]` behind an `@`
    Literal,
    At,
    Comma,
    Semicolon,
    Colon,
}

#[derive(Clone, Copy, Debug)]
struct Token<'t> {
    kind: Kind,
    text: &'t str,
}

impl Token<'_> {
    fn is_space(&self) -> bool {
        matches!(self.kind, Kind::Space | Kind::Comment)
    }

    /// What a quoted string or a comment holds.
    fn plain(&self) -> String {
        let mut plain = String::new();
        let mut chars = self.inside().chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => plain.extend(chars.next()),
                '\r' | '\n' => {}
                c => plain.push(c),
            }
        }
        plain
    }

    /// What stands between its first and its last character.
    fn inside(&self) -> &str {
        let length = self.text.len();
        self.text.get(1..length.saturating_sub(1)).unwrap_or("")
    }

    /// The address in angle brackets: empty, of a user, or whole.
    fn address(&self) -> Option<String> {
        let tokens = tokens(self.inside()).ok()?;
        let mut tokens = tokens.as_slice();
        // A route, `<@a,@b:ann@example.com>`, has meant nothing since 2001 (RFC 5322 4.4).
        let first = tokens.iter().find(|token| !token.is_space());
        if first.is_some_and(|token| token.kind == Kind::At) {
            let colon = tokens.iter().rposition(|token| token.kind == Kind::Colon)?;
            tokens = tokens.get(colon + 1..)?;
        }
        let mut words = tokens.iter().filter(|token| !token.is_space());
        match (words.next(), words.next()) {
            (None, _) => Some(String::new()),
            (Some(word), None) => Some(word.text.to_owned()).filter(|word| is_user(word)),
            _ => address(tokens),
        }
    }
}

/// The pieces between separators of these kinds, and what ends each.
fn elements<'t>(
    tokens: &'t [Token<'t>],
    ends: &'t [Kind],
) -> impl Iterator<Item = (&'t [Token<'t>], Option<Kind>)> {
    let ends = |token: &Token<'_>| ends.contains(&token.kind);
    tokens
        .split_inclusive(ends)
        .map(move |piece| match piece.split_last() {
            Some((last, element)) if ends(last) => (element, Some(last.kind)),
            _ => (piece, None),
        })
}

fn is_phrase(tokens: &[Token<'_>]) -> bool {
    let word = |token: &Token<'_>| matches!(token.kind, Kind::Word | Kind::Quoted | Kind::Encoded);
    tokens.iter().any(word) && tokens.iter().all(|token| word(token) || token.is_space())
}

fn text_of(tokens: &[Token<'_>]) -> String {
    tokens.iter().map(|token| token.text).collect()
}

/// What stands in parentheses, as a phrase. `root (Cron Daemon)` is how names were written before they had a place.
fn comment(tokens: &[Token<'_>]) -> String {
    let comments = tokens.iter().filter(|token| token.kind == Kind::Comment);
    let text: Vec<_> = comments.map(Token::plain).collect();
    phrase(&pieces(&text.join(" ")))
}

fn tokens(list: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut rest = list;
    while let Some(c) = rest.chars().next() {
        let mut before = tokens.iter().rev().filter(|token| !token.is_space());
        let unclosed = |what| format!("{what} is not closed");
        let (kind, length) = match c {
            '"' => (
                Kind::Quoted,
                closing(rest).ok_or_else(|| unclosed("a quote"))?,
            ),
            '(' => (
                Kind::Comment,
                closing(rest).ok_or_else(|| unclosed("a comment"))?,
            ),
            '<' => match angle(rest).ok_or_else(|| unclosed("a `<`"))? {
                1 => (Kind::Word, 1),
                length => (Kind::Angle, length),
            },
            '[' if before.next().is_some_and(|token| token.kind == Kind::At) => {
                let end = rest.find(']').ok_or_else(|| unclosed("a `[`"))?;
                (Kind::Literal, end + 1)
            }
            ' ' | '\t' | '\r' | '\n' => {
                let behind = rest.trim_start_matches([' ', '\t', '\r', '\n']);
                (Kind::Space, rest.len() - behind.len())
            }
            ',' => (Kind::Comma, 1),
            ';' => (Kind::Semicolon, 1),
            ':' => (Kind::Colon, 1),
            '@' => (Kind::At, 1),
            _ => match encoded_word(rest) {
                Some(length) => (Kind::Encoded, length),
                None => (Kind::Word, word(rest)),
            },
        };
        let (text, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        tokens.push(Token { kind, text });
        rest = behind;
    }
    Ok(tokens)
}

/// The length of the quoted string or the comment that begins here. A comment may hold comments.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '"' if at > 0 && text.starts_with('"') => return Some(at + 1),
            '(' if text.starts_with('(') => depth += 1,
            ')' if depth == 1 => return Some(at + 1),
            ')' if depth > 1 => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The length of the `<...>` that begins here, 1 where another begins before it ends: then this is a character of a name.
fn angle(text: &str) -> Option<usize> {
    let mut at = 1;
    loop {
        let rest = text.get(at..)?;
        at += match rest.chars().next()? {
            '>' => return Some(at + 1),
            '<' => return Some(1),
            '"' | '(' => closing(rest)?,
            c => c.len_utf8(),
        };
    }
}

/// The length of the word that begins here, at least one character.
fn word(text: &str) -> usize {
    let ends = |&(at, c): &(usize, char)| {
        at > 0
            && (matches!(
                c,
                ' ' | '\t' | '\r' | '\n' | '"' | '(' | '<' | ',' | ';' | ':' | '@'
            ) || text.get(at..).and_then(encoded_word).is_some())
    };
    text.char_indices()
        .find(ends)
        .map_or(text.len(), |(at, _)| at)
}

/// The length of the encoded word (RFC 2047 2) that begins here. Whatever stands in it, which is more than the RFC
/// allows, but not the beginning of another, and no more than a line.
fn encoded_word(text: &str) -> Option<usize> {
    const LONGEST: usize = 998;
    let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_*+".contains(&b);
    let rest = rest.strip_prefix(['b', 'B', 'q', 'Q'])?.strip_prefix('?')?;
    let line = rest.bytes().take(LONGEST);
    let end = line
        .zip(rest.bytes().skip(1))
        .position(|pair| pair == (b'?', b'='))?;
    let within = rest.get(..end)?;
    let right = !charset.is_empty() && charset.bytes().all(fits);
    (right && !within.contains(['\r', '\n']) && !within.contains("=?"))
        .then_some(text.len() - rest.len() + end + 2)
}

/// The same with its text as it has to be written: `Q` has no space in it and, in a phrase, no character that could end
/// it (RFC 2047 5). `None` where nobody could decode it.
fn mended(word: &str) -> Option<String> {
    let mut parts = word.strip_prefix("=?")?.strip_suffix("?=")?.splitn(3, '?');
    let (charset, encoding, text) = (parts.next()?, parts.next()?, parts.next()?);
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

/// A name or another text, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Encoded(String),
    /// What it says, quotes and backslashes taken away.
    Plain(String),
}

/// The pieces of a text in which quotes mean nothing.
fn pieces(text: &str) -> Vec<Piece> {
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
fn pieces_of(tokens: &[Token<'_>]) -> Vec<Piece> {
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

/// Words as a name: atoms if they can be, else in quotes, encoded words as they are.
fn phrase(pieces: &[Piece]) -> String {
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

/// A list whose names and comments are ASCII, by encoded words where they were not. All else stays as it is, addresses
/// too. `column` is where the list begins in its line.
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

/// A text without structure, a subject for example, in the same way.
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
                // What stands between two encoded words is not shown, so a space has to be within one.
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
