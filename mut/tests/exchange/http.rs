//! As much of HTTP/1.1 as a token request needs.

use std::io::Read;

use super::channel::Channel;

/// The requests of one connection, one after another.
pub(super) struct Requests {
    pub(super) channel: Channel,
    input: Vec<u8>,
}

/// One request, whole.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Requests {
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            channel,
            input: Vec::new(),
        }
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
        let length = request
            .header("Content-Length")
            .map_or(Some(0), |length| length.trim().parse().ok())?;
        while self.input.len() < head + length {
            self.fill()?;
        }
        request.body = self.input.drain(..head + length).skip(head).collect();
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
    let field = |header: &httparse::Header<'_>| {
        (
            header.name.to_owned(),
            String::from_utf8_lossy(header.value).into_owned(),
        )
    };
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        headers: parsed.headers.iter().map(field).collect(),
        body: Vec::new(),
    };
    Ok(Some((request, head)))
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let named = self
            .headers
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// The fields of the body; none if it is not said to be a form.
    pub(super) fn form(&self) -> Vec<(String, String)> {
        let content_type = self.header("Content-Type").unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Vec::new();
        }
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// The fields behind the `?`.
    pub(super) fn query(&self) -> Vec<(String, String)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect()
    }
}
