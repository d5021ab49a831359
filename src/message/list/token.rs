//! The tokens of a list: words, quoted strings, comments, angle brackets, separators.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Space,
    Comment,
    Word,
    Quoted,
    Encoded,
    /// `<...>`
    Angle,
    /// `[...]` after an `@`
    Literal,
    At,
    Comma,
    Semicolon,
    Colon,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
}

impl Token<'_> {
    pub(super) fn is_space(&self) -> bool {
        matches!(self.kind, Kind::Space | Kind::Comment)
    }

    /// What a quoted string or a comment holds.
    pub(super) fn plain(&self) -> String {
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

    /// The text between its first and its last character.
    pub(super) fn inside(&self) -> &str {
        let length = self.text.len();
        self.text.get(1..length.saturating_sub(1)).unwrap_or("")
    }
}

/// The pieces between separators of these kinds, and what ends each.
pub(super) fn elements<'t>(
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

pub(super) fn is_phrase(tokens: &[Token<'_>]) -> bool {
    let word = |token: &Token<'_>| matches!(token.kind, Kind::Word | Kind::Quoted | Kind::Encoded);
    tokens.iter().any(word) && tokens.iter().all(|token| word(token) || token.is_space())
}

pub(super) fn text_of(tokens: &[Token<'_>]) -> String {
    tokens.iter().map(|token| token.text).collect()
}

pub(super) fn tokens(list: &str) -> Result<Vec<Token<'_>>, String> {
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
pub(super) fn closing(text: &str) -> Option<usize> {
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

/// The length of the `<...>` that begins here; 1 if another begins within, for then this `<` is a character of a name.
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

/// The length of the encoded word (RFC 2047 2) that begins here. It may hold characters that the RFC does not allow, but
/// not the beginning of another, and no more than a line.
pub(super) fn encoded_word(text: &str) -> Option<usize> {
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

/// RFC 5322 3.2.3, and RFC 6532 3.2 for what is not ASCII.
pub(super) fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(c)
        || !c.is_ascii() && !c.is_whitespace() && !c.is_control()
}
