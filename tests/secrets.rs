//! No secret in anything exosend writes: everything that a run logs, exosend at trace and all others at debug, every error
//! with its sources, and the `Debug` of every public type is searched for them. And none in memory once it is dropped.

mod exchange;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use exchange::{ClientCertificate, Exchange, Fault, Step, note};
use exosend::{
    Account, Attachment, Cloud, Envelope, InitialResponse, Message, Session, Timeouts, Token,
    send_mail,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

static WRITTEN: Mutex<String> = Mutex::new(String::new());

/// At trace `ureq_proto` logs every byte of a response; a program that must not log secrets caps it at debug, as here.
static DEPENDENCIES_AT_DEBUG: AtomicBool = AtomicBool::new(true);

struct Capture;

impl log::Log for Capture {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let target = record.target();
        let capped = DEPENDENCIES_AT_DEBUG.load(Relaxed) && !target.starts_with("exosend");
        // The stand-in, which plays the server, may log what it likes.
        if target != "stand-in" && (record.level() <= log::Level::Debug || !capped) {
            WRITTEN
                .lock()
                .unwrap()
                .push_str(&format!("{}: {}\n", record.target(), record.args()));
        }
    }

    fn flush(&self) {}
}

#[test]
fn logs_and_errors_hold_no_secret() {
    log::set_logger(&Capture).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let exchange = Exchange::builder()
        .client_secret("Q8~marked-client-secret~Q8")
        .start();
    let account = exchange.account();
    let token = Token::fetch(&account).unwrap();
    let message = || {
        Message::new()
            .to("ann@example.com")
            .text("marked message text")
    };

    send_mail(&account, &message()).unwrap();
    let login = STANDARD.encode(format!(
        "user=robot@contoso.com\x01auth=Bearer {}\x01\x01",
        token.secret()
    ));
    let mut errors = Vec::new();
    // Servers that repeat the token. It is a ready one, since after a refusal another would be fetched.
    let ready = account.clone().access_token(token.secret());
    for echo in [token.secret(), &login] {
        exchange.on(
            Step::AuthBlob,
            Fault::reply(&format!("535-5.7.8 what is {echo}?\n535 5.7.8 no")),
        );
        errors.push(send_mail(&ready, &message()).unwrap_err());
    }
    // The same in no reply, in half of one, and in a 334's reason. The reason repeats the token's beginning only: what
    // follows is the same letter again and again, and would be found at any place.
    let reason = STANDARD.encode(format!(
        "{{\"status\":\"401\",\"token\":\"{}\"}}",
        &token.secret()[..100]
    ));
    let (half, rest) = reason.split_at(61);
    for answer in [
        Fault::raw(format!("{}\r\n", token.secret())),
        Fault::raw(format!("what is {login}?\r\n")),
        Fault::raw(format!("535 {}", token.secret())).then_disconnect(),
        Fault::reply(&format!("334 {reason}")),
        Fault::reply(&format!("334-{half}\n334 {rest}")),
    ] {
        exchange.on(Step::AuthBlob, answer);
        errors.push(send_mail(&ready, &message()).unwrap_err());
    }
    errors.push(
        send_mail(
            &account.clone().client_secret("Q9~wrong-client-secret~Q9"),
            &message(),
        )
        .unwrap_err(),
    );
    let session = Session::open(&account);
    let (of_login, shown) = secrets_of_a_login(&mut errors);
    let mut written = format!(
        "{errors:#?}{account:?}{token:?}{session:?}{shown}{}",
        WRITTEN.lock().unwrap()
    );
    for error in &errors {
        let mut source: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = source {
            written.push_str(&format!("{error} {error:?} {error:#?}\n"));
            source = error.source();
        }
    }

    assert!(
        written.contains("C: AUTH XOAUTH2") && written.contains("[withheld: it repeats the token]"),
        "{written}"
    );
    let mut secrets = vec![
        token.secret(),
        &login,
        &reason,
        "marked-client-secret",
        "wrong-client-secret",
        "marked message text",
    ];
    secrets.extend(of_login.iter().map(String::as_str));
    assert_eq!(found(&secrets, &written), [""; 0]);

    // The search does find: without the cap the token is in the log, in rows of sixteen bytes.
    DEPENDENCIES_AT_DEBUG.store(false, Relaxed);
    WRITTEN.lock().unwrap().clear();
    let shown = Token::fetch(&exchange.account()).unwrap();
    let written = WRITTEN.lock().unwrap().clone();
    assert!(!written.contains(shown.secret()));
    assert_eq!(found(&[shown.secret()], &written), [shown.secret()]);
}

