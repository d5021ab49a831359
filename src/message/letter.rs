//! A message for one sending: all its fields checked, its route and its text decided.

use std::io;
use std::time::SystemTime;

use crate::date;
use crate::error::Error;
use crate::flow::Sink;
use crate::message::address::Address;
use crate::message::body::Part;
use crate::message::envelope::Route;
use crate::message::{Message, header};
use crate::stage::Stage;

/// Fields the message makes itself, or that have no place in it.
pub(super) const OURS: &str = "From To Cc Bcc Reply-To Subject MIME-Version Content-Type \
    Content-Transfer-Encoding Content-Disposition Content-ID";

/// Fields the message makes, unless the caller gives them.
const REPLACED: &str = "Message-ID Date";

/// A message for one sending: its route, and its text as it goes out.
pub(crate) struct Letter<'m> {
    pub(crate) route: Route,
    pub(crate) message_id: String,
    /// The first address in its headers that is not ASCII, and so needs SMTPUTF8 (RFC 6531).
    pub(crate) international: Option<String>,
    pub(crate) head: String,
    pub(crate) body: Part<'m>,
}

impl Letter<'_> {
    /// Its length as RFC 1870 counts it.
    pub(crate) fn size(&self) -> u64 {
        self.head.len() as u64 + self.body.size()
    }

    pub(crate) fn write_to(&self, out: &mut dyn Sink) -> io::Result<()> {
        out.write_all(self.head.as_bytes())?;
        self.body.write_to(out)
    }
}

impl Message {
    /// Everything checked and decided for one sending.
    pub(crate) fn letter(&self, mailbox: &str) -> Result<Letter<'_>, Error> {
        let parties = self.parties(mailbox)?;
        let everybody = [&parties.to, &parties.cc, &parties.bcc];
        let specs = everybody.into_iter().flatten().map(|a| Ok(a.spec.clone()));
        let route = Route::new(mailbox.to_owned(), specs, self.partial)?;
        self.check_headers()?;
        let body = self.body()?;
        let message_id = self.given("Message-ID").map_or_else(
            || format!("<{}@{}>", self.marks.id, parties.from.domain()),
            str::to_owned,
        );
        Ok(Letter {
            route,
            international: parties.international(),
            head: self.head(&parties, &message_id),
            message_id,
            body,
        })
    }

    fn parties(&self, mailbox: &str) -> Result<Parties, Error> {
        let list = |field: &str, list: &[String]| {
            list.iter()
                .map(|text| parse(field, text))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Parties {
            from: match &self.from {
                Some(from) => parse("from", from)?,
                None => Address {
                    name: None,
                    spec: mailbox.to_owned(),
                },
            },
            to: list("to", &self.to)?,
            cc: list("cc", &self.cc)?,
            bcc: list("bcc", &self.bcc)?,
            reply_to: list("reply_to", &self.reply_to)?,
        })
    }

    /// A subject alone is a message, whose text is empty.
    fn body(&self) -> Result<Part<'_>, Error> {
        let nothing = self.text.is_none() && self.html.is_none() && self.attachments.is_empty();
        if nothing && self.subject.is_none() {
            let what = "an empty message: no subject, text, HTML or attachment";
            return Err(Error::input(Stage::Message, "text", what));
        }
        let text = self.text.as_deref().or(nothing.then_some(""));
        Part::of(
            text,
            self.html.as_deref(),
            &self.attachments,
            &self.marks.boundary,
        )
    }

    /// The header, but for the fields that say what the body is made of.
    fn head(&self, parties: &Parties, message_id: &str) -> String {
        let mut head = String::new();
        let date = self
            .given("Date")
            .map_or_else(|| date::rfc5322(SystemTime::now()), str::to_owned);
        header::unstructured(&mut head, "Date", &date);
        header::addresses(&mut head, "From", std::slice::from_ref(&parties.from));
        header::addresses(&mut head, "To", &parties.to);
        header::addresses(&mut head, "Cc", &parties.cc);
        header::addresses(&mut head, "Reply-To", &parties.reply_to);
        if parties.to.is_empty() && parties.cc.is_empty() {
            header::fixed(&mut head, "To", "undisclosed-recipients:;");
        }
        if let Some(subject) = &self.subject {
            header::unstructured(&mut head, "Subject", subject);
        }
        header::fixed(&mut head, "Message-ID", message_id);
        for (name, value) in &self.headers {
            if !is_any(name, REPLACED) {
                header::unstructured(&mut head, name, value);
            }
        }
        header::fixed(&mut head, "MIME-Version", "1.0");
        head
    }

    fn check_headers(&self) -> Result<(), Error> {
        let wrong = |field: &str, what: String| Error::input(Stage::Message, field, what);
        if let Some(subject) = &self.subject {
            check_value(subject).map_err(|what| wrong("subject", what))?;
        }
        for (n, (name, value)) in self.headers.iter().enumerate() {
            if !is_field_name(name) {
                let what = format!("{name:?} is no name of a header field");
                return Err(wrong("header", what));
            }
            check_value(value).map_err(|what| wrong(name, what))?;
            if is_any(name, OURS) {
                return Err(wrong(name, "the message makes this field itself".into()));
            }
            let mut before = self.headers.iter().take(n);
            if is_any(name, REPLACED) && before.any(|(other, _)| is_any(other, name)) {
                return Err(wrong(name, "given twice".into()));
            }
            if is_any(name, "Message-ID") && !is_message_id(value) {
                return Err(wrong(name, "must look like <unique@example.com>".into()));
            }
            if is_any(name, "Date") && date::find(value).is_none() {
                let what = "must look like Tue, 24 Nov 2026 09:00:00 +0000";
                return Err(wrong(name, what.into()));
            }
        }
        Ok(())
    }

    /// The caller's value for a field that is otherwise made here.
    fn given(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Everybody named in the message.
struct Parties {
    from: Address,
    to: Vec<Address>,
    cc: Vec<Address>,
    bcc: Vec<Address>,
    reply_to: Vec<Address>,
}

impl Parties {
    /// The first address in the header that is not ASCII. Bcc is not in it.
    fn international(&self) -> Option<String> {
        let shown = [&self.to, &self.cc, &self.reply_to].into_iter().flatten();
        std::iter::once(&self.from)
            .chain(shown)
            .find(|address| !address.spec.is_ascii())
            .map(|address| address.spec.clone())
    }
}

fn is_any(name: &str, names: &str) -> bool {
    names.split(' ').any(|n| n.eq_ignore_ascii_case(name))
}

/// RFC 5322 2.2: printable ASCII without the colon.
fn is_field_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_graphic() && b != b':';
    !name.is_empty() && name.len() <= 76 && name.bytes().all(fits)
}

fn is_message_id(value: &str) -> bool {
    let fits = |b: u8| b.is_ascii_graphic() && b != b'<' && b != b'>';
    let inside = value.strip_prefix('<').and_then(|v| v.strip_suffix('>'));
    let halves = inside.and_then(|id| id.split_once('@'));
    let half = |text: &str| !text.is_empty() && !text.contains('@') && text.bytes().all(fits);
    value.len() <= 900 && halves.is_some_and(|(left, right)| half(left) && half(right))
}

fn parse(field: &str, text: &str) -> Result<Address, Error> {
    Address::parse(text).map_err(|what| Error::input(Stage::Message, field, what))
}

/// A line break would begin another field. Other controls have no meaning in a header and do things to terminals.
fn check_value(value: &str) -> Result<(), String> {
    match value.chars().find(|c| c.is_control() && *c != '\t') {
        Some(bad) => Err(format!("the character {bad:?} is not allowed")),
        None => Ok(()),
    }
}
