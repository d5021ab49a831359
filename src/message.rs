//! A message: its header, texts and files, written as one MIME text into any `Write`. No server is known here.

pub(crate) mod address;
pub(crate) mod attachment;
pub(crate) mod body;
mod encode;
pub(crate) mod envelope;
#[cfg(any(feature = "graph", feature = "capi"))]
pub(crate) mod head;
mod header;
pub(crate) mod letter;
#[cfg(any(feature = "graph", feature = "capi"))]
pub(crate) mod list;
#[cfg(any(feature = "graph", feature = "capi"))]
pub(crate) mod octets;

use std::fmt;
use std::io::{self, Write};

use crate::crypto;
use crate::error::Error;
use crate::message::attachment::Attachment;
use crate::stage::Stage;

/// A message: who it is for, what it says.
///
/// A value; it may be cloned, and sent twice. Setters never fail: [`check`](Self::check), which every send calls first,
/// names the field that cannot be right.
///
/// Everything is UTF-8. Addresses are written `ann@example.com`, `Ann Other <ann@example.com>` or
/// `"Schmidt, Jörg" <j@example.com>`, one a call.
///
/// ```
/// use exosend::Message;
///
/// let message = Message::new()
///     .from("Backup <robot@contoso.com>")
///     .to("ops@example.com")
///     .cc("\"Schmidt, Jörg\" <j@example.com>")
///     .subject("backup done")
///     .header("Importance", "high")
///     .text("212 GiB in 41 min\n");
/// message.check()?;
/// # Ok::<(), exosend::Error>(())
/// ```
#[derive(Clone)]
pub struct Message {
    from: Option<String>,
    to: Vec<String>,
    cc: Vec<String>,
    bcc: Vec<String>,
    reply_to: Vec<String>,
    subject: Option<String>,
    text: Option<String>,
    html: Option<String>,
    attachments: Vec<Attachment>,
    headers: Vec<(String, String)>,
    partial: bool,
    marks: Marks,
}

/// The random parts of a message. Drawn anew with each change, so that no text that the caller adds can hold the boundary.
#[derive(Clone, Debug)]
struct Marks {
    /// Of the Message-ID.
    id: String,
    /// Of the boundaries between MIME parts. Whoever has read one message must not know the boundary of another.
    boundary: String,
}

impl Marks {
    fn draw() -> Self {
        Self {
            id: crypto::random::<16>(),
            boundary: crypto::random::<16>(),
        }
    }
}

/// Texts and attachments are shown by their lengths only: they are long, and private.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |text: &Option<String>| text.as_ref().map(String::len);
        f.debug_struct("Message")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("cc", &self.cc)
            .field("bcc", &self.bcc)
            .field("reply_to", &self.reply_to)
            .field("subject", &self.subject)
            .field("text_bytes", &length(&self.text))
            .field("html_bytes", &length(&self.html))
            .field("attachments", &self.attachments)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

impl Default for Message {
    fn default() -> Self {
        Self::new()
    }
}

impl Message {
    /// An empty message. It draws a `Message-ID`, and each change draws another; a clone keeps it. So the same message sent
    /// twice, after an error that was [in doubt](crate::Error::in_doubt), can be recognised as the same, and copies of a
    /// template that differ are not taken for one.
    pub fn new() -> Self {
        Self {
            from: None,
            to: Vec::new(),
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: Vec::new(),
            subject: None,
            text: None,
            html: None,
            attachments: Vec::new(),
            headers: Vec::new(),
            partial: false,
            marks: Marks::draw(),
        }
    }

    /// Another content needs another Message-ID (RFC 5322 3.6.4).
    fn changed(mut self) -> Self {
        self.marks = Marks::draw();
        self
    }

    /// The author. By default the account's mailbox; another address needs the permission to send as it, and Exchange says
    /// so only when it has the whole message (`554 5.2.252 SendAsDenied`). A display name alone needs none.
    pub fn from(mut self, address: impl Into<String>) -> Self {
        self.from = Some(address.into());
        self.changed()
    }

    /// A recipient; repeat for more.
    pub fn to(mut self, address: impl Into<String>) -> Self {
        self.to.push(address.into());
        self.changed()
    }

    /// A recipient of a copy; repeat for more.
    pub fn cc(mut self, address: impl Into<String>) -> Self {
        self.cc.push(address.into());
        self.changed()
    }

