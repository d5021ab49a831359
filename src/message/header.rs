//! Header fields: encoded, folded, never more than one field out of one value. Pure.

use std::fmt::Write;

use email_encoding::headers::writer::EmailWriter;
use email_encoding::headers::{quoted_string, rfc2047, rfc2231};

use crate::message::address::Address;

/// RFC 5322 2.1.1 lets a line have 998 octets. A word too long to be folded within that is encoded, which can be cut.
const LONGEST_WORD: usize = 900;

/// A field of free text: Subject, and what a caller adds.
pub(super) fn unstructured(out: &mut String, name: &str, value: &str) {
    field(out, name, |writer| {
        if is_plain(value) {
            writer.folding().write_str(value)
        } else {
            rfc2047::encode(value, writer)
        }
    });
}

/// A list of addresses, if there are any. Folds between them, and within a name that is encoded.
pub(super) fn addresses(out: &mut String, name: &str, list: &[Address]) {
    if list.is_empty() {
        return;
    }
    field(out, name, |writer| {
        for (n, address) in list.iter().enumerate() {
            if n > 0 {
                writer.write_char(',')?;
                writer.space();
            }
            let Some(name) = &address.name else {
                writer.folding().write_str(&address.spec)?;
                continue;
            };
            let is_atom = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            if !is_plain(name) {
                rfc2047::encode(name, writer)?;
            } else if name.contains('.') && name.bytes().all(|b| is_atom(b) || b == b'.') {
                // A dot outside quotes is obsolete (RFC 5322 4.1), and some readers stop there.
                write!(writer, "\"{name}\"")?;
            } else {
                quoted_string::encode(name, writer)?;
            }
            writer.space();
            writer.folding().write_str(&format!("<{}>", address.spec))?;
        }
        Ok(())
    });
}

/// A field whose value is ours: short, ASCII, on one line.
pub(super) fn fixed(out: &mut String, name: &str, value: &str) {
    out.extend([name, ": ", value, "\r\n"]);
}

/// `Content-Type: image/png; name="chart.png"`. Old Outlook reads the `name`. It is ASCII: an underscore replaces any other
/// character, and the beginning of an encoded word. The true name is in Content-Disposition: to strict parsers a `name*`
/// beside a `name`, or an encoded word within quotes, is a defect.
pub(super) fn content_type(out: &mut String, content_type: &str, name: &str) {
    let plain: String = name
        .chars()
        .map(|c| {
            if (' '..='~').contains(&c) && !matches!(c, '"' | '\\') {
                c
            } else {
                '_'
            }
        })
        .collect();
    let plain = plain.replace("=?", "__");
    let is_name = |parameter: &str| {
        parameter
            .trim_start()
            .get(..4)
            .is_some_and(|p| p.eq_ignore_ascii_case("name"))
    };
    let is_named = content_type.split(';').skip(1).any(is_name);
    field(out, "Content-Type", |writer| {
        writer.folding().write_str(content_type)?;
        // To strict parsers a second name is a defect.
        if is_named || plain.len() > LONGEST_WORD {
            return Ok(());
        }
        writer.write_char(';')?;
        writer.new_line()?;
        writer.write_str(" name=\"")?;
        writer.write_str(&plain)?;
        writer.write_char('"')
    });
}

/// `Content-Disposition: attachment; filename="chart.png"`, by RFC 2231 where the name needs it.
pub(super) fn disposition(out: &mut String, disposition: &str, name: &str) {
    field(out, "Content-Disposition", |writer| {
        writer.write_str(disposition)?;
        writer.write_char(';')?;
        if name.is_ascii() && !is_read_alike(name) {
            return percent_encoded(name, writer);
        }
        writer.space();
        rfc2231::encode("filename", name, writer)
    });
}

/// Whether every reader reads a name in quotes alike. Many decode what looks like an encoded word in it. Python's keeps a
/// quote that follows two backslashes, and removes quotes and brackets around the name.
fn is_read_alike(name: &str) -> bool {
    !name.contains("=?") && !name.contains(['"', '\\', '<', '>'])
}

/// RFC 2231 for a name that `rfc2231::encode` would leave as it is.
fn percent_encoded(name: &str, writer: &mut EmailWriter<'_>) -> std::fmt::Result {
    for (n, piece) in name.as_bytes().chunks(16).enumerate() {
        let encoded: String = piece.iter().map(|byte| format!("%{byte:02X}")).collect();
        let (before, charset) = if n == 0 { ("", "utf-8''") } else { (";", "") };
        writer.write_str(before)?;
        writer.new_line()?;
        write!(writer, " filename*{n}*={charset}{encoded}")?;
    }
    Ok(())
}

/// Whether a value needs no encoding to be read back unchanged. Lines are folded at a space, but not within a run of them.
fn is_plain(value: &str) -> bool {
    value.bytes().all(|b| (b' '..=b'~').contains(&b))
        && !value.contains("=?")
        && !value.starts_with(' ')
        && !value.ends_with(' ')
        && value.split(' ').all(|word| word.len() < LONGEST_WORD)
        && !value.contains(&" ".repeat(64))
}

