//! A machine with the command on it: a home, a configuration, and a stand-in for Exchange to send through.

#![allow(unreachable_pub)] // shared by two tests, each of which uses a part
#![allow(dead_code)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::exchange::{Delivered, Exchange};

pub struct Machine {
    pub exchange: Exchange,
    folder: PathBuf,
}

/// The result of a command.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Assertions on the exit code, and on all or a part of the output.
impl Run {
    /// The output without its line breaks.
    pub fn flat(&self) -> String {
        self.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn out(&self, whole: &str) -> &Self {
        assert_eq!(self.stdout, whole, "{}", self.stderr);
        self
    }

    #[track_caller]
    pub fn err(&self, whole: &str) -> &Self {
        assert_eq!(self.stderr, whole);
        self
    }

    #[track_caller]
    pub fn out_has(&self, part: &str) {
        assert!(
            self.stdout.contains(part),
            "no `{part}` in\n{}",
            self.stdout
        );
    }

    #[track_caller]
    pub fn err_has(&self, part: &str) {
        assert!(
            self.stderr.contains(part),
            "no `{part}` in\n{}",
            self.stderr
        );
    }

    #[track_caller]
    pub fn out_begins(&self, part: &str) {
        assert!(self.stdout.starts_with(part), "{}", self.stdout);
    }

    #[track_caller]
    pub fn err_begins(&self, part: &str) {
        assert!(self.stderr.starts_with(part), "{}", self.stderr);
    }
}

impl Machine {
    pub fn new() -> Self {
        Self::with(Exchange::start())
    }

    pub fn with(exchange: Exchange) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "exosend-cli-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        // Left by a run that was killed, and had this process's number.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("home/.config")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_exosend"), folder.join("sendmail")).unwrap();
        let machine = Self { exchange, folder };
        std::fs::write(machine.path("ca.pem"), machine.exchange.ca_pem()).unwrap();
        machine.configure("");
        machine
    }

    /// Writes the user's configuration: the account, and more lines.
    pub fn configure(&self, more: &str) {
        let exchange = &self.exchange;
        // So that a test that fails does not take an hour.
        let timeout = if more.contains("timeout =") {
            ""
        } else {
            "timeout = 20\n"
        };
        // Not into this machine's own syslog.
        let log = if more.contains("log =") {
            ""
        } else {
            "log = none\n"
        };
        let server = if more.contains("server =") {
            String::new()
        } else {
            format!("server = localhost:{}\n", exchange.port())
        };
        let text = format!(
            "mailbox = {}\ntenant = {}\nclient_id = {}\nclient_secret = '{}'\n{server}authority = {}\n\
             ca_file = {}\n{more}\n{timeout}{log}",
            exchange.mailbox(),
            exchange.tenant(),
            exchange.client_id(),
            exchange.client_secret(),
            exchange.authority(),
            self.path("ca.pem").display(),
        );
        self.write("home/.config/exosend.conf", &text);
    }

    /// A file that no other user can read.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        path
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The command under one of its names, without arguments and, except for a home, without an environment.
    pub fn command(&self, name: &str) -> Command {
        let program = match name {
            "exosend" => Path::new(env!("CARGO_BIN_EXE_exosend")).to_owned(),
            "sh" => "/bin/sh".into(),
            name => self.path(name),
        };
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.path("home/.cache"))
            .current_dir(&self.folder);
        command
    }

    /// `exosend` with arguments and a message.
    pub fn run(&self, arguments: impl Arguments, input: impl AsRef<[u8]>) -> Run {
        finish(self.command("exosend").args(arguments.words()), input)
    }

    /// The command under the name that is the first word.
    pub fn call(&self, line: &str, input: impl AsRef<[u8]>) -> Run {
        let words = words(line);
        finish(self.command(&words[0]).args(&words[1..]), input)
    }

    /// Runs each row, `arguments => code error`, with the same stdin. The first line of stderr begins with `error`, and
    /// nothing connects.
    pub fn ends(&self, input: &str, rows: &[&str]) {
        for row in rows {
            let (arguments, end) = row.split_once(" => ").expect("arguments => code error");
            let run = self.run(arguments, input);
            let error = run.stderr.strip_prefix("exosend: ").unwrap_or(&run.stderr);
            let said = format!("{} {error}", run.code);
            assert!(said.starts_with(end), "{row}\n{said}");
        }
        self.nobody_called();
    }

    /// `sendmail` with arguments and a message, which is delivered.
    #[track_caller]
    pub fn sendmail(&self, arguments: impl Arguments, input: impl AsRef<[u8]>) -> Delivered {
        let run = finish(self.command("sendmail").args(arguments.words()), input);
        run.exits(0).out("").err("");
        self.last()
    }

    /// The message that was delivered last.
    pub fn last(&self) -> Delivered {
        assert_eq!(self.exchange.settle().violations(), [""; 0]);
        self.exchange.delivered().pop().expect("a message")
    }

    /// Nothing connected.
    pub fn nobody_called(&self) {
        assert_eq!(self.exchange.settle().transcript(), [""; 0]);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Arguments: a line as for a shell, or a list of words.
pub trait Arguments {
    fn words(self) -> Vec<String>;
}

impl Arguments for &str {
    fn words(self) -> Vec<String> {
        words(self)
    }
}

impl Arguments for &String {
    fn words(self) -> Vec<String> {
        words(self)
    }
}

impl Arguments for &[&str] {
    fn words(self) -> Vec<String> {
        self.iter().map(|&word| word.to_owned()).collect()
    }
}

impl<const N: usize> Arguments for &[&str; N] {
    fn words(self) -> Vec<String> {
        self.as_slice().words()
    }
}

impl Arguments for &Vec<&str> {
    fn words(self) -> Vec<String> {
        self.as_slice().words()
    }
}

/// Splits a line as a shell does, with `'` as the only quote.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut begun) = (String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => (quoted, begun) = (!quoted, true),
            ' ' if !quoted => {
                words.extend(begun.then(|| std::mem::take(&mut word)));
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    words.extend(begun.then_some(word));
    words
}

pub fn finish(command: &mut Command, input: impl AsRef<[u8]>) -> Run {
    let mut child = start(command);
    // A command that does not read the message may have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_ref());
    end(child)
}

pub fn start(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub fn end(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().expect("an exit code"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
