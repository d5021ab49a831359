//! Text that somebody else wrote, on its way to a reader. Pure.

// The library and the command both have this file, and neither needs all of it.
#![allow(dead_code)]

/// The beginning of something that is not what it should be, for an error text.
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

/// What a peer said, safe to print: control characters, and those that reorder or hide text, become `?`.
pub(crate) fn printable(text: &str) -> String {
    let hostile = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars()
        .map(|c| if hostile(c) { '?' } else { c })
        .collect()
}

/// Line breaks and NUL, with which one line could become two; every other control; and what is invisible.
pub(crate) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The word that a misspelt one is most like: the least letters to change, by Levenshtein.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    let distance = |known: &&str| {
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
    };
    known.min_by_key(distance).unwrap_or_default()
}
