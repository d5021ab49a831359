//! Every string that a caller can give is attacked with what could make two lines or two addresses of one. It is refused
//! before the first byte leaves, or is sent encoded, so that it does no harm.

use crate::exchange;

use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use exchange::Exchange;
use exosend::{
    Account, Attachment, Envelope, Error, ErrorKind, Message, Receipt, Session, send_mail,
};

/// Each thread has a stand-in of its own, and an account whose token is asked for once.
struct Own;

static EXCHANGE: Own = Own;

thread_local! {
    static OWN: &'static (Exchange, Account) = {
        let exchange = Exchange::start();
        let account = exchange.account();
        Box::leak(Box::new((exchange, account)))
    };
}

impl Deref for Own {
    type Target = Exchange;

    fn deref(&self) -> &Exchange {
        OWN.with(|own| &own.0)
    }
}

/// Sends something in which one string is the attack.
type Attempt = fn(&str) -> Result<Receipt, Error>;

/// Each function of the public interface that takes a string, path or bytes, a value that is right for it, and the sending.
/// Whoever adds a setter adds its row.
const SETTERS: &[(&str, &str, Attempt)] = &[
    ("Account::new", "robot@contoso.com", |v| {
        by(&like(Account::new(v)))
    }),
    ("Account::tenant", "contoso.onmicrosoft.com", |v| {
        by(&EXCHANGE.account().tenant(v))
    }),
    (
        "Account::client_id",
        "6731de76-14a6-49ae-97bc-6eba6914391e",
        |v| by(&EXCHANGE.account().client_id(v)),
    ),
    (
        "Account::client_secret",
        "Stand8Q~in&secret+value=with%odd~letters",
        |v| by(&EXCHANGE.account().client_secret(v)),
    ),
    ("Account::client_secret_file", "/nonexistent", |v| {
        by(&EXCHANGE.account().client_secret_file(v))
    }),
    ("Account::client_certificate", "", |v| {
        by(&EXCHANGE.account().client_certificate(v))
    }),
    ("Account::client_certificate_file", "/nonexistent", |v| {
        by(&EXCHANGE.account().client_certificate_file(v))
    }),
    ("Account::federated_token_file", "/nonexistent/token", |v| {
        by(&EXCHANGE.account().federated_token_file(v))
    }),
    #[cfg(feature = "login")]
    ("Account::login_file", "/nonexistent/login", |v| {
        by(&EXCHANGE.account().login_file(v))
    }),
    ("Account::access_token", "ey.J0.x", |v| {
        by(&EXCHANGE.account().access_token(v))
    }),
    ("Account::server", "localhost", |v| {
        by(&EXCHANGE.account().server(v, EXCHANGE.port()))
    }),
    ("Account::authority", "https://localhost", |v| {
        by(&EXCHANGE
            .account()
            .authority(v.replace("localhost", &EXCHANGE.authority()[8..])))
    }),
    (
        "Account::scope",
        "https://outlook.office365.com/.default",
        |v| by(&EXCHANGE.account().scope(v)),
    ),
    ("Account::ehlo_name", "host.example.com", |v| {
        by(&EXCHANGE.account().ehlo_name(v))
    }),
    ("Account::root_certificates", "", |v| {
        by(&EXCHANGE.account().root_certificates(EXCHANGE.ca_pem() + v))
    }),
    ("Account::token_cache", "cache", |v| {
        by(&EXCHANGE.account().token_cache(scratch().join(v)))
    }),
    ("Account::set", "", |v| {
        let unknown = format!("mailbox{v}");
        assert!(EXCHANGE.account().set(&unknown, "x").is_err());
        let mut last = by(&EXCHANGE.account());
        for key in Account::keys() {
            let mut account = EXCHANGE.account();
            #[cfg(feature = "graph")]
            if key == "graph_endpoint" {
                account = EXCHANGE.graph_account();
            }
            // Where tokens are kept may be any path, and has a row of its own.
            if key != "token_cache" {
                last = account.set(key, v).and_then(|()| by(&account));
                assert!(last.is_err(), "{key}");
            }
        }
        last
    }),
    ("Account::from_layers", "robot@contoso.com", |v| {
        assert!(Account::from_layers([[(v, "x")]], false).is_err());
        let layer = [("mailbox", v), ("client_secret", "x")];
        by(&like(Account::from_layers([layer], false)?))
    }),
    ("Message::from", "robot@contoso.com", |v| {
        send(note().from(v))
    }),
    ("Message::to", "ann@example.com", |v| send(note().to(v))),
    ("Message::cc", "Ann <ann@example.com>", |v| {
        send(note().cc(v))
    }),
    ("Message::bcc", "\"Ann\" <ann@example.com>", |v| {
        send(note().bcc(v))
    }),
    ("Message::reply_to", "ann@example.com", |v| {
        send(note().reply_to(v))
    }),
    ("Message::subject", "hello", |v| send(note().subject(v))),
    ("Message::text", "hello", |v| send(note().text(v))),
    ("Message::html", "<p>hello</p>", |v| send(note().html(v))),
    ("Message::header", "X-Kind", |v| {
        send(note().header(v, "x"))?;
        send(note().header("X-Value", v))?;
        send(note().header("Message-ID", format!("<{v}@contoso.com>")))?;
        send(note().header("Date", v))
    }),
    (
        "Attachment::file",
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        |v| send(note().attach(Attachment::file(v))),
    ),
    ("Attachment::bytes", "a.txt", |v| {
        send(note().attach(Attachment::bytes(v, "x")))?;
        send(note().attach(Attachment::bytes("a.txt", v)))
    }),
    ("Attachment::name", "a.txt", |v| {
        send(note().attach(Attachment::bytes("b", "x").name(v)))
    }),
    (
        "Attachment::content_type",
        "text/plain; charset=utf-8",
        |v| send(note().attach(Attachment::bytes("b", "x").content_type(v))),
    ),
    ("Attachment::inline", "chart", |v| {
        send(
            note()
                .html("x")
                .attach(Attachment::bytes("b", "x").inline(v)),
        )
    }),
    ("Envelope::new", "robot@contoso.com", |v| {
        raw(&Envelope::new(v).to("ann@example.com"), "Subject: x\n\nx\n")
    }),
    ("Envelope::to", "ann@example.com", |v| {
        raw(
            &Envelope::new("robot@contoso.com").to(v),
            "Subject: x\n\nx\n",
        )
    }),
];

