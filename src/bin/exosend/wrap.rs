//! Text in lines of 80 columns.

use crate::text::printable;

const WIDTH: usize = 80;

/// `first` begins the first line, `indent` the others. A longer word is not cut, because it may be copied.
pub(crate) fn wrap(out: &mut String, text: &str, first: &str, indent: &str) {
    out.push_str(first);
    let mut column = first.chars().count();
    let mut empty = true;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if !empty && column + 1 + length > WIDTH {
            out.push('\n');
            out.push_str(indent);
            column = indent.chars().count();
            empty = true;
        }
        if !empty {
            out.push(' ');
            column += 1;
        }
        out.push_str(&printable(word));
        column += length;
        empty = false;
    }
    while out.ends_with(' ') {
        out.pop();
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_at_80_columns_and_indented() {
        let mut out = String::new();
        wrap(&mut out, &"word ".repeat(40), "ok  ", "    ");
        assert!(
            out.lines()
                .all(|line| line.len() <= WIDTH && line.len() > 70 || line.starts_with("    "))
        );
        assert!(out.lines().skip(1).all(|line| line.starts_with("    word")));
        let mut out = String::new();
        wrap(&mut out, &"x".repeat(100), "1. ", "   ");
        assert_eq!(out, format!("1. {}\n", "x".repeat(100)));
        let mut out = String::new();
        wrap(&mut out, "", "skip  ", "   ");
        assert_eq!(out, "skip\n");
    }
}
