//! A user's machine with a queue of its own, whose clock stands still until a test moves it.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::exchange::{Delivered, Exchange};
use crate::machine::{Arguments, Machine, Run, finish, words};

pub(crate) struct Queue {
    pub(crate) machine: Machine,
    /// On the build's disk: a temporary folder may be in memory, where messages are not queued first.
    spool: PathBuf,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self::with(Exchange::start())
    }

    pub(crate) fn with(exchange: Exchange) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "spool-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let spool = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&spool);
        let queue = Self {
            machine: Machine::with(exchange),
            spool,
        };
        queue.configure("");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        queue.set_clock("first", 1_000, now.unwrap().as_secs());
        queue
    }

    /// The account, the spool, and more lines.
    pub(crate) fn configure(&self, more: &str) {
        let log = self.machine.path("log");
        let more = format!(
            "spool = {}\nlog = {}\n{more}",
            self.spool.display(),
            log.display()
        );
        self.machine.configure(&more);
    }

    /// A command with the test's clock, by which a submit starts no run: the test does.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = self.machine.command(name);
        command.env("QUEUE_TEST_CLOCK", self.machine.path("clock"));
        command
    }

    pub(crate) fn exosend(&self, arguments: impl Arguments, input: impl AsRef<[u8]>) -> Run {
        finish(self.command("exosend").args(arguments.words()), input)
    }

    pub(crate) fn call(&self, line: &str, input: impl AsRef<[u8]>) -> Run {
        let words = words(line);
        finish(self.command(&words[0]).args(&words[1..]), input)
    }

    /// Queues a message. Exit code 0, and no output.
    #[track_caller]
    pub(crate) fn submit(&self, to: impl Arguments, input: impl AsRef<[u8]>) {
        let run = finish(self.command("sendmail").args(to.words()), input);
        run.exits(0).out("").err("");
    }

    /// Queues a message, and has it given up: Exchange refuses it for good.
    #[track_caller]
    pub(crate) fn give_up(&self) {
        self.exchange
            .says_nth(1, "Accept 554 5.6.0 Corrupt message content");
        self.submit("ann@example.com", NOTE);
        assert_eq!((self.run(), self.count("failed")), (0, 1));
    }

    /// The exit code of one run, which prints nothing.
    pub(crate) fn run(&self) -> i32 {
        self.run_with(&[])
    }

    pub(crate) fn run_now(&self) -> i32 {
        self.run_with(&["--now"])
    }

    fn run_with(&self, more: &[&str]) -> i32 {
        let run = finish(
            self.command("exosend").args(["queue", "run"]).args(more),
            "",
        );
        run.out("").err("");
        run.code
    }

    /// One run that dies at a place, as by `kill -9`.
    pub(crate) fn run_dying_at(&self, place: &str) {
        let mut command = self.command("exosend");
        let status = command
            .args(["queue", "run"])
            .env("QUEUE_TEST_DIE", place)
            .status()
            .unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9),
            "{place}"
        );
    }

    /// All messages that arrived, none of which broke a rule of the stand-in's.
    pub(crate) fn arrived(&self) -> Vec<Delivered> {
        let exchange = self.machine.exchange.settle();
        assert_eq!(exchange.violations(), [""; 0]);
        exchange.delivered()
    }

    /// How many entries a folder of the spool has.
    pub(crate) fn count(&self, folder: &str) -> usize {
        std::fs::read_dir(self.path(folder)).map_or(0, Iterator::count)
    }

    /// The messages that wait, in all folders.
    pub(crate) fn waiting(&self) -> usize {
        ["drop", "queue", "work/1", "work/2", "work/3", "held"]
            .iter()
            .map(|folder| self.count(folder))
            .sum()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.spool.join(name)
    }

    /// The only file in a folder.
    pub(crate) fn only(&self, folder: &str) -> PathBuf {
        let mut files = std::fs::read_dir(self.path(folder)).unwrap();
        let file = files.next().expect("a file").unwrap().path();
        assert!(files.next().is_none(), "more than one");
        file
    }

    /// The log's lines about one kind of event, without their time.
    pub(crate) fn log(&self, event: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.machine.path("log")).unwrap_or_default();
        let lines = log.lines().filter_map(|line| line.split_once(' '));
        let event = format!("event={event} ");
        lines
            .map(|(_, line)| line.to_owned())
            .filter(|line| line.starts_with(&event))
            .collect()
    }

    pub(crate) fn set_clock(&self, boot: &str, up: u64, wall: u64) {
        let text = format!("{boot} {} {}", up * 1000, wall * 1000);
        std::fs::write(self.machine.path("clock"), text).unwrap();
    }

    pub(crate) fn clock(&self) -> (String, u64, u64) {
        let text = std::fs::read_to_string(self.machine.path("clock")).unwrap();
        let words: Vec<_> = text.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().unwrap() / 1000;
        (words[0].to_owned(), number(words[1]), number(words[2]))
    }

    pub(crate) fn pass(&self, time: Duration) {
        let (boot, up, wall) = self.clock();
        self.set_clock(&boot, up + time.as_secs(), wall + time.as_secs());
    }
}

impl Deref for Queue {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.spool);
    }
}

pub(crate) const NOTE: &str =
    "To: Ann <ann@example.com>\nSubject: hello\nBcc: eve@example.com\n\nhello\n.\nbye\n";

pub(crate) fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// Within half a minute.
pub(crate) fn await_that(it_is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !it_is() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(10));
    }
}