#[cfg(not(feature = "login"))]
fn secrets_of_a_login(_: &mut Vec<exosend::Error>) -> (Vec<String>, String) {
    Default::default()
}

/// A user's login and its renewal, also where Entra repeats the secret: the secrets, and the `Debug` of what came back.
#[cfg(feature = "login")]
fn secrets_of_a_login(errors: &mut Vec<exosend::Error>) -> (Vec<String>, String) {
    use exchange::Answer;
    use exosend::login;
    let exchange = Exchange::start();
    let path = std::env::temp_dir().join(format!("exosend-login-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let account = exchange.account().login_file(&path);
    let prompt = login::start(&account).unwrap();
    let mut shown = format!("{prompt:?}{prompt:#?}");
    shown.push_str(&format!("{:?}{account:?}", prompt.wait().unwrap()));
    let token = Token::fetch(&account).unwrap();
    let refused = |secret: &str| {
        let text = format!("what is {secret}?");
        let body = serde_json::json!({ "error": "invalid_grant", "error_description": text });
        Answer::status(400).body(body.to_string())
    };
    exchange.token(refused(exchange.refresh_tokens().last().unwrap()));
    errors.push(Token::fetch(&account).unwrap_err());
    exchange.token(Answer::cut_short());
    errors.push(Token::fetch(&account).unwrap_err());
    exchange.answer_as_usual();
    let prompt = login::start(&account).unwrap();
    exchange.token(refused(exchange.device_codes().last().unwrap()));
    errors.push(prompt.wait().unwrap_err());
    std::fs::write(
        &path,
        format!("exosend login 1\nrefresh_token {}\n", token.secret()),
    )
    .unwrap();
    errors.push(Token::fetch(&account).unwrap_err());
    std::fs::remove_file(&path).unwrap();
    let mut secrets = exchange.refresh_tokens();
    secrets.extend(exchange.device_codes());
    secrets.push(token.secret().to_owned());
    (secrets, shown)
}

/// The secrets whose beginning stands in a text, as it is or in ureq_proto's rows of hex.
fn found<'s>(secrets: &[&'s str], written: &str) -> Vec<&'s str> {
    let rows = written
        .lines()
        .filter_map(|line| line.strip_prefix("ureq_proto::util: "));
    let hex: String = rows
        .filter_map(|row| row.get(..40))
        .flat_map(|row| row.chars().filter(char::is_ascii_hexdigit))
        .collect();
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    let joined = String::from_utf8_lossy(&bytes);
    let stands = |secret: &&&str| {
        let beginning = &secret[..secret.len().min(40)];
        written.contains(beginning) || joined.contains(beginning)
    };
    secrets.iter().filter(stands).copied().collect()
}

const SECRET: &str = "Q8~marked-secret~Q8";

