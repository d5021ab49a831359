//! Text that somebody else wrote, on its way to a reader. Pure.

// The command uses this module, too (`command.rs`): without feature `cli` a part of it is unused.
#![allow(dead_code, unreachable_pub)]

/// The beginning of malformed bytes, for the text of an error.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const SHOWN: usize = 120;
    let text = printable(&String::from_utf8_lossy(
        bytes.get(..SHOWN).unwrap_or(bytes),
    ));
    if bytes.len() > SHOWN {
        text + " [cut]"
    } else {
        text
    }
}

/// Makes a text safe for a terminal and a line of a log: what [is unprintable](is_unprintable) becomes `?`.
pub fn printable(text: &str) -> String {
    let shown = |c| if is_unprintable(c) { '?' } else { c };
    // Most text is plain.
    match text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        true => text.to_owned(),
        false => text.chars().map(shown).collect(),
    }
}

/// The text with a small first letter, unless the second is a capital, too (`TLS`): texts of the operating system begin with
/// a capital, ours do not. ASCII only: Unicode's tables are large.
pub(crate) fn lower_case(text: &str) -> String {
    let mut text = text.to_owned();
    if text.as_bytes().get(1).is_some_and(u8::is_ascii_lowercase) {
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_lowercase();
        }
    }
    text
}

/// Printable ASCII without a space, at least one character: nothing in it ends a word, a line or a command.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A character that begins a line, moves the cursor, or reorders or hides text: Unicode's categories Cc, Cf, Zl and Zp.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

/// The known word nearest to a misspelt one. A word that contains the other one comes first: `log` for `logfile`.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    let apart = |known: &str| !(word.contains(known) || known.contains(word));
    let nearest = known.min_by_key(|known| (apart(known), distance(word, known)));
    nearest.unwrap_or_default()
}

/// The Levenshtein distance, in bytes.
pub fn distance(word: &str, known: &str) -> usize {
    let mut row: Vec<usize> = (0..=known.len()).collect();
    for (i, a) in word.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(known.bytes()) {
            left = (diagonal + usize::from(a != b))
                .min(left + 1)
                .min(*cell + 1);
            diagonal = std::mem::replace(cell, left);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_capital_before_a_small_letter_is_lowered() {
        assert_eq!(
            lower_case("Connection refused (os error 111)"),
            "connection refused (os error 111)"
        );
        assert_eq!(lower_case("TLS is off"), "TLS is off");
        assert_eq!(lower_case(""), "");
    }
}
