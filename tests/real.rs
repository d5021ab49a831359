//! Through Debian's Postfix and Dovecot, as they are. Needs root and Debian's packages, so it runs on request:
//! `cargo test --test library real:: -- --ignored`.

use crate::exchange;

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exchange::{Exchange, note};
use exosend::{Account, Envelope, ErrorKind, Message, Session, Stage, send_mail};

/// Postfix, and Dovecot's submission service in front of it. Both ask the stand-in about tokens.
struct Servers {
    exchange: Arc<Exchange>,
    folder: PathBuf,
    postfix: u16,
    dovecot: u16,
}

impl Servers {
    fn start() -> Self {
        let exchange = Arc::new(Exchange::start());
        // Not below a home directory, where Postfix's delivery agent may not go.
        let folder = std::env::temp_dir().join(format!("exosend-real-{}", std::process::id()));
        let start = Command::new(script("start"))
            .arg(&folder)
            .env("INTROSPECTION_URL", introspection(&exchange))
            .env("MAILBOX", exchange.mailbox())
            .output()
            .unwrap();
        let (stdout, stderr) = (
            String::from_utf8(start.stdout).unwrap(),
            String::from_utf8_lossy(&start.stderr),
        );
        assert!(start.status.success(), "{stderr}");
        let port = |name: &str| {
            stdout
                .lines()
                .find_map(|line| line.strip_prefix(name)?.parse().ok())
                .unwrap()
        };
        let (postfix, dovecot) = (port("submission_port="), port("dovecot_submission_port="));
        Self {
            exchange,
            folder,
            postfix,
            dovecot,
        }
    }

    fn account(&self, port: u16) -> Account {
        let roots = [
            self.exchange.ca_pem().into_bytes(),
            fs::read(self.folder.join("ca.pem")).unwrap(),
        ]
        .concat();
        self.exchange
            .account()
            .server("localhost", port)
            .root_certificates(roots)
    }

    /// What arrived for this recipient: the server answers before it delivers, so it may take a moment.
    fn arrived(&self, recipient: &str) -> Vec<u8> {
        let folder = self.folder.join("mail").join(recipient).join("new");
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let mut messages = fs::read_dir(&folder)
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().path());
            if let Some(message) = messages.next() {
                assert_eq!(messages.next(), None, "delivered twice");
                return fs::read(message).unwrap();
            }
            assert!(Instant::now() < patience, "nothing for {recipient}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Where Dovecot asks about tokens (RFC 7662): those that the stand-in has issued are active.
fn introspection(exchange: &Arc<Exchange>) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/introspect", listener.local_addr().unwrap());
    let exchange = Arc::clone(exchange);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            introspect(client.unwrap(), &exchange).unwrap();
        }
    });
    url
}

fn introspect(client: TcpStream, exchange: &Exchange) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut length = 0;
    loop {
        let mut line = String::new();
        client.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        match line.strip_prefix("content-length: ") {
            Some(octets) => length = octets.parse().unwrap(),
            None if line.is_empty() => break,
            None => (),
        }
    }
    let mut form = vec![0; length];
    client.read_exact(&mut form)?;
    let form = String::from_utf8(form).unwrap();
    let mut fields = form.split('&');
    let token = fields.find_map(|field| field.strip_prefix("token="));
    let mailbox = exchange.mailbox();
    let answer = match token.is_some_and(|token| exchange.knows(token)) {
        true => format!(r#"{{"active":true,"username":"{mailbox}","email":"{mailbox}"}}"#),
        false => r#"{"active":false}"#.to_owned(),
    };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
    let length = answer.len();
    let answer = format!("{head}\r\nContent-Length: {length}\r\n\r\n{answer}");
    client.get_mut().write_all(answer.as_bytes())
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = Command::new(script("stop")).arg(&self.folder).status();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/real")
        .join(name)
}

/// The Maildir ends lines in LF, and the servers put fields in front.
fn assert_arrived(arrived: &[u8], sent: &[u8]) {
    let sent: Vec<u8> = sent.iter().copied().filter(|&b| b != b'\r').collect();
    assert!(
        arrived.ends_with(&sent),
        "sent:\n{}\narrived:\n{}",
        String::from_utf8_lossy(&sent),
        String::from_utf8_lossy(arrived)
    );
}

#[test]
#[ignore = "installs and starts Postfix and Dovecot"]
fn messages_arrive_through_postfix_and_dovecot() {
    let servers = Servers::start();
    for (server, port) in [("postfix", servers.postfix), ("dovecot", servers.dovecot)] {
        let account = servers.account(port);
        a_message_arrives_as_it_was_sent(&servers, &account, server);
        a_raw_text_arrives_as_it_was_sent(&servers, &account, server);
        nothing_in_a_message_ends_it(&servers, &account, server);
        several_recipients_and_messages(&servers, &account, server);
        refused_and_deferred_recipients(&account);
        an_unknown_token_is_refused_with_535(&account);
    }
}

