//! Accounting under load: eight threads, thousands of messages, faults everywhere. What the stand-in has accepted is held
//! against what the clients were told.
//!
//! The clients are a process of their own, so that its descriptors, threads and memory are theirs alone.
//! `EXOSEND_SOAK=20000` sends that many messages instead of 2,000; `EXOSEND_SOAK_SEED=7` draws other faults.
#![cfg(target_os = "linux")]

mod exchange;

use std::collections::HashMap;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use exchange::{Answer, Builder, Exchange, Fault, Step};
use exosend::{Account, Attachment, Error, Message, Receipt, Session, Timeouts, send_mail};
use proptest::prelude::{Rng, RngCore};
use proptest::test_runner::{RngAlgorithm, TestRng};

const THREADS: usize = 8;
/// For how long a silent server is waited for.
const BOUND: Duration = Duration::from_millis(300);

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
}

#[test]
fn each_result_agrees_with_what_the_server_accepted() {
    let messages = number("EXOSEND_SOAK", 2_000);
    let exchange = faulty(messages).start();
    let told = other_process("child_with_eight_threads", &exchange, messages);

    let mut accepted: HashMap<String, Vec<Vec<String>>> = HashMap::new();
    for mail in exchange.settle().delivered() {
        let subject = mail.header("Subject").unwrap();
        assert!(
            mail.text().ends_with(&format!("{subject}, to its end\r\n")),
            "cut: {subject}"
        );
        accepted.entry(subject).or_default().push(mail.to);
    }
    let mut counts = [0; 3];
    let mut lines = 0;
    for line in told.lines().filter_map(|line| line.strip_prefix("@ ")) {
        let (subject, outcome) = line.split_once(' ').unwrap();
        let accepted = accepted.remove(subject).unwrap_or_default();
        lines += 1;
        match outcome.split_once(' ').unwrap_or((outcome, "")) {
            ("ok", to) => {
                counts[0] += 1;
                assert_eq!(accepted.len(), 1, "Ok, and accepted {accepted:?}: {line}");
                assert_eq!(accepted[0].join(","), to, "to others than told: {line}");
            }
            ("doubt", _) => {
                counts[1] += 1;
                assert!(accepted.len() <= 1, "{line}");
            }
            ("no", _) => {
                counts[2] += 1;
                assert!(accepted.is_empty(), "accepted, and not in doubt: {line}");
            }
            _ => panic!("{line}"),
        }
    }
    assert_eq!(lines, messages);
    assert!(
        accepted.is_empty(),
        "accepted, and never sent: {accepted:?}"
    );
    assert_eq!(exchange.violations(), [""; 0]);
    let [ok, doubt, no] = counts;
    println!("{ok} accepted, {doubt} in doubt, {no} not accepted");
    // The faults are many enough, and not all of one kind.
    assert!(
        ok > messages / 10 && doubt > messages / 200 && no > messages / 10,
        "{counts:?}"
    );
    for line in told.lines().filter(|line| line.starts_with("# ")) {
        println!("{line}");
    }
}

/// Runs a test of this file in a process that has the account in its environment, and gives what it printed.
fn other_process(test: &str, exchange: &Exchange, messages: usize) -> String {
    let ca = std::env::temp_dir().join(format!("exosend-{test}-{}.pem", std::process::id()));
    std::fs::write(&ca, exchange.ca_pem()).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("EXOSEND_SOAK", messages.to_string())
        .envs(graph_endpoint(exchange))
        .envs(exchange.place())
        .envs(exchange.application())
        .env("EXOSEND_CA_FILE", &ca)
        .output()
        .unwrap();
    let told = String::from_utf8(child.stdout).unwrap();
    let errors = String::from_utf8_lossy(&child.stderr);
    std::fs::remove_file(&ca).unwrap();
    assert!(child.status.success(), "{told:.2000}\n{errors:.2000}");
    told
}

/// Without the feature `graph` the key is unknown, and an error.
fn graph_endpoint(exchange: &Exchange) -> Option<(&'static str, String)> {
    let endpoint = || ("EXOSEND_GRAPH_ENDPOINT", exchange.graph_endpoint());
    cfg!(feature = "graph").then(endpoint)
}

