//! What a message is made of: parts in parts (RFC 2046), each written when its turn comes.

use std::fmt::Write;
use std::io;

use crate::error::Error;
use crate::flow::Sink;
use crate::message::attachment::{Attachment, Prepared};
use crate::message::encode::{Base64Lines, TextEncoding};
use crate::message::header;
use crate::stage::Stage;

/// A part: its header fields, and its content or the parts within.
pub(crate) struct Part<'m> {
    head: String,
    content: Content<'m>,
}

enum Content<'m> {
    Text(&'m str, TextEncoding),
    Attachment(Prepared<'m>),
    Parts(String, Vec<Part<'m>>),
}

impl<'m> Part<'m> {
    /// Nests the parts no deeper than they need: mixed (alternative (text, related (html, images)), attachments).
    pub(super) fn of(
        text: Option<&'m str>,
        html: Option<&'m str>,
        attachments: &'m [Attachment],
        boundary: &str,
    ) -> Result<Self, Error> {
        let wrong = |what: String| Error::input(Stage::Message, "attach", what);
        let ids = || attachments.iter().filter_map(Attachment::content_id);
        let used = |n, id| ids().take(n).any(|before| before == id);
        if let Some((_, twice)) = ids().enumerate().find(|&(n, id)| used(n, id)) {
            return Err(wrong(format!("the content id {twice} is used twice")));
        }
        let (shown, attached): (Vec<_>, Vec<_>) = attachments
            .iter()
            .partition(|attachment| html.is_some() && attachment.content_id().is_some());
        let part = |attachment: &'m Attachment, shown| {
            let prepared = attachment.prepare().map_err(wrong)?;
            Ok(Self::attachment(prepared, shown))
        };

        let mut boundaries = Boundaries {
            unique: boundary,
            used: 0,
        };
        let html = match html {
            None => None,
            Some(html) => {
                let mut parts = vec![Self::text("html", html)];
                for attachment in shown {
                    parts.push(part(attachment, true)?);
                }
                Some(boundaries.group("related", parts))
            }
        };
        let text = text.map(|text| Self::text("plain", text));
        let mut parts = Vec::new();
        let texts: Vec<_> = text.into_iter().chain(html).collect();
        if !texts.is_empty() {
            parts.push(boundaries.group("alternative", texts));
        }
        let alone = attached.is_empty();
        for attachment in attached {
            parts.push(part(attachment, false)?);
        }
        Ok(if alone {
            boundaries.group("mixed", parts)
        } else {
            boundaries.multipart("mixed", parts)
        })
    }

    fn text(subtype: &str, text: &'m str) -> Self {
        let encoding = TextEncoding::of(text);
        let mut head = String::new();
        header::fixed(
            &mut head,
            "Content-Type",
            &format!("text/{subtype}; charset=utf-8"),
        );
        header::fixed(&mut head, "Content-Transfer-Encoding", encoding.name());
        Self {
            head,
            content: Content::Text(text, encoding),
        }
    }

    fn attachment(prepared: Prepared<'m>, shown: bool) -> Self {
        let mut head = String::new();
        header::content_type(&mut head, &prepared.content_type, &prepared.name);
        header::fixed(&mut head, "Content-Transfer-Encoding", "base64");
        if let Some(id) = prepared.attachment.content_id() {
            header::fixed(&mut head, "Content-ID", &format!("<{id}>"));
        }
        let disposition = if shown { "inline" } else { "attachment" };
        header::disposition(&mut head, disposition, &prepared.name);
        Self {
            head,
            content: Content::Attachment(prepared),
        }
    }

    pub(crate) fn write_to(&self, out: &mut dyn Sink) -> io::Result<()> {
        self.pieces(&mut |piece| match piece {
            Piece::Bytes(bytes) => out.write_all(bytes),
            Piece::Text(text, encoding) => encoding.write(text, out),
            Piece::Attachment(prepared) => prepared.write_to(out),
        })
    }

    /// The length of what `write_to` writes. Attachments are not read for it.
    pub(crate) fn size(&self) -> u64 {
        let mut counter = Counter(0);
        // A counter does not fail.
        let _ = self.pieces(&mut |piece| match piece {
            Piece::Bytes(bytes) => counter.write_all(bytes),
            Piece::Text(text, encoding) => encoding.write(text, &mut counter),
            Piece::Attachment(prepared) => {
                counter.0 += Base64Lines::length(prepared.length);
                Ok(())
            }
        });
        counter.0
    }

    fn pieces(&self, take: &mut dyn FnMut(Piece<'_>) -> io::Result<()>) -> io::Result<()> {
        take(Piece::Bytes(self.head.as_bytes()))?;
        take(Piece::Bytes(b"\r\n"))?;
        match &self.content {
            Content::Text(text, encoding) => take(Piece::Text(text, *encoding)),
            Content::Attachment(prepared) => take(Piece::Attachment(prepared)),
            Content::Parts(boundary, parts) => {
                for part in parts {
                    take(Piece::Bytes(format!("--{boundary}\r\n").as_bytes()))?;
                    part.pieces(take)?;
                    // This line break belongs to the boundary that follows (RFC 2046 5.1.1), and is no part of the part.
                    take(Piece::Bytes(b"\r\n"))?;
                }
                take(Piece::Bytes(format!("--{boundary}--\r\n").as_bytes()))
            }
        }
    }
}

enum Piece<'a> {
    Bytes(&'a [u8]),
    Text(&'a str, TextEncoding),
    Attachment(&'a Prepared<'a>),
}

/// Makes the boundaries of one message. Their random part was drawn after its texts were given, and `=_` is in no line of
/// base64 or quoted-printable (RFC 2045 6.7).
struct Boundaries<'u> {
    unique: &'u str,
    used: u8,
}

impl Boundaries<'_> {
    /// A single part needs no group around it.
    fn group<'m>(&mut self, subtype: &str, mut parts: Vec<Part<'m>>) -> Part<'m> {
        match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => {
                parts.extend(last);
                self.multipart(subtype, parts)
            }
        }
    }

    fn multipart<'m>(&mut self, subtype: &str, parts: Vec<Part<'m>>) -> Part<'m> {
        self.used += 1;
        let boundary = format!("=_{}_{}", self.used, self.unique);
        let mut head = String::new();
        // The type of the first part, which readers begin with (RFC 2387 3.1).
        let root = if subtype == "related" {
            " type=\"text/html\";"
        } else {
            ""
        };
        // Writing into a String does not fail.
        let _ = write!(
            head,
            "Content-Type: multipart/{subtype};{root}\r\n boundary=\"{boundary}\"\r\n"
        );
        Part {
            head,
            content: Content::Parts(boundary, parts),
        }
    }
}

struct Counter(u64);

impl Sink for Counter {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0 += bytes.len() as u64;
        Ok(())
    }
}
