//! Lists of addresses, as people and programs write them: RFC 5322 3.4, its obsolete forms, and what is common beyond
//! them. Pure.
//!
//! How a list is read:
//! - A quoted string, a comment, and an encoded word from `=?` to `?=` are each one piece, whatever they hold.
//! - Commas and semicolons stand between elements. A phrase and a colon begin a group, a semicolon ends it.
//! - The address of an element is its last `<...>`, and whatever precedes that is the name. An element without one
//!   is an address, or the name of a user of this machine.
//! - Words that are neither belong to the name that follows, as in `Smith, John <john@example.com>`.
//! - Anything else is an error that quotes it. No recipient is guessed, and none is left out.
//!
//! Names are written as phrases that every reader parses alike: atoms, quoted strings and encoded words.

// The command uses this module, too (`command.rs`): without feature `cli` a part of it is unused.
#![allow(dead_code, unreachable_pub)]

// By path: tests include this file in another folder.
#[path = "list/phrase.rs"]
mod phrase;
#[path = "list/token.rs"]
mod token;

use phrase::{Piece, comment, phrase, pieces, pieces_of};
use token::{Kind, Token, closing, elements, is_atext, is_phrase, text_of, tokens};

pub(crate) use phrase::{begins, encoded_list, encoded_text};

/// One mailbox of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// A phrase as it is written, perhaps with letters that are not ASCII. Empty where there is no name.
    pub name: String,
    /// The address without comments and spaces, or the name of a user, which has no `@`. Empty for `<>`.
    pub spec: String,
}

impl Mailbox {
    /// An address, and a name that may be any text.
    pub fn new(name: &str, spec: impl Into<String>) -> Self {
        Self {
            name: phrase(&[Piece::Plain(name.to_owned())]),
            spec: spec.into(),
        }
    }

    /// Writes the name so that no reader finds another address in it, not even one that decodes encoded words before it splits
    /// the list; and without an `@`, for which Graph refuses an author (facts.md, "Graph"). Whether that changed it.
    pub(crate) fn make_unmistakable(&mut self) -> bool {
        let tokens = tokens(&self.name).unwrap_or_default();
        let mut pieces = pieces_of(&tokens);
        pieces.iter_mut().for_each(Piece::make_unmistakable);
        let name = phrase(&pieces);
        let is_changed = name != self.name;
        self.name = name;
        is_changed
    }

    /// As an element of a list, whatever element follows.
    pub fn written(&self) -> String {
        // The crate mail-parser takes quotes for a name unless a bracket precedes them.
        let is_plain = self.spec.contains('@') && !self.spec.starts_with('"');
        let stands_alone = is_plain || is_surely_a_user(&self.spec);
        match self.name.as_str() {
            "" if stands_alone => self.spec.clone(),
            "" => format!("<{}>", self.spec),
            name => format!("{name} <{}>", self.spec),
        }
    }
}

/// The mailboxes of a list and of its groups, or what is wrong with it.
pub fn parse(list: &str) -> Result<Vec<Mailbox>, String> {
    let (found, wrong) = read(list);
    wrong.into_iter().next().map_or(Ok(found), Err)
}

/// The mailboxes of a list, and an error for each element that is none.
pub fn read(list: &str) -> (Vec<Mailbox>, Vec<String>) {
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
                    // What follows may not be members of a group.
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

    /// Takes the words for users, where no name can follow to which they could belong.
    fn words_are_users(&mut self) {
        for word in self.words.0.drain(..) {
            match is_user(&word) {
                true => self.mailboxes.push(Mailbox::new("", word)),
                false => self.wrong.push(format!("`{word}` is no address")),
            }
        }
    }
}

/// The author, as programs write From. There are no users and groups in it, so everything before the first element that
/// ends in an address is the name, even an unclosed quote. Never fails.
pub(crate) fn author(text: &str) -> Mailbox {
    let mut words = Words::default();
    let all = tokens(text).unwrap_or_default();
    for (element, _) in elements(&all, &[Kind::Comma, Kind::Semicolon]) {
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
    let comment = comment(&all);
    // A quote or a bracket is not closed, or one element has two addresses.
    if let Some((name, spec)) = text.rsplit_once('<') {
        let spec = tokens(spec.split('>').next().unwrap_or_default()).unwrap_or_default();
        return Mailbox {
            name: phrase(&pieces(name.trim().trim_matches('"'))),
            spec: address(&spec).unwrap_or_default(),
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
        // Made of whole tokens, so this cannot fail.
        let tokens = tokens(&name).unwrap_or_default();
        Mailbox {
            name: phrase(&pieces_of(&tokens)),
            ..mailbox
        }
    }
}

/// The text between two separators.
enum Element {
    Nothing,
    Words(String),
    Address(Mailbox),
    /// The name as it was written, and the mailbox.
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
            let spec = address_within(angle).ok_or_else(no_address)?;
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

/// What angle brackets hold: nothing, a user, or an address.
fn address_within(angle: &Token<'_>) -> Option<String> {
    let tokens = tokens(angle.inside()).ok()?;
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

/// The address that these tokens are, obsolete forms (RFC 5322 4.4) included; `None` if they are anything else.
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
    // It replaces bytes that were not UTF-8, so that the true address is not known.
    if spec.contains(char::REPLACEMENT_CHARACTER) {
        return false;
    }
    let atom = |text: &str| !text.is_empty() && text.chars().all(|c| c == '.' || is_atext(c));
    let literal = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']'));
    let inside = |c: char| c.is_ascii_graphic() && !matches!(c, '[' | ']' | '\\');
    let quoted = local.starts_with('"') && closing(local) == Some(local.len());
    (atom(local) || quoted && !local.contains(char::is_control))
        && literal.map_or_else(|| atom(domain), |literal| literal.chars().all(inside))
}

/// Whether a word can be the name of a user. `undisclosed-recipients` without its colon is nobody's.
pub fn is_user(word: &str) -> bool {
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
    is_user(word)
        && (!word.bytes().any(|b| b.is_ascii_uppercase()) || known("root") || known("postmaster"))
}