#[test]
fn a_large_attachment_takes_no_more_memory_than_a_small_one() {
    let exchange = Exchange::builder().discard_bodies().start();
    println!("{}", other_process("child_with_attachments", &exchange, 2));
    let lengths: Vec<_> = exchange
        .settle()
        .delivered()
        .iter()
        .map(|mail| mail.length)
        .collect();
    assert!(lengths[0] < 10_000 && lengths[1] > 32 << 20, "{lengths:?}");
}

#[test]
#[ignore = "run by a_large_attachment_takes_no_more_memory_than_a_small_one"]
fn child_with_attachments() {
    assert_peaks_are_alike(&Account::from_env().unwrap(), 24 << 20, 1024);
}

/// Sends a small attachment and one of `large` bytes; the peak of memory may grow by so many KiB.
fn assert_peaks_are_alike(account: &Account, large: u64, growth: usize) {
    let path = std::env::temp_dir().join(format!("exosend-large-{}", std::process::id()));
    let file = std::fs::File::create(&path).unwrap();
    let peaks = [1 << 10, large].map(|length| {
        file.set_len(length).unwrap();
        send_mail(account, &message(0).attach(Attachment::file(&path))).unwrap();
        status("VmHWM:")
    });
    std::fs::remove_file(path).unwrap();
    println!("{peaks:?} KiB");
    assert!(peaks[1] < peaks[0] + growth, "{peaks:?}");
}

/// Up to the largest that Graph takes.
#[test]
#[cfg(feature = "graph")]
fn a_large_attachment_takes_no_more_memory_by_graph() {
    let exchange = Exchange::start();
    println!(
        "{}",
        other_process("child_with_attachments_by_graph", &exchange, 2)
    );
    let delivered = exchange.delivered();
    assert!(delivered[0].length < 10_000 && delivered[1].length > 2_900_000);
}

#[test]
#[cfg(feature = "graph")]
#[ignore = "run by a_large_attachment_takes_no_more_memory_by_graph"]
fn child_with_attachments_by_graph() {
    let account = Account::from_env().unwrap();
    let account = account.transport(exosend::Transport::Graph);
    let account = account.scope("https://graph.microsoft.com/.default");
    assert_peaks_are_alike(&account, 2_150_000, 512);
}

/// A stand-in where each step of the dialogue goes wrong once in twelve times.
fn faulty(messages: usize) -> Builder {
    let seed = u8::try_from(number("EXOSEND_SOAK_SEED", 1)).unwrap();
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut builder =
        Exchange::builder().refuse("bob@example.com", "550 5.1.10 Recipient not found");
    for step in Step::DIALOGUE {
        for n in 1..=messages {
            if random.random_ratio(1, 12) {
                builder = builder.on_nth(step, n, fault(step, &mut random));
            }
        }
    }
    for n in 1..=messages {
        builder = match random.next_u32() % 24 {
            0 => builder.nth_token(n, Answer::status(503).header("Retry-After", "0")),
            1 => builder.nth_token(n, Answer::reset()),
            2 => builder.nth_token(n, Answer::cut_short()),
            3 => builder.nth_token(
                n,
                Answer::aadsts(401, "invalid_client", 7_000_222, "expired"),
            ),
            _ => builder,
        };
    }
    builder
}

fn fault(step: Step, random: &mut TestRng) -> Fault {
    let code = if random.random() {
        "451 4.7.0 later"
    } else {
        "550 5.7.1 no"
    };
    match random.next_u32() % 12 {
        0 | 1 => Fault::disconnect(),
        2 | 3 => Fault::reset(),
        4 => Fault::silent(),
        5 => Fault::reply("421 4.3.2 going down"),
        6 => Fault::raw(&b"250 half a rep"[..]).then_disconnect(),
        7 => Fault::raw(&b"2x0 what\r\n"[..]).then_disconnect(),
        8 | 9 if step != Step::Handshake => Fault::reply(code),
        10 if step != Step::Handshake => Fault::split(3),
        _ => Fault::delay(Duration::from_millis(5)),
    }
}