/// Whoever adds a public type says here what its `Debug` may show.
#[test]
fn no_debug_shows_a_secret() {
    const KEY: &str = include_str!("exchange/keys/ec.pem");
    let key = KEY.lines().nth(1).unwrap();
    let exchange = Exchange::builder().client_secret(SECRET).start();
    exchange.says_nth(1, "Rcpt 550 5.1.1 no");
    let account = exchange.account();
    let token = Token::fetch(&account).unwrap();
    let mut session = Session::open(&account).unwrap();
    let message = note();
    let refused = session.send(&message).unwrap_err();
    let receipt = session.send(&message).unwrap();
    let envelope = Envelope::new("robot@contoso.com").to("ann@example.com");
    let accounts = [
        account.clone(),
        account.clone().client_certificate(KEY),
        account.clone().access_token(SECRET),
        account.clone().federated_token_file("/run/token"),
        account.clone().managed_identity(),
    ];
    let shown = [
        ("Account", format!("{accounts:?}{accounts:#?}")),
        ("Attachment", format!("{:?}", Attachment::bytes("a", "b"))),
        ("Cloud", format!("{:?}", Cloud::default())),
        ("Envelope", format!("{envelope:?}")),
        ("Error", format!("{refused:?}")),
        ("ErrorKind", format!("{:?}", refused.kind())),
        ("InitialResponse", format!("{:?}", InitialResponse::Auto)),
        ("Message", format!("{message:?}")),
        ("Receipt", format!("{receipt:?}")),
        ("Refusal", format!("{:?}", refused.refused())),
        ("Reply", format!("{:?}", receipt.reply())),
        ("Session", format!("{session:?}{session:#?}")),
        ("Stage", format!("{:?}", refused.stage())),
        ("Timeouts", format!("{:?}", Timeouts::default())),
        ("Token", format!("{token:?}{token:#?}")),
    ];
    for (name, debug) in &shown {
        assert!(!debug.is_empty());
        let secrets = [SECRET, key, token.secret()];
        assert_eq!(found(&secrets, debug), [""; 0], "{name}");
    }
    let types = include_str!("surface.txt").lines();
    let types: Vec<_> = types.filter(|name| *name != "send_mail").collect();
    assert_eq!(types, shown.map(|(name, _)| name));
}

/// After a refusal `diagnose` returns every type of the advice: checks, causes and places too.
#[cfg(feature = "advice")]
#[test]
fn no_advice_shows_a_secret() {
    use exosend::advice::{Setup, diagnose, explain};
    let exchange = Exchange::builder().client_secret(SECRET).start();
    let account = exchange.account();
    let token = Token::fetch(&account).unwrap();
    exchange.says("AuthBlob 535 5.7.3 Authentication unsuccessful");
    let shown = format!(
        "{:?}{:?}{:?}",
        diagnose(&account, None),
        explain(&format!("AADSTS7000222: {SECRET}")),
        Setup::new(&account).token(&token),
    );
    for name in ["Check {", "Advice {", "Cause {", "Explanation {", "Setup {"] {
        assert!(shown.contains(name), "{shown}");
    }
    assert_eq!(found(&[SECRET, token.secret()], &shown), [""; 0]);
}

/// Another process sends a message, drops everything, and searches its own memory.
#[test]
#[cfg(target_os = "linux")]
fn dropped_secrets_are_wiped_from_memory() {
    let exchange = Exchange::start();
    let ca = std::env::temp_dir().join(format!("exosend-wiped-{}.pem", std::process::id()));
    std::fs::write(&ca, exchange.ca_pem()).unwrap();
    // Made in this process: what makes the certificate leaves copies of the key in memory.
    let pem = ca.with_extension("client");
    std::fs::write(&pem, ClientCertificate::good().pem()).unwrap();
    // The child's environment is part of its memory, so the secret is masked there.
    let hidden: Vec<_> = masked(exchange.client_secret())
        .iter()
        .map(u8::to_string)
        .collect();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_that_drops_its_secrets",
            "--ignored",
            "--nocapture",
        ])
        .env("MASKED_SECRET", hidden.join(","))
        .env("EXOSEND_MAILBOX", exchange.mailbox())
        .env("EXOSEND_TENANT", exchange.tenant())
        .env("EXOSEND_CLIENT_ID", exchange.client_id())
        .env("EXOSEND_SERVER", format!("localhost:{}", exchange.port()))
        .env("EXOSEND_AUTHORITY", exchange.authority())
        .env("EXOSEND_CA_FILE", &ca)
        .env("CLIENT_CERTIFICATE", &pem)
        .output()
        .unwrap();
    std::fs::remove_file(ca).unwrap();
    std::fs::remove_file(pem).unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    assert_eq!(exchange.settle().delivered().len(), 1);
}

