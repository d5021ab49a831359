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

/// A command over several lines, where one would be longer than 77 columns: PowerShell goes on after a backtick, a POSIX
/// shell after a backslash. It is cut at spaces that no quote holds.
pub(crate) fn fold(command: &str, goes_on: char) -> String {
    const WIDTH: usize = 77;
    const INDENT: usize = 2;
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in command.chars() {
        // A doubled quote opens again at once.
        quoted ^= matches!(c, '\'' | '\u{2018}'..='\u{201b}');
        match words.last_mut() {
            Some(word) if c != ' ' || quoted => word.push(c),
            _ => words.push(String::new()),
        }
    }
    let is_name = |n: usize| words.get(n).is_some_and(|word| word.starts_with('-'));
    let length = |n: usize| words.get(n).map_or(0, |word| word.chars().count());
    // A parameter stays with its value, unless both are too long for a line.
    let together = |n: usize| {
        let fits = length(n) + 1 + length(n + 1) + INDENT + 2 <= WIDTH;
        is_name(n) && !is_name(n + 1) && length(n + 1) > 0 && fits
    };
    let mut folded = String::new();
    let mut column = 0;
    for (n, word) in words.iter().enumerate() {
        let stays = n == 0 || together(n - 1);
        let more = if together(n) { 1 + length(n + 1) } else { 0 };
        if !stays && column + 1 + length(n) + more + 2 > WIDTH {
            folded.extend([" ", &goes_on.to_string(), "\n", &" ".repeat(INDENT)]);
            column = INDENT;
        } else if n > 0 {
            folded.push(' ');
            column += 1;
        }
        folded.push_str(word);
        column += length(n);
    }
    folded
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
    fn nothing_in_a_value_ends_it() {
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

    #[test]
    fn a_long_command_goes_on_below() {
        let long = format!("New-X -Name 'a -b {}' -Role 'c d' -App e", "x".repeat(60));
        let folded = fold(&long, '`');
        let expected = format!(
            "New-X -Name 'a -b {}' `\n  -Role 'c d' -App e",
            "x".repeat(60)
        );
        assert_eq!(folded, expected.replace("New-X -Name", "New-X `\n  -Name"));
        assert_eq!(fold("az --id 'a  b'", '\\'), "az --id 'a  b'");
    }
}