/// The right value with each attack before it, behind it and within it.
fn attacks(right: &str) -> BTreeSet<String> {
    let long = "x".repeat(100_000);
    let mut attacks = BTreeSet::from([
        long.clone(),
        format!("{right} {long}"),
        format!("{long}@example.com"),
    ]);
    for evil in [
        "\r\nRCPT TO:<eve@example.com>",
        "\nX-Eve: 1",
        "\rX-Eve: 1",
        "\r\n\r\nX-Eve: 1",
        "\r\n.\r\nMAIL FROM:<eve@example.com>\r\n",
        "\n.\nQUIT\n",
        "\r",
        "\n",
        "\r\n",
        "\0",
        "\0\r\nX-Eve: 1",
        "> SIZE=1\r\n",
        ">\r\nRCPT TO:<eve@example.com",
        "<eve@example.com>",
        ", <eve@example.com>",
        ",eve@example.com",
        "\u{2028}X-Eve: 1",
        "\u{85}X-Eve: 1",
        "\u{202e}",
        "\x01auth=Bearer x\x01\x01",
        "&client_id=eve",
        "?eve#eve",
        "/../eve",
        "%0d%0aX-Eve:%201",
        "=?utf-8?q?=0d=0aX-Eve:_1?=",
        "\"; name=\"eve",
        "\\\"",
    ] {
        attacks.extend([format!("{right}{evil}"), format!("{evil}{right}")]);
        let (before, after) = right.split_at(right.len() / 2);
        attacks.insert(format!("{before}{evil}{after}"));
    }
    attacks
}

#[test]
fn no_string_makes_a_line_or_an_address_of_its_own() {
    let (rows, cases) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let run = || {
        while let Some((name, right, attempt)) = SETTERS.get(rows.fetch_add(1, Relaxed)) {
            for attack in attacks(right) {
                EXCHANGE.settle().forget();
                let result = attempt(&attack);
                let what = format!("{name}({:.200})", format!("{attack:?}"));
                judge(&what, name, &result);
                cases.fetch_add(1, Relaxed);
            }
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(run))));
    println!("{cases:?} strings");
    std::fs::remove_dir_all(scratch()).unwrap();
}

