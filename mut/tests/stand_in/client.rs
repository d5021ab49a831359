//! A client of forty lines, for want of an impartial one.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::exchange::Exchange;

pub(crate) trait Stream: Read + Write {
    fn tcp(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn tcp(&self) -> &TcpStream {
        &self.sock
    }
}

/// One connection to the SMTP side.
pub(crate) struct Client {
    pub(crate) stream: Box<dyn Stream>,
}

impl Client {
    pub(crate) fn greeted(exchange: &Exchange) -> io::Result<Self> {
        let mut client = Self {
            stream: Box::new(TcpStream::connect((exchange.host(), exchange.port()))?),
        };
        client.try_reply()?;
        Ok(client)
    }

    pub(crate) fn encrypted(exchange: &Exchange) -> Self {
        let mut client = Self::greeted(exchange).unwrap();
        assert!(client.ask("EHLO test").contains("250-STARTTLS"));
        assert_eq!(client.ask("STARTTLS"), "220 2.0.0 SMTP server ready");
        let mut client = client.start_tls(exchange);
        assert!(client.ask("EHLO test").contains("250-AUTH LOGIN XOAUTH2"));
        client
    }

    pub(crate) fn authenticated(exchange: &Exchange) -> Self {
        let mut client = Self::encrypted(exchange);
        let reply = client.login(exchange.mailbox(), &exchange.issue_token());
        assert_eq!(reply, "235 2.7.0 Authentication successful");
        client
    }

    pub(crate) fn start_tls(self, exchange: &Exchange) -> Self {
        let tcp = self.tcp().try_clone().unwrap();
        Self {
            stream: Box::new(StreamOwned::new(tls(exchange), tcp)),
        }
    }

    pub(crate) fn login(&mut self, mailbox: &str, token: &str) -> String {
        assert_eq!(self.ask("AUTH XOAUTH2"), "334 ");
        self.ask(&blob(mailbox, token))
    }

    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.try_ask(line).unwrap()
    }

    pub(crate) fn try_ask(&mut self, line: &str) -> io::Result<String> {
        self.stream.write_all(format!("{line}\r\n").as_bytes())?;
        self.try_reply()
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn reply(&mut self) -> String {
        self.try_reply().unwrap()
    }

    /// One reply, however many lines, octet by octet: slow, and free of buffers.
    fn try_reply(&mut self) -> io::Result<String> {
        let (mut reply, mut line) = (String::new(), String::new());
        loop {
            let mut octet = [0];
            self.stream.read_exact(&mut octet)?;
            line.push(char::from(octet[0]));
            if let Some(text) = line.strip_suffix("\r\n") {
                reply.push_str(text);
                if text.as_bytes()[3] == b' ' {
                    return Ok(reply);
                }
                reply.push('\n');
                line.clear();
            }
        }
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        self.stream.tcp()
    }
}

/// The XOAUTH2 blob.
pub(crate) fn blob(mailbox: &str, token: &str) -> String {
    BASE64_STANDARD.encode(format!("user={mailbox}\x01auth=Bearer {token}\x01\x01"))
}

/// The answer to a token request, head and body.
pub(crate) fn request(exchange: &Exchange, scope: &str, secret: &str) -> String {
    post(
        exchange,
        &[
            ("grant_type", "client_credentials"),
            ("client_id", exchange.client_id()),
            ("client_secret", secret),
            ("scope", scope),
        ],
    )
}

/// The answer to a request with these fields, head and body.
pub(crate) fn post(exchange: &Exchange, fields: &[(&str, &str)]) -> String {
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let (authority, path) = (exchange.authority(), exchange.token_url());
    let tcp = TcpStream::connect(authority.strip_prefix("https://").unwrap()).unwrap();
    let mut stream = StreamOwned::new(tls(exchange), tcp);
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        path.strip_prefix(&authority).unwrap(),
        authority.strip_prefix("https://").unwrap(),
        form.len()
    );
    stream
        .write_all(format!("{head}{form}").as_bytes())
        .unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn tls(exchange: &Exchange) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(exchange.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    ClientConnection::new(Arc::new(config), exchange.host().try_into().unwrap()).unwrap()
}

/// The answer to a GET in plain HTTP, head and body.
pub(crate) fn get(url: &str, headers: &[(&str, &str)]) -> String {
    plain("GET", url, headers)
}

/// The answer to a request in plain HTTP that has no body.
pub(crate) fn plain(method: &str, url: &str, headers: &[(&str, &str)]) -> String {
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .unwrap();
    let mut head = format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Whether the token in this answer is good for SMTP.
pub(crate) fn logs_in(exchange: &Exchange, answer: &str) -> bool {
    let (_, token) = answer.split_once(r#""access_token":""#).expect(answer);
    let token = token.split('"').next().unwrap();
    let reply = Client::encrypted(exchange).login(exchange.mailbox(), token);
    reply.starts_with("235 ")
}

/// The status and the words that an answer has to hold.
#[track_caller]
pub(crate) fn assert_refused(answer: &str, status: u16, words: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
    assert!(answer.contains(words), "{words} in {answer}");
}
