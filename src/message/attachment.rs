//! A file or some bytes that travel with a message.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use crate::flow::Sink;
use crate::message::encode::Base64Lines;
use crate::secret;

/// Something attached to a message. Its content is read when its turn comes, in blocks: a large file costs no more memory
/// than a small one.
///
/// ```
/// use exosend::{Attachment, Message};
///
/// let message = Message::new()
///     .to("ops@example.com")
///     .subject("report")
///     .html("<p>Disk use:</p><img src=\"cid:chart\">")
///     .attach(Attachment::bytes("chart.png", *b"\x89PNG...").inline("chart"))
///     .attach(Attachment::bytes("backup.log", "all is well\n"));
/// message.check()?;
/// # Ok::<(), exosend::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Attachment {
    source: Source,
    name: Option<String>,
    content_type: Option<String>,
    content_id: Option<String>,
}

#[derive(Clone)]
enum Source {
    File(PathBuf),
    /// Not `Arc<[u8]>`, which would copy what the caller hands over.
    Bytes(Arc<Vec<u8>>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "File({path:?})"),
            Source::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
        }
    }
}

impl Attachment {
    /// A regular file, under the last part of its path as name.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::of(Source::File(path.into()), None)
    }

    /// Bytes under a name.
    pub fn bytes(name: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self::of(Source::Bytes(Arc::new(data.into())), Some(name.into()))
    }

    fn of(source: Source, name: Option<String>) -> Self {
        Self {
            source,
            name,
            content_type: None,
            content_id: None,
        }
    }

    /// Another name. Of a path only the last part is sent.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Another content type than the one that the name's extension says, `text/csv; charset=utf-8` for example.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Part of the HTML, which shows it by `<img src="cid:chart">` if `content_id` is `chart`.
    pub fn inline(mut self, content_id: impl Into<String>) -> Self {
        self.content_id = Some(content_id.into());
        self
    }

    /// Its name in errors.
    fn label(&self) -> String {
        match &self.source {
            Source::File(path) => path.display().to_string(),
            Source::Bytes(_) => self.name.clone().unwrap_or_default(),
        }
    }

    pub(super) fn content_id(&self) -> Option<&str> {
        self.content_id.as_deref()
    }

    /// Checks all that can be known before the first byte is sent, and opens the file once to know that it can be read.
    pub(super) fn prepare(&self) -> Result<Prepared<'_>, String> {
        let label = self.label();
        self.prepared().map_err(|what| format!("{label}: {what}"))
    }

    fn prepared(&self) -> Result<Prepared<'_>, String> {
        let name = match (&self.name, &self.source) {
            (Some(name), _) => last_part(name).to_owned(),
            (None, Source::File(path)) => path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            (None, Source::Bytes(_)) => String::new(),
        };
        if name.is_empty() {
            return Err("it has no name".into());
        }
        if let Some(bad) = name.chars().find(|c| c.is_control()) {
            return Err(format!("the character {bad:?} is not allowed in a name"));
        }
        let content_type = match &self.content_type {
            Some(given) => checked_type(given)?,
            None => by_extension(&name).to_owned(),
        };
        if let Some(id) = &self.content_id {
            let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"' | b'\\');
            if id.is_empty() || id.len() > 200 || !id.bytes().all(fits) {
                return Err(format!("{id:?} is no content id"));
            }
        }
        let length = match &self.source {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::File(path) => secret::open(path, 0).map_err(|e| e.to_string())?.1.len(),
        };
        Ok(Prepared {
            attachment: self,
            name,
            content_type,
            length,
        })
    }
}

/// An attachment whose fields are right and whose length is known.
pub(super) struct Prepared<'m> {
    pub(super) attachment: &'m Attachment,
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) length: u64,
}

impl Prepared<'_> {
    /// Writes the content as base64. The length was declared, so a file that has changed since is an error.
    pub(super) fn write_to(&self, out: &mut dyn Sink) -> io::Result<()> {
        let mut out = Base64Lines::new(out);
        match &self.attachment.source {
            Source::Bytes(bytes) => out.write_all(bytes)?,
            Source::File(path) => {
                let named =
                    |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
                let (mut file, _) = secret::open(path, 0).map_err(named)?;
                copy_exactly(&mut file, self.length, &mut out, &named)?;
            }
        }
        out.finish()
    }
}

/// Errors of reading get the file's name; errors of writing are the connection's, and stay as they are.
fn copy_exactly(
    file: &mut File,
    length: u64,
    out: &mut dyn Sink,
    named: &dyn Fn(io::Error) -> io::Error,
) -> io::Result<()> {
    let mut block = vec![0; 16 * 1024];
    let mut left = length;
    loop {
        let read = match file.read(&mut block) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            result => result.map_err(named)?,
        };
        let piece = block.get(..read).unwrap_or_default();
        match left.checked_sub(read as u64) {
            None => {
                return Err(named(io::Error::other(
                    "the file became longer while it was sent",
                )));
            }
            Some(0) if read == 0 => return Ok(()),
            Some(_) if read == 0 => {
                return Err(named(io::Error::other(
                    "the file became shorter while it was sent",
                )));
            }
            Some(rest) => left = rest,
        }
        out.write_all(piece)?;
    }
}