#[test]
#[ignore = "run by each_result_agrees_with_what_the_server_accepted"]
fn child_with_eight_threads() {
    // Ends the line that the test harness has begun.
    println!();
    let messages = number("EXOSEND_SOAK", 0);
    let account = Account::from_env().unwrap().timeouts(
        Timeouts::default()
            .token(BOUND * 4)
            .command(BOUND)
            .accept(BOUND),
    );
    // By the middle, what is made once and kept is there: the allocator's arenas, the resolver's files.
    let next = AtomicUsize::new(0);
    let run = |end: usize| {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| client(&account, &next, end));
            }
        });
        next.store(end, Relaxed);
    };
    run(messages / 2);
    let half = Usage::settled(None);
    run(messages);
    let end = Usage::settled(Some(&half));
    println!("# {half:?} in the middle, {end:?} at the end");
    assert_eq!(
        (half.descriptors, half.threads),
        (end.descriptors, end.threads)
    );
    // The allocator may keep a little more for eight threads.
    assert!(
        end.resident_kib < half.resident_kib + 2048,
        "{half:?} {end:?}"
    );
}

/// Sends single messages, some with a token of their own, and sessions of up to three.
fn client(account: &Account, next: &AtomicUsize, end: usize) {
    let take = || Some(next.fetch_add(1, Relaxed)).filter(|&n| n < end);
    while let Some(n) = take() {
        if n % 4 != 0 {
            let again = account
                .clone()
                .scope("https://outlook.office365.com/.default");
            let account = if n % 16 == 1 { &again } else { account };
            tell(n, &send_mail(account, &message(n)));
            continue;
        }
        match Session::open(account) {
            Err(error) => tell(n, &Err(error)),
            Ok(mut session) => {
                tell(n, &session.send(&message(n)));
                for n in [take(), take()].into_iter().flatten() {
                    tell(n, &session.send(&message(n)));
                }
                session.quit();
            }
        }
    }
}

/// To one recipient, to two, or to two of whom the stand-in refuses one.
fn message(n: usize) -> Message {
    let subject = format!("m{n}");
    let text = format!("{}{subject}, to its end\n", ".\nx\n".repeat(n % 700));
    let message = Message::new()
        .to("ann@example.com")
        .subject(subject)
        .text(text);
    match n % 5 {
        0 => message.cc("eve@example.com"),
        1 => message.bcc("bob@example.com").partial(true),
        2 if n % 10 == 2 => message.bcc("bob@example.com"),
        _ => message,
    }
}

/// Prints `@ SUBJECT OUTCOME`, with the recipients that were accepted or the error.
fn tell(n: usize, result: &Result<Receipt, Error>) {
    match result {
        Ok(receipt) => {
            let refused: Vec<_> = receipt
                .refused()
                .iter()
                .map(exosend::Refusal::address)
                .collect();
            let meant: &[&str] = match n % 5 {
                0 => &["ann@example.com", "eve@example.com"],
                1 => &["ann@example.com", "bob@example.com"],
                _ => &["ann@example.com"],
            };
            let to: Vec<_> = meant
                .iter()
                .filter(|to| !refused.contains(to))
                .copied()
                .collect();
            println!("@ m{n} ok {}", to.join(","));
        }
        Err(error) if error.in_doubt() => println!("@ m{n} doubt {error}"),
        Err(error) => println!("@ m{n} no {error}"),
    }
}

#[derive(Debug)]
struct Usage {
    descriptors: usize,
    threads: usize,
    resident_kib: usize,
}

impl Usage {
    /// Waits for threads of look-ups, connects and token requests to end, and for as many descriptors as `like` has.
    fn settled(like: Option<&Self>) -> Self {
        let begun = Instant::now();
        loop {
            let usage = Self {
                descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
                threads: std::fs::read_dir("/proc/self/task").unwrap().count(),
                resident_kib: status("VmRSS:"),
            };
            // The main thread and this one.
            let done =
                usage.threads == 2 && like.is_none_or(|like| usage.descriptors == like.descriptors);
            if done || begun.elapsed() > Duration::from_secs(20) {
                return usage;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// In KiB.
fn status(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap()
        .trim()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}
