//! The same with lettre, and the token by ureq: one note; `attach FILE`; `session COUNT`.

use std::env::var;
use std::error::Error;

use lettre::message::{Attachment, MultiPart, SinglePart, header::ContentType};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, SmtpConnection, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message, SmtpTransport, Transport};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let pem = std::fs::read(var("EXOSEND_CA_FILE")?)?;
    let mailbox = var("EXOSEND_MAILBOX")?;
    let token = match var("TOKEN") {
        Ok(token) => token,
        Err(_) => fetch(&pem)?,
    };
    let login = Credentials::new(mailbox, token);
    let tls = TlsParameters::builder("localhost".to_owned())
        .add_root_certificate(Certificate::from_pem(&pem)?)
        .build()?;
    let server = var("EXOSEND_SERVER")?;
    let port = server.rsplit(':').next().unwrap_or_default().parse()?;

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // One connection without a pool: lettre's says NOOP before each message, a round trip more.
        ["session", count] => {
            let address = ("localhost", port);
            let name = ClientId::default();
            let mut connection = SmtpConnection::connect(address, None, &name, None, None)?;
            connection.starttls(&tls, &name)?;
            connection.auth(&[Mechanism::Xoauth2], &login)?;
            for _ in 0..count.parse()? {
                let message = text(160)?;
                connection.send(message.envelope(), &message.formatted())?;
            }
            connection.quit()?;
        }
        _ => {
            let message = match arguments.get(1) {
                Some(file) => with_file(file)?,
                None => text(16)?,
            };
            SmtpTransport::starttls_relay("localhost")?
                .port(port)
                .tls(Tls::Required(tls))
                .credentials(login)
                .authentication(vec![Mechanism::Xoauth2])
                .build()
                .send(&message)?;
        }
    }
    Ok(())
}

fn fetch(pem: &[u8]) -> Result<String> {
    let root = ureq::tls::Certificate::from_pem(pem)?;
    let roots = ureq::tls::RootCerts::new_with_certs(&[root]);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .tls_config(ureq::tls::TlsConfig::builder().root_certs(roots).build())
        .build()
        .into();
    let (authority, tenant) = (var("EXOSEND_AUTHORITY")?, var("EXOSEND_TENANT")?);
    let answer = agent
        .post(format!("{authority}/{tenant}/oauth2/v2.0/token"))
        .send_form([
            ("grant_type", "client_credentials"),
            ("client_id", &var("EXOSEND_CLIENT_ID")?),
            ("client_secret", &var("EXOSEND_CLIENT_SECRET")?),
            ("scope", "https://outlook.office365.com/.default"),
        ])?
        .body_mut()
        .read_to_string()?;
    let answer: serde_json::Value = serde_json::from_str(&answer)?;
    Ok(answer["access_token"]
        .as_str()
        .ok_or("no token")?
        .to_owned())
}

fn text(lines: usize) -> Result<Message> {
    let text = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n".repeat(lines);
    Ok(Message::builder()
        .from(var("EXOSEND_MAILBOX")?.parse()?)
        .to("ann@example.com".parse()?)
        .subject("backup done")
        .header(ContentType::TEXT_PLAIN)
        .body(text)?)
}

fn with_file(path: &str) -> Result<Message> {
    let octets = ContentType::parse("application/octet-stream")?;
    let file = Attachment::new("file".to_owned()).body(std::fs::read(path)?, octets);
    let parts = MultiPart::mixed().singlepart(SinglePart::plain("see the file\n".to_owned()));
    Ok(Message::builder()
        .from(var("EXOSEND_MAILBOX")?.parse()?)
        .to("ann@example.com".parse()?)
        .subject("backup done")
        .multipart(parts.singlepart(file))?)
}