    /// A recipient whom no other sees; repeat for more. Never appears in the text of the message.
    pub fn bcc(mut self, address: impl Into<String>) -> Self {
        self.bcc.push(address.into());
        self.changed()
    }

    /// Where answers go; repeat for more.
    pub fn reply_to(mut self, address: impl Into<String>) -> Self {
        self.reply_to.push(address.into());
        self.changed()
    }

    /// The subject.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self.changed()
    }

    /// The text. Any line endings; a missing last one is added.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self.changed()
    }

    /// The text in HTML. With [`text`](Self::text) too, each reader's program shows the one it prefers.
    pub fn html(mut self, html: impl Into<String>) -> Self {
        self.html = Some(html.into());
        self.changed()
    }

    /// A file or bytes; repeat for more.
    pub fn attach(mut self, attachment: Attachment) -> Self {
        self.attachments.push(attachment);
        self.changed()
    }

    /// One more header field; repeat for more. `Message-ID` (angle brackets included) and `Date` replace those made
    /// here; the other fields that the message makes itself are refused.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self.changed()
    }

    /// Whether to deliver to those who are accepted if others are refused, and to list these in the
    /// [receipt](crate::Receipt::refused). By default one refusal means that nothing is sent.
    pub fn partial(mut self, allowed: bool) -> Self {
        self.partial = allowed;
        self
    }

    /// Whether the message can be sent, as far as it can be known without a server.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::ErrorKind::Input), naming the field.
    ///
    /// ```
    /// let message = exosend::Message::new().to("ann@example.com\r\nRCPT TO:<eve@example.com>");
    /// assert_eq!(message.check().unwrap_err().to_string(), "message to: the character '\\r' is not allowed");
    /// ```
    pub fn check(&self) -> Result<(), Error> {
        // Stands for a missing `from`; the account's own mailbox is checked with the account.
        self.letter("robot@contoso.com").map(drop)
    }

    /// Writes the message as it is sent: RFC 5322 and MIME, lines ending in CRLF, dots not doubled.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if [`check`](Self::check) fails or there is no
    /// [`from`](Self::from), which only an account can fill in; and what `out` reports.
    ///
    /// ```
    /// let message = exosend::Message::new().from("robot@contoso.com").to("ann@example.com").subject("hello");
    /// let mut text = Vec::new();
    /// message.write_to(&mut text)?;
    /// assert!(String::from_utf8_lossy(&text).contains("\r\nSubject: hello\r\n"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_to(&self, mut out: impl Write) -> io::Result<()> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        if self.from.is_none() {
            return Err(invalid(Error::input(Stage::Message, "from", "missing")));
        }
        self.letter("").map_err(invalid)?.write_to(&mut out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::letter::OURS;

    fn text(message: &Message) -> String {
        let mut out = Vec::new();
        message.write_to(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn wrong(message: &Message) -> String {
        let error = message.check().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Input);
        error.to_string()
    }

    fn note() -> Message {
        Message::new()
            .from("robot@contoso.com")
            .to("ann@example.com")
            .text("x")
    }

    #[test]
    fn a_message_is_written_field_by_field() {
        let message = Message::new()
            .from("Backup <robot@contoso.com>")
            .to("ann@example.com")
            .cc("\"Schmidt, J\u{f6}rg\" <j@example.com>")
            .bcc("eve@example.com")
            .reply_to("ops@contoso.com")
            .subject("backup done")
            .header("Date", "Tue, 24 Nov 2026 09:00:00 +0000")
            .header("message-id", "<1@contoso.com>")
            .header("Importance", "high")
            .text("212 GiB\n.\n");
        assert_eq!(
            text(&message),
            "Date: Tue, 24 Nov 2026 09:00:00 +0000\r\n\
             From: Backup <robot@contoso.com>\r\n\
             To: ann@example.com\r\n\
             Cc: =?utf-8?b?U2NobWlkdCwgSsO2cmc=?= <j@example.com>\r\n\
             Reply-To: ops@contoso.com\r\n\
             Subject: backup done\r\n\
             Message-ID: <1@contoso.com>\r\n\
             Importance: high\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 7bit\r\n\
             \r\n\
             212 GiB\r\n.\r\n"
        );
    }

    #[test]
    fn a_clone_keeps_the_id_and_another_message_has_another() {
        let message = note();
        let id = |message: &Message| message.letter("robot@contoso.com").unwrap().message_id;
        assert_eq!(id(&message), id(&message.clone()));
        assert_ne!(id(&message), id(&note()));
        assert_ne!(id(&message), id(&message.clone().cc("bob@example.com")));
        assert_eq!(id(&message), id(&message.clone().partial(true)));
        assert!(id(&message).ends_with("@contoso.com>"));
    }

    /// Else a recipient of one message could forge a part of the next.
    #[test]
    fn a_boundary_is_in_no_other_message_and_no_id() {
        let message = note().html("x");
        let boundary = |message: &Message| {
            let text = text(message);
            text.split_once("boundary=\"=_1_").unwrap().1[..32].to_owned()
        };
        let one = boundary(&message);
        assert_eq!(one, boundary(&message.clone()));
        assert!(!message.letter("").unwrap().message_id.contains(&one));
        let another = message.clone().text(format!("--=_1_{one}--\n"));
        assert_ne!(one, boundary(&another));
    }

    #[test]
    fn an_inline_file_without_html_is_an_attachment() {
        let chart = Attachment::bytes("c.gif", "GIF89a").inline("c");
        for (message, disposition) in [
            (note(), "attachment"),
            (note().html("<img src=\"cid:c\">"), "inline"),
        ] {
            let text = text(&message.attach(chart.clone()));
            let field = format!("Content-Disposition: {disposition}; filename=\"c.gif\"\r\n");
            assert!(text.contains(&field), "{text}");
        }
    }

    #[test]
    fn debug_shows_lengths_and_no_content() {
        let attachment = Attachment::bytes("a.bin", vec![0; 10_000_000]);
        let debug = format!("{:?}", note().text("hush").html("hush!").attach(attachment));
        assert!(
            debug.contains("ann@example.com") && debug.contains("Bytes(10000000 bytes)"),
            "{debug}"
        );
        assert!(debug.len() < 500 && !debug.contains("hush"), "{debug}");
    }

    #[test]
    fn a_bcc_recipient_is_not_written() {
        let message = Message::new()
            .from("robot@contoso.com")
            .bcc("eve@example.com")
            .subject("x");
        assert!(!text(&message).contains("eve"));
        assert!(text(&message).contains("To: undisclosed-recipients:;\r\n"));
        assert_eq!(
            message.letter("robot@contoso.com").unwrap().route.to,
            ["eve@example.com"]
        );
    }

    #[test]
    fn bad_fields_are_named() {
        assert_eq!(wrong(&Message::new().text("x")), "message to: no recipient");
        assert!(
            wrong(&Message::new().to("ann@example.com"))
                .starts_with("message text: an empty message")
        );
        assert!(wrong(&note().to("ann")).starts_with("message to: `ann` has no domain"));
        assert!(wrong(&note().cc("a@x\nBcc: e@x")).starts_with("message cc: "));
        assert!(wrong(&note().bcc("")).starts_with("message bcc: an empty address"));
        assert!(wrong(&note().from("A\r\nB <a@x>")).starts_with("message from: "));
        assert!(wrong(&note().reply_to("<a@x\0>")).starts_with("message reply_to: "));
        assert!(wrong(&note().subject("a\r\nBcc: e@example.com")).starts_with("message subject: "));
        assert!(wrong(&note().header("X", "a\nb")).starts_with("message X: "));
        for name in ["", "X Y", "X:Y", "X\r\nY", "\u{dc}"] {
            assert!(
                wrong(&note().header(name, "x")).starts_with("message header: "),
                "{name:?}"
            );
        }
        for name in OURS.split(' ') {
            assert!(
                wrong(&note().header(name.to_lowercase(), "x")).contains("makes this field itself")
            );
        }
        assert!(wrong(&note().header("X", "x").header("Date", "")).contains("must look like Tue"));
        let date = "Tue, 24 Nov 2026 09:00:00 +0000";
        assert!(wrong(&note().header("Date", date).header("date", date)).contains("given twice"));
        let chart = || Attachment::bytes("a.png", "x").inline("chart");
        let twice = note().attach(chart()).attach(chart());
        assert!(wrong(&twice).ends_with("the content id chart is used twice"));
        for id in [
            "1@contoso.com",
            "<1>",
            "<1@>",
            "<@x>",
            "<1@x@y>",
            "<1@x> <2@x>",
            "<a b@x>",
            "",
        ] {
            assert!(
                wrong(&note().header("Message-ID", id)).contains("must look like"),
                "{id}"
            );
        }
    }

    #[test]
    fn a_message_without_from_cannot_be_written() {
        let error = Message::new()
            .to("ann@example.com")
            .text("x")
            .write_to(io::sink())
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