fn judge(what: &str, name: &str, result: &Result<Receipt, Error>) {
    let lines = EXCHANGE.settle().transcript();
    let requests = EXCHANGE.token_requests();
    assert_eq!(EXCHANGE.violations(), [""; 0], "{what}");
    for line in lines.iter().filter(|line| line.starts_with("C: ")) {
        // All that the client may say, and to no other recipients.
        let verb = line[3..].split([' ', ':']).next().unwrap();
        let known = [
            "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "RSET", "QUIT",
        ];
        assert!(
            known.contains(&verb) || line.starts_with("C: ["),
            "{what}: {line}"
        );
        assert!(!line.contains("<eve@example.com>"), "{what}: {line}");
    }
    for request in &requests {
        assert_eq!(request.method, "POST", "{what}");
        assert!(
            request.target.ends_with("/oauth2/v2.0/token"),
            "{what}: {}",
            request.target
        );
        assert!(request.header("X-Eve").is_none(), "{what}");
        let fields: Vec<_> = request
            .form
            .iter()
            .map(|(field, _)| field.as_str())
            .collect();
        assert_eq!(
            fields.iter().collect::<BTreeSet<_>>().len(),
            fields.len(),
            "{what}"
        );
        assert!(fields.len() <= 5, "{what}: {fields:?}");
    }
    if let Some(mail) = EXCHANGE.delivered().last() {
        let text = mail.text();
        // The body of a message may hold anything.
        let body = ["Message::text", "Message::html"].contains(&name);
        let looked_at = if body {
            text.split("\r\n\r\n").next().unwrap()
        } else {
            &text
        };
        for line in looked_at.split("\r\n") {
            assert!(
                !line.starts_with("X-Eve:") && !line.starts_with("Bcc:"),
                "{what}: {text}"
            );
            assert!(
                !line.contains(['\r', '\n', '\0']) || body,
                "{what}: {line:?}"
            );
            assert!(line.len() <= 998, "{what}: {} bytes in a line", line.len());
        }
    }
    if let Err(error) = result {
        let text = error.to_string();
        assert!(!text.chars().any(char::is_control), "{what}: {text:?}");
        // Some rows send more than once, and a session is open before its envelope is checked.
        let several = ["Account::set", "Message::header", "Attachment::bytes"];
        let opened = name.starts_with("Envelope::") || several.contains(&name);
        if error.kind() == ErrorKind::Input && !opened {
            // A greeting may still come for a connection that was given up before.
            let said = lines.iter().any(|line| line.starts_with("C: "));
            assert!(!said && requests.is_empty(), "{what}: {lines:?}");
        }
        if error.kind() == ErrorKind::Input && name.starts_with("Envelope::") {
            assert!(
                !lines.iter().any(|line| line.starts_with("C: MAIL")),
                "{what}"
            );
        }
    }
}

fn note() -> Message {
    Message::new().to("ann@example.com").subject("hello")
}

#[allow(clippy::needless_pass_by_value)] // reads better where it is called
fn send(message: Message) -> Result<Receipt, Error> {
    send_mail(OWN.with(|own| &own.1), &message)
}

fn by(account: &Account) -> Result<Receipt, Error> {
    send_mail(account, &note())
}

fn raw(envelope: &Envelope, text: &str) -> Result<Receipt, Error> {
    let mut session = Session::open(OWN.with(|own| &own.1))?;
    let result = session.send_raw(envelope, text.as_bytes());
    session.quit();
    result
}

/// The account with all of the stand-in's settings but the mailbox.
fn like(account: Account) -> Account {
    account
        .tenant(EXCHANGE.tenant())
        .client_id(EXCHANGE.client_id())
        .client_secret(EXCHANGE.client_secret())
        .server("localhost", EXCHANGE.port())
        .authority(EXCHANGE.authority())
        .scope(EXCHANGE.scope())
        .root_certificates(EXCHANGE.ca_pem())
}

fn scratch() -> PathBuf {
    let path = std::env::temp_dir().join(format!("exosend-injection-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}