/// The text after the last slash of either kind: no receiver needs to know our folders.
fn last_part(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// `type/subtype`, and parameters in ASCII.
fn checked_type(given: &str) -> Result<String, String> {
    let wrong = || format!("{given:?} is no content type");
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    let (essence, parameters) = given.split_once(';').unwrap_or((given, ""));
    // Not `trim_end`, which takes line breaks away too: they would be back in what is written.
    let (kind, subtype) = essence
        .trim_end_matches(' ')
        .split_once('/')
        .ok_or_else(wrong)?;
    if !token(kind)
        || !token(subtype)
        || given.len() > 200
        || !parameters.bytes().all(|b| (b' '..=b'~').contains(&b))
        || !quotes_are_closed(parameters)
    {
        return Err(wrong());
    }
    // RFC 2046 5.2.1 and 5.1: neither may be in base64.
    if kind.eq_ignore_ascii_case("message") || kind.eq_ignore_ascii_case("multipart") {
        return Err(format!(
            "{kind} cannot be attached; application/octet-stream can"
        ));
    }
    Ok(given.trim_end_matches([';', ' ']).to_owned())
}

/// The `name` that is appended to these parameters must not become part of a quoted string.
fn quotes_are_closed(parameters: &str) -> bool {
    let mut quoted = false;
    let mut characters = parameters.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => drop(characters.next()),
            _ => {}
        }
    }
    !quoted
}

/// The types that programs attach. `.eml` is not among them: message/rfc822 must not be sent in base64 (RFC 2046 5.2.1), and
/// Outlook opens it by its name.
fn by_extension(name: &str) -> &'static str {
    let (_, extension) = name.rsplit_once('.').unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "csv" => "text/csv",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "gif" => "image/gif",
        "gz" | "tgz" => "application/gzip",
        "htm" | "html" => "text/html",
        "ics" => "text/calendar",
        "jpeg" | "jpg" => "image/jpeg",
        "json" => "application/json",
        "log" | "txt" => "text/plain",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "svg" => "image/svg+xml",
        "tar" => "application/x-tar",
        "webp" => "image/webp",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xml" => "application/xml",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(attachment: &Attachment) -> (String, String) {
        let prepared = attachment.prepare().unwrap();
        (prepared.name, prepared.content_type)
    }

    #[test]
    fn of_a_path_only_the_last_part_is_sent() {
        for name in [
            "/etc/report.PDF",
            "C:\\Users\\ann\\report.PDF",
            "../report.PDF",
        ] {
            let expected = ("report.PDF".to_owned(), "application/pdf".to_owned());
            assert_eq!(prepared(&Attachment::bytes(name, "x")), expected);
        }
        assert_eq!(
            prepared(&Attachment::bytes("Makefile", "x")).1,
            "application/octet-stream"
        );
        let csv = Attachment::bytes("a.txt", "x").content_type("text/csv; charset=utf-8");
        assert_eq!(prepared(&csv).1, "text/csv; charset=utf-8");
    }

    /// Else a reader saves it instead of showing it.
    #[test]
    fn common_files_have_their_content_type() {
        const USUAL: &str = "csv docx gif gz tgz htm html ics jpeg jpg json log txt pdf png pptx svg tar webp xlsx xml zip";
        for extension in USUAL.split(' ') {
            let (name, content_type) =
                prepared(&Attachment::bytes(["a.", extension].concat(), "x"));
            assert_ne!(content_type, "application/octet-stream", "{name}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_attached_is_an_error() {
        let wrong = |attachment: Attachment| attachment.prepare().err().expect("an error");
        assert!(wrong(Attachment::bytes("", "x")).contains("no name"));
        assert!(wrong(Attachment::bytes("a/", "x")).contains("no name"));
        assert!(wrong(Attachment::bytes("a\r\nb", "x")).contains("not allowed in a name"));
        assert!(wrong(Attachment::file("/nonexistent/x.pdf")).starts_with("/nonexistent/x.pdf: "));
        assert!(wrong(Attachment::file(std::env::temp_dir())).contains("not a regular file"));
        assert!(wrong(Attachment::file("/dev/null")).contains("not a regular file"));
        for content_type in [
            "",
            "text",
            "text/",
            "/x",
            "a b/c",
            "text/x\r\nBcc: e",
            "text/x; \u{fc}",
            "text/x; a=\"b",
            "text/x\r",
            "text/x\r\n",
            "text/x\u{a0}",
            "text/x\n; a=b",
            "text/x; a=\"b\\\"",
            "message/rfc822",
        ] {
            let attachment = Attachment::bytes("a", "x").content_type(content_type);
            assert!(attachment.prepare().is_err(), "{content_type:?}");
        }
        for id in ["", "a b", "<a>", "a\r\nb", "\u{fc}"] {
            assert!(
                Attachment::bytes("a", "x").inline(id).prepare().is_err(),
                "{id:?}"
            );
        }
    }

    /// A log that is written to while it is sent: the length was declared, so what is sent must not differ.
    #[test]
    fn a_file_that_changes_while_it_is_sent_is_an_error() {
        let path = std::env::temp_dir().join(format!("exosend-{}", crate::crypto::random::<8>()));
        let written = |after: Option<&[u8]>| {
            std::fs::write(&path, [b'x'; 100_000]).unwrap();
            let attachment = Attachment::file(&path);
            let prepared = attachment.prepare().unwrap();
            match after {
                Some(content) => std::fs::write(&path, content).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            let mut out = Vec::new();
            prepared
                .write_to(&mut out)
                .map(|()| out.len())
                .map_err(|e| e.to_string())
        };
        assert_eq!(
            written(Some(&[b'y'; 100_000])),
            Ok(Base64Lines::length(100_000) as usize)
        );
        let name = path.display().to_string();
        let shorter = written(Some(&[b'x'; 99_999])).unwrap_err();
        assert_eq!(
            shorter,
            format!("{name}: the file became shorter while it was sent")
        );
        let longer = written(Some(&[b'x'; 100_001])).unwrap_err();
        assert_eq!(
            longer,
            format!("{name}: the file became longer while it was sent")
        );
        assert!(written(None).unwrap_err().starts_with(&name));
    }
}
