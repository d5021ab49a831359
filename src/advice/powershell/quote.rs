//! Texts as words of a shell, so that nothing in them acts. Pure.

/// A literal text in single quotes, in which nothing is special but what PowerShell takes for a single quote: doubled,
/// each stands for itself. `None` if a control character is in it.
pub(crate) fn quote(text: &str) -> Option<String> {
    let mut quoted = String::from("'");
    for c in text.chars() {
        // Zl and Zp end a line for some readers; U+0085 is a control character.
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            return None;
        }
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    Some(quoted)
}

/// A text within a filter of Exchange (OPATH), which knows the one quote.
pub(super) fn opath(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A word for a POSIX shell; PowerShell reads the same unless a quote is in it. `None` if a control character is in it.
pub(crate) fn shell(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/:@%+,=".contains(&b);
    if text.chars().any(char::is_control) {
        return None;
    }
    if !text.is_empty() && text.bytes().all(plain) {
        return Some(text.to_owned());
    }
    Some(format!("'{}'", text.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_a_value_ends_its_quotes() {
        assert_eq!(quote("a'b"), Some("'a''b'".into()));
        for c in '\u{2018}'..='\u{201b}' {
            assert_eq!(quote(&c.to_string()), Some(format!("'{c}{c}'")));
        }
        assert_eq!(
            quote("$(x)`\"\u{201c};#"),
            Some("'$(x)`\"\u{201c};#'".into())
        );
        for c in ['\n', '\r', '\0', '\u{1b}', '\u{85}', '\u{2028}', '\u{2029}'] {
            assert_eq!(quote(&format!("a{c}b")), None, "{c:?}");
        }
        assert_eq!(shell("a-b.c"), Some("a-b.c".into()));
        assert_eq!(shell("a;b'c"), Some("'a;b'\\''c'".into()));
    }
}
