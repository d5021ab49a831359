//! Another process, for what depends on the environment or outlives a process.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use exosend::{Account, send_mail};

use super::exchange::{Exchange, note};

/// Sends a note by the account of its environment, and logs at length.
#[test]
#[ignore = "run by other tests, as a process of its own"]
fn sends_a_note() {
    // ureq_proto prints secrets at trace level, which the documentation warns of.
    env_logger::Builder::new()
        .filter_level(log::LevelFilter::Debug)
        .filter_module("exosend", log::LevelFilter::Trace)
        .init();
    match Account::from_env().and_then(|account| send_mail(&account, &note())) {
        Ok(receipt) => println!("sent: {receipt}"),
        Err(error) => println!("failed: {error:?}"),
    }
}

/// A command that sends a note through this Exchange, with this much of an account in its environment.
pub(super) fn command(
    exchange: &Exchange,
    scratch: &Scratch,
    variables: &[(&str, &str)],
) -> Command {
    let ca = scratch.path("ca.pem");
    if !ca.exists() {
        std::fs::write(&ca, exchange.ca_pem()).unwrap();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "credentials::child::sends_a_note",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env_clear()
        .envs(exchange.place())
        .env("EXOSEND_CA_FILE", ca)
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// All output of the process.
pub(super) fn everything(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// `sent: ...` or `failed: ...`.
pub(super) fn outcome(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text
        .split_once("sent: ")
        .map(|(_, rest)| format!("sent: {rest}"));
    let line = line.or_else(|| {
        text.split_once("failed: ")
            .map(|(_, rest)| format!("failed: {rest}"))
    });
    line.unwrap_or_else(|| panic!("neither sent nor failed: {text}"))
}

/// A temporary directory.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("exosend-credentials-{}-{count}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        // Left by a run that was killed, and had this process's number.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        Self(directory)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(content.as_ref()).unwrap();
        path
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let found = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = found
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
