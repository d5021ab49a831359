//! As much of HTTP/1.1 as token requests and Graph need.

use std::io::Read;

use super::channel::Channel;

/// The requests of one connection, one after another.
pub(super) struct Requests {
    pub(super) channel: Channel,
    input: Vec<u8>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method: `POST` to Entra, `GET` to a managed identity's endpoint.
    pub method: String,
    /// The path and query.
    pub target: String,
    /// All header fields.
    pub headers: Vec<(String, String)>,
    /// The fields of the form; of the query, if the body is none.
    pub form: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A field of the form or of the query.
    pub fn field(&self, name: &str) -> Option<&str> {
        let named = self.form.iter().find(|(field, _)| field == name);
        named.map(|(_, value)| value.as_str())
    }

    /// A header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let named = headers.find(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// The path alone.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The request with the length of its secrets, as `[40 octets]`, in their place.
    pub(super) fn without(&self, secrets: &[&str]) -> Self {
        let mut shown = self.clone();
        for (name, value) in shown.headers.iter_mut().chain(&mut shown.form) {
            if secrets
                .iter()
                .any(|secret| name.eq_ignore_ascii_case(secret))
            {
                *value = format!("[{} octets]", value.len());
            }
        }
        shown
    }
}

impl Requests {
    pub(super) fn new(channel: Channel) -> Self {
        let input = Vec::new();
        Self { channel, input }
    }

    /// The next one, or `None` when the client went or does not speak HTTP.
    pub(super) fn next(&mut self) -> Option<Request> {
        let (mut request, head) = loop {
            match parse(&self.input) {
                Ok(Some(parsed)) => break parsed,
                Ok(None) => self.fill()?,
                Err(_) => return None,
            }
        };
        let length = request.header("Content-Length");
        let length = length.map_or(Some(0), |length| length.trim().parse().ok())?;
        while self.input.len() < head + length {
            self.fill()?;
        }
        let body: Vec<u8> = self.input.drain(..head + length).skip(head).collect();
        let media_type = request.header("Content-Type").unwrap_or_default();
        if media_type.starts_with("application/x-www-form-urlencoded") {
            request.form = fields(&String::from_utf8_lossy(&body));
        } else {
            request.body = body;
        }
        Some(request)
    }

    fn fill(&mut self) -> Option<()> {
        let mut chunk = [0; 16 * 1024];
        let n = self.channel.read(&mut chunk).ok().filter(|&n| n > 0)?;
        self.input.extend_from_slice(&chunk[..n]);
        Some(())
    }
}

/// The head of a request and its length, if it is all there.
fn parse(input: &[u8]) -> Result<Option<(Request, usize)>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = parsed.parse(input)? else {
        return Ok(None);
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = parsed.headers.iter();
    let target = parsed.path.unwrap_or_default();
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: target.to_owned(),
        headers: headers
            .map(|h| (h.name.to_owned(), text(h.value)))
            .collect(),
        form: fields(query),
        body: Vec::new(),
    };
    Ok(Some((request, head)))
}

fn fields(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// `+` is a space, `%41` an A.
fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    let mut parts = spaced.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).expect("two digits behind a %");
        bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal digits"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("UTF-8")
}