#[test]
#[ignore = "run by dropped_secrets_are_wiped_from_memory"]
#[cfg(target_os = "linux")]
fn child_that_drops_its_secrets() {
    let hidden = std::env::var("MASKED_SECRET").unwrap();
    let plain = |n: &str| char::from(n.parse::<u8>().unwrap() ^ MASK);
    let mut secret = String::with_capacity(hidden.len());
    secret.extend(hidden.split(',').map(plain));
    // An allocator writes over the beginning of what is freed.
    let secret_end = masked(&secret[16..]);
    let account = Account::from_env().unwrap().client_secret(secret);
    assert_eq!(in_memory(&secret_end), 1);

    let token = Token::fetch(&account).unwrap();
    let token_piece = masked(&token.secret()[500..560]);
    let mut text = Zeroizing::new(String::with_capacity(4096));
    for part in [
        "user=robot@contoso.com\x01auth=Bearer ",
        token.secret(),
        "\x01\x01",
    ] {
        text.push_str(part);
    }
    let login = Zeroizing::new(STANDARD.encode(text.as_bytes()));
    let login_piece = masked(&login[500..560]);
    assert_eq!(in_memory(&login_piece), 1);
    drop((token, text, login));
    send_mail(&account, &note()).unwrap();
    let kept = in_memory(&token_piece);
    drop(account);
    assert_eq!((in_memory(&secret_end), in_memory(&login_piece)), (0, 0));
    // ureq and rustls free the buffers that the answer came in as they are; what was ours is gone.
    let left = in_memory(&token_piece);
    assert!(left < kept && left <= 2, "{left} of {kept}");

    // A certificate's key: its text, and what the text says. pki-types frees one buffer of base64 as it is.
    let path = std::env::var_os("CLIENT_CERTIFICATE").unwrap();
    let pem = Zeroizing::new(std::fs::read_to_string(path).unwrap());
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map(Zeroizing::new)
        .unwrap();
    let der_piece: Vec<u8> = key.secret_der()[600..640]
        .iter()
        .map(|byte| byte ^ MASK)
        .collect();
    let line = pem
        .split("PRIVATE KEY-----\n")
        .nth(1)
        .unwrap()
        .lines()
        .nth(9)
        .unwrap();
    let pem_piece = masked(line);
    assert!(in_memory(&der_piece) >= 1);
    drop(key);
    let account = Account::from_env()
        .unwrap()
        .client_certificate(pem.as_bytes());
    drop(pem);
    // The stand-in knows no certificate; the key has signed all the same.
    Token::fetch(&account).unwrap_err();
    let kept = in_memory(&pem_piece);
    drop(account);
    assert_eq!(in_memory(&der_piece), 0);
    let left = in_memory(&pem_piece);
    assert!(left < kept, "{left} of {kept}");
}

/// The memory is searched for masked texts, since the search would find its own copy of a plain one.
const MASK: u8 = 0x55;

fn masked(text: &str) -> Vec<u8> {
    text.bytes().map(|byte| byte ^ MASK).collect()
}

/// How often a text, given masked, stands in this process's writable memory.
#[cfg(target_os = "linux")]
fn in_memory(text: &[u8]) -> usize {
    let mut memory = File::open("/proc/self/mem").unwrap();
    let mut block = vec![0; 1 << 20];
    let own = block.as_ptr() as u64..block.as_ptr() as u64 + block.len() as u64;
    let mut found = 0;
    for line in std::fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let (mut from, to) = (
            u64::from_str_radix(from, 16).unwrap(),
            u64::from_str_radix(to, 16).unwrap(),
        );
        while rest.starts_with("rw") && from < to {
            let length = usize::try_from(to - from).unwrap().min(block.len());
            let block = &mut block[..length];
            memory.seek(SeekFrom::Start(from)).unwrap();
            if memory.read_exact(block).is_err() {
                break;
            }
            block.iter_mut().for_each(|byte| *byte ^= MASK);
            let at = block
                .windows(text.len())
                .enumerate()
                .filter(|(_, w)| *w == text);
            found += at
                .filter(|(n, _)| !own.contains(&(from + *n as u64)))
                .count();
            block.fill(0);
            from += length as u64;
        }
    }
    found
}
