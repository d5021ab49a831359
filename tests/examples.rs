//! The examples, run as a user runs them, with the stand-in in their environment.

use crate::exchange;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Once;

use exchange::Exchange;

/// Cargo, for the same target folder. Without the variables that tell tests of their package: build scripts depend on
/// them, so everything would be built anew, here and at the next call.
pub(crate) fn cargo(what: &str) -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_MANIFEST_")
            || name.to_string_lossy().starts_with("CARGO_PKG_")
        {
            cargo.env_remove(name);
        }
    }
    cargo.args([what, "--quiet", "--locked", "--target-dir"]);
    cargo.arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo
}

/// An example's program, built here: `cargo test --test library` builds no examples, and an old one could be run.
fn example(name: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    BUILT.call_once(|| {
        let mut cargo = cargo("build");
        cargo.arg("--examples");
        if cfg!(feature = "cli") {
            cargo.arg("--all-features");
        }
        assert!(cargo.status().unwrap().success());
    });
    target.join("debug/examples").join(name)
}

/// Everything that an account needs, as EXOSEND_* variables.
fn with_account<'c>(
    command: &'c mut Command,
    exchange: &Exchange,
    folder: &Path,
) -> &'c mut Command {
    let roots = folder.join("ca.pem");
    std::fs::write(&roots, exchange.ca_pem()).unwrap();
    command
        .envs(exchange.place())
        .envs(exchange.application())
        .env("EXOSEND_CA_FILE", roots)
}

fn run(exchange: &Exchange, name: &str, arguments: &[&str], input: &str) -> Output {
    let folder =
        std::env::temp_dir().join(format!("exosend-example-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new(example(name));
    let command = with_account(&mut command, exchange, &folder).args(arguments);
    let pipes = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[test]
fn send_prints_the_reply_and_the_transcript() {
    let exchange = Exchange::start();
    let output = run(&exchange, "send", &["bob@example.com"], "");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("250 2.0.0 OK"));
    let transcript = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        transcript.contains("C: [2732 bytes of login]\n") && transcript.contains("S: 235 2.7.0")
    );
    assert_eq!(exchange.settle().delivered()[0].to, ["bob@example.com"]);
}

#[test]
fn send_without_an_account_sends_to_the_stand_in_and_says_so() {
    let output = Command::new(example("send")).env_clear().output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    assert!(
        text.contains("It works.")
            && text.contains("This was the stand-in")
            && text.contains("EXOSEND_TENANT")
    );
}

#[test]
fn send_with_half_an_account_names_the_missing_variables() {
    let output = Command::new(example("send"))
        .env_clear()
        .env("EXOSEND_TENANT", "contoso.com")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for variable in [
        "EXOSEND_MAILBOX",
        "EXOSEND_CLIENT_ID",
        "EXOSEND_CLIENT_SECRET",
    ] {
        assert!(text.contains(variable), "{text}");
    }
    assert!(!text.contains("stand-in") && output.stdout.is_empty());
}

#[test]
fn batch_goes_on_after_refused_and_malformed_recipients() {
    let exchange = Exchange::builder()
        .refuse("bob@example.com", "550 5.1.10 no")
        .start();
    run(
        &exchange,
        "batch",
        &[],
        "ann@example.com\nbob@example.com\nno address\ncid@example.com\n",
    );
    let to: Vec<_> = exchange
        .settle()
        .delivered()
        .into_iter()
        .flat_map(|message| message.to)
        .collect();
    assert_eq!(to, ["ann@example.com", "cid@example.com"]);
}

#[test]
fn raw_sends_standard_input_unchanged() {
    let exchange = Exchange::start();
    run(
        &exchange,
        "raw",
        &["ann@example.com"],
        "From: robot@contoso.com\nSubject: raw\n\n.\n",
    );
    assert_eq!(
        exchange.settle().delivered()[0].text(),
        "From: robot@contoso.com\r\nSubject: raw\r\n\r\n.\r\n"
    );
}

#[test]
fn report_attaches_a_chart_and_the_named_file() {
    let exchange = Exchange::start();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("LICENSE-MIT");
    run(
        &exchange,
        "report",
        &["ops@example.com", file.to_str().unwrap()],
        "",
    );
    let arrived = exchange.settle().delivered()[0].data.clone();
    let parsed = mail_parser::MessageParser::default()
        .parse(&arrived)
        .unwrap();
    let attached: Vec<_> = parsed
        .attachments()
        .map(mail_parser::MimeHeaders::attachment_name)
        .collect();
    assert_eq!(attached, [Some("chart.svg"), Some("LICENSE-MIT")]);
    assert_eq!(
        parsed.attachments().last().unwrap().contents(),
        std::fs::read(file).unwrap()
    );
}

#[test]
fn stand_in_prints_an_account_and_what_was_delivered() {
    let mut stand_in = Command::new(example("stand_in"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(stand_in.stdout.take().unwrap()).lines();
    let mut program = Command::new(example("from_env"));
    program.env_clear().stdout(Stdio::null());
    for line in said.by_ref() {
        let line = line.unwrap();
        let (name, value) = line.split_once('=').unwrap();
        program.env(name, value);
        if name == "EXOSEND_CA_FILE" {
            break;
        }
    }
    assert!(program.status().unwrap().success());
    drop(stand_in.stdin.take());
    let rest: Vec<_> = said.map(Result::unwrap).collect();
    assert!(stand_in.wait().unwrap().success());
    assert!(rest.contains(&"to ops@example.com".to_owned()), "{rest:?}");
}