fn field(
    out: &mut String,
    name: &str,
    value: impl FnOnce(&mut EmailWriter<'_>) -> std::fmt::Result,
) {
    out.extend([name, ":"]);
    let length = name.len() + 1;
    let mut writer = EmailWriter::new(out, length, 1, false);
    // Writing into a String does not fail, and the encoders have no other error.
    let _ = value(&mut writer);
    drop(writer);
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(value: &str) -> String {
        let mut out = String::new();
        unstructured(&mut out, "Subject", value);
        out
    }

    fn to(list: &[&str]) -> String {
        let list: Vec<_> = list
            .iter()
            .map(|text| Address::parse(text).unwrap())
            .collect();
        let mut out = String::new();
        addresses(&mut out, "To", &list);
        out
    }

    #[test]
    fn plain_text_stays_plain() {
        assert_eq!(subject("backup done"), "Subject: backup done\r\n");
        assert_eq!(subject(""), "Subject: \r\n");
    }

    #[test]
    fn text_that_would_be_misread_is_encoded() {
        assert_eq!(
            subject("\u{dc}bersicht"),
            "Subject: =?utf-8?b?w5xiZXJzaWNodA==?=\r\n"
        );
        assert_eq!(
            subject("=?utf-8?b?eA==?="),
            "Subject: =?utf-8?b?PT91dGYtOD9iP2VBPT0/PQ==?=\r\n"
        );
        assert_eq!(subject(" x"), "Subject: =?utf-8?b?IHg=?=\r\n");
    }

    #[test]
    fn no_line_is_longer_than_78_characters() {
        let words = "word ".repeat(300) + "end";
        let long = "x".repeat(5000);
        let japanese = "\u{30d0}\u{30c3}\u{30af}".repeat(100);
        let spaces = format!("a{}b", " ".repeat(2000));
        for value in [words.as_str(), &long, &japanese, &spaces] {
            let quoted = format!("\"{value}\" <ann@example.com>");
            for line in [subject(value), to(&[&quoted])].concat().lines() {
                assert!(line.len() <= 78, "{} bytes: {line}", line.len());
            }
        }
    }

    #[test]
    fn a_file_name_that_looks_encoded_is_not_decoded() {
        let mut out = String::new();
        content_type(&mut out, "text/plain", "=?utf-8?Q?x?=.txt");
        disposition(&mut out, "attachment", "=?utf-8?Q?x?=.txt");
        assert_eq!(
            out,
            "Content-Type: text/plain;\r\n name=\"__utf-8?Q?x?=.txt\"\r\n\
             Content-Disposition: attachment;\r\n \
             filename*0*=utf-8''%3D%3F%75%74%66%2D%38%3F%51%3F%78%3F%3D%2E%74%78;\r\n filename*1*=%74\r\n"
        );
    }

    #[test]
    fn a_name_in_the_content_type_is_kept_as_the_only_one() {
        let mut out = String::new();
        content_type(&mut out, "text/csv; charset=utf-8; Name=x.csv", "y.csv");
        assert_eq!(out, "Content-Type: text/csv; charset=utf-8; Name=x.csv\r\n");
    }

    #[test]
    fn a_file_name_with_quotes_or_brackets_is_encoded() {
        for (name, is_plain) in [
            ("a b;c'(1).txt", true),
            ("a\\", false),
            ("a\"b\".txt", false),
            ("<a>", false),
        ] {
            let mut out = String::new();
            disposition(&mut out, "attachment", name);
            assert_eq!(
                out.contains(&format!("filename=\"{name}\"")),
                is_plain,
                "{out}"
            );
            assert_eq!(out.contains("filename*0*=utf-8''"), !is_plain, "{out}");
        }
    }

    #[test]
    fn names_of_addresses_are_quoted_or_encoded() {
        assert_eq!(to(&["ann@example.com"]), "To: ann@example.com\r\n");
        assert_eq!(
            to(&["Ann Other <ann@example.com>"]),
            "To: \"Ann Other\" <ann@example.com>\r\n"
        );
        assert_eq!(
            to(&["\"web1.example.com\" <ann@example.com>"]),
            "To: \"web1.example.com\" <ann@example.com>\r\n"
        );
        assert_eq!(
            to(&["\"Schmidt, J\u{f6}rg\" <j@example.com>", "bob@example.com"]),
            "To: =?utf-8?b?U2NobWlkdCwgSsO2cmc=?= <j@example.com>, bob@example.com\r\n"
        );
        let many: Vec<_> = (0..50).map(|n| format!("user{n}@example.com")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let field = to(&many);
        assert!(field.lines().all(|line| line.len() <= 78), "{field}");
        assert_eq!(field.matches('@').count(), 50);
    }
}