/// The token is 2,012 bytes long: both servers take it in two steps only.
fn a_message_arrives_as_it_was_sent(servers: &Servers, account: &Account, server: &str) {
    let to = format!("{server}-message");
    let message = Message::new()
        .from("Backup \u{2713} <robot@contoso.com>")
        .to(format!("{to}@example.com"))
        .subject("\u{5831}\u{544a}")
        .header("Date", "Tue, 24 Nov 2026 09:00:00 +0000")
        .text(".\n..\n.dots\n\u{fc}\n");
    send_mail(account, &message).unwrap();
    let mut sent = Vec::new();
    message.write_to(&mut sent).unwrap();
    assert_arrived(&servers.arrived(&to), &sent);
}

fn a_raw_text_arrives_as_it_was_sent(servers: &Servers, account: &Account, server: &str) {
    let to = format!("{server}-raw");
    let line = |n: usize| format!("{n}: \u{fc} .\r\n.{}\r\n", "x".repeat(n % 70));
    let text = format!(
        "From: robot@contoso.com\r\nSubject: raw\r\n\r\n{}",
        (0..5000).map(line).collect::<String>()
    );
    let mut session = Session::open(account).unwrap();
    let envelope = Envelope::new("robot@contoso.com").to(format!("{to}@example.com"));
    session.send_raw(&envelope, text.as_bytes()).unwrap();
    session.quit();
    assert_arrived(&servers.arrived(&to), text.as_bytes());
}

/// SMTP smuggling: if any of these ended the message for the server, what follows would be commands.
fn nothing_in_a_message_ends_it(servers: &Servers, account: &Account, server: &str) {
    let (to, eve) = (format!("{server}-smuggled"), format!("{server}-eve"));
    let mut text = String::from("From: robot@contoso.com\n\nhello\n");
    for end in [
        "\n.\n",
        "\r.\r",
        "\r\n.\r\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r\n.\r",
        "\r.\r\n",
        "\r\r\n.\r\r\n",
    ] {
        text.push_str(end);
        text.push_str(&format!(
            "MAIL FROM:<robot@contoso.com>\r\nRCPT TO:<{eve}@example.com>\r\nDATA\r\nforged\r\n"
        ));
    }
    let mut session = Session::open(account).unwrap();
    let envelope = Envelope::new("robot@contoso.com").to(format!("{to}@example.com"));
    session.send_raw(&envelope, text.as_bytes()).unwrap();
    session.quit();
    let arrived = servers.arrived(&to);
    assert!(String::from_utf8_lossy(&arrived).matches("forged").count() == 8);
    assert!(!servers.folder.join("mail").join(&eve).exists(), "smuggled");
}

fn several_recipients_and_messages(servers: &Servers, account: &Account, server: &str) {
    let mut session = Session::open(account).unwrap();
    for n in 0..3 {
        let names: Vec<_> = (0..150).map(|m| format!("{server}-{n}-{m}")).collect();
        let message = names
            .iter()
            .fold(Message::new().text("x"), |message, name| {
                message.bcc(format!("{name}@example.com"))
            });
        session.send(&message).unwrap();
        servers.arrived(&names[0]);
        servers.arrived(&names[149]);
    }
    session.quit();
}

fn refused_and_deferred_recipients(account: &Account) {
    let mut session = Session::open(account).unwrap();
    let refused = session.send(&note().cc("refused@example.com")).unwrap_err();
    assert_eq!(
        (refused.kind(), refused.reply().unwrap().code()),
        (ErrorKind::Refused, 550)
    );
    assert_eq!(refused.refused()[0].address(), "refused@example.com");
    let later = session
        .send(&Message::new().to("later@example.com").text("x"))
        .unwrap_err();
    assert_eq!(
        (later.kind(), later.is_transient()),
        (ErrorKind::Deferred, true)
    );
    let receipt = session
        .send(&note().cc("refused@example.com").partial(true))
        .unwrap();
    assert_eq!(receipt.refused().len(), 1);
    session.quit();
}

/// Both refuse with a 334 and the reason, and want an empty line before their 535.
fn an_unknown_token_is_refused_with_535(account: &Account) {
    let stranger = Exchange::start();
    let account = account.clone().authority(stranger.authority());
    let error = send_mail(&account, &note()).unwrap_err();
    assert_eq!(
        (error.kind(), error.stage()),
        (ErrorKind::Auth, Stage::Auth)
    );
    assert_eq!(error.reply().unwrap().code(), 535);
    assert!(
        error.to_string().contains("(reason: {\"status\":\"401\""),
        "{error}"
    );
}
