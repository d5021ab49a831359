//! Submitting a message, and what arrives.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::harness::{NOTE, Queue, await_that};
use crate::machine::{end, finish, start};

#[test]
fn a_message_is_queued_without_the_network_and_arrives_unchanged() {
    let queue = Queue::new();
    queue.submit("-f ops@example.org -F Robot bob@example.com", NOTE);
    queue.nobody_called();
    let file = queue.only("drop");
    let found = file.metadata().unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o740);
    assert_eq!(queue.run(), 0);
    let arrived = queue.arrived();
    assert_eq!(arrived.len(), 1);
    assert_eq!(
        (arrived[0].from.as_str(), &*arrived[0].to),
        ("robot@contoso.com", &["bob@example.com".to_owned()][..])
    );
    assert_eq!(
        arrived[0].parameters[0],
        format!("SIZE={}", arrived[0].length)
    );
    assert_eq!(
        arrived[0].header("From").unwrap(),
        "Robot <robot@contoso.com>"
    );
    let id = file.file_name().unwrap().to_str().unwrap();
    let message_id = arrived[0].header("Message-ID").unwrap();
    assert!(message_id.starts_with(&format!("<{id}@")), "{message_id}");
    assert!(arrived[0].header("Date").is_some());
    assert!(arrived[0].text().ends_with("\r\n\r\nhello\r\n.\r\nbye\r\n"));
    assert!(!arrived[0].text().contains("eve@"));
    assert_eq!(
        queue.waiting() + queue.count("failed") + queue.count("state"),
        2,
        "the mailbox's state, and when the last look for leftovers was"
    );
    for event in ["queued", "sent"] {
        let lines = queue.log(event);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(&format!(" id={id} exit=0 ")), "{lines:?}");
    }
    let queued = &queue.log("queued")[0];
    let facts = format!(" to=bob@example.com size={} ", found.len());
    assert!(queued.contains(&facts), "{queued}");
}

#[test]
fn many_messages_go_over_one_session() {
    let queue = Queue::new();
    for n in 0..5 {
        queue.submit("ann@example.com", format!("Subject: {n}\n\nx\n"));
    }
    assert_eq!(queue.run(), 0);
    let subjects: Vec<_> = queue
        .arrived()
        .iter()
        .map(|m| m.header("Subject").unwrap())
        .collect();
    assert_eq!(
        subjects,
        ["0", "1", "2", "3", "4"],
        "in the order they came"
    );
    assert_eq!(queue.exchange.said("C: EHLO"), 2);
    assert_eq!(queue.exchange.token_requests().len(), 1);
}

#[test]
fn local_recipients_are_resolved_when_the_message_is_sent() {
    let queue = Queue::new();
    queue.submit(
        "-t",
        "To: root, Ann <ann@example.com>\nBcc: eve@example.com\nSubject: x\n\nx\n",
    );
    // Without `local_recipient`, root's mail waits, and that of the others does not.
    assert_eq!(queue.run(), 0);
    assert_eq!(
        queue.arrived()[0].to,
        ["ann@example.com", "eve@example.com"]
    );
    assert_eq!(queue.waiting(), 1);
    queue.configure("local_recipient = ops@contoso.com");
    assert_eq!(queue.run_now(), 0);
    let arrived = queue.arrived();
    assert_eq!(arrived[1].to, ["ops@contoso.com"]);
    assert_eq!(
        arrived[0].header("Message-ID"),
        arrived[1].header("Message-ID")
    );
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn a_wrong_call_or_message_ends_with_its_exit_code_and_queues_nothing() {
    let queue = Queue::new();
    for (line, input, code) in [
        ("sendmail -t", "", 66),
        ("sendmail -t", "Subject: x\n\nx\n", 65),
        ("sendmail -t", "To: \"ann\n\n", 65),
        ("sendmail", "x\n", 64),
        ("sendmail --nonsense", "x\n", 64),
        ("sendmail 'a@x, <b@x'", "x\n", 65),
    ] {
        queue.call(line, input).exits(code);
        assert_eq!(queue.waiting(), 0);
    }
    let long = format!("To: ann@example.com\nX: {}\n\n", "x ".repeat(600_000));
    queue.call("sendmail -t", long).exits(65);
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn a_long_message_arrives_whole() {
    let queue = Queue::with(
        crate::exchange::Exchange::builder()
            .discard_bodies()
            .start(),
    );
    let body = format!("{}\n", "x".repeat(76)).repeat(100_000);
    queue.submit("ann@example.com", format!("Subject: long\n\n{body}"));
    assert_eq!(queue.run(), 0);
    let arrived = queue.arrived();
    assert_eq!(
        arrived[0].parameters[0],
        format!("SIZE={}", arrived[0].length)
    );
    assert!(arrived[0].length > 78 * 100_000);
}

/// `ulimit -f` counts 1,024 bytes. SIGXFSZ would kill the program without a word.
#[test]
fn a_file_size_limit_ends_with_75_and_is_named() {
    let queue = Queue::new();
    let mut command = Command::new("bash");
    command
        .args([
            "-c",
            "ulimit -f 16; exec \"$0\" ann@example.com",
            env!("CARGO_BIN_EXE_exosend"),
        ])
        .env_clear()
        .env("HOME", queue.machine.path("home"))
        .env("XDG_CACHE_HOME", queue.machine.path("home/.cache"));
    let run = finish(
        &mut command,
        format!("Subject: x\n\n{}", "x\n".repeat(20_000)),
    );
    run.exits(75);
    run.err_has("ulimit -f");
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn the_mode_does_not_depend_on_the_umask() {
    let queue = Queue::new();
    for umask in ["077", "777"] {
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                &format!("umask {umask}; exec \"$0\" ann@example.com"),
                env!("CARGO_BIN_EXE_exosend"),
            ])
            .env_clear()
            .env("HOME", queue.machine.path("home"))
            .env("XDG_CACHE_HOME", queue.machine.path("home/.cache"))
            .env("QUEUE_TEST_CLOCK", queue.machine.path("clock"));
        let run = finish(&mut command, "Subject: x\n\nx\n");
        run.exits(0);
        let file = queue.only("drop");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o740);
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn each_submit_to_a_users_own_queue_starts_a_run() {
    let queue = Queue::new();
    let run = queue.machine.run("ann@example.com", "Subject: x\n\nx\n");
    run.exits(0).err("");
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while queue.waiting() > 0 && std::time::Instant::now() < patience {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(queue.arrived().len(), 1);
}

#[test]
fn send_queue_prints_the_id_and_leaves_from_to_the_run() {
    let queue = Queue::new();
    let send = [
        "send",
        "--queue",
        "--to",
        "J\u{f6}rg <ann@example.com>",
        "--cc",
        "root",
        "--subject",
        "x",
    ];
    let run = queue.exosend(&send, "hello\n");
    run.exits(0);
    let file = queue.only("drop");
    let id = file.file_name().unwrap().to_str().unwrap();
    run.out(&format!("queued as {id}\n"));
    assert!(!std::fs::read_to_string(&file).unwrap().contains("\nFrom:"));
    queue.configure("local_recipient = ops@contoso.com");
    assert_eq!(queue.run(), 0);
    let arrived = &queue.arrived()[0];
    assert_eq!(arrived.to, ["ann@example.com", "ops@contoso.com"]);
    assert!(
        arrived
            .header("From")
            .unwrap()
            .contains("robot@contoso.com")
    );
    assert!(
        arrived
            .header("Message-ID")
            .unwrap()
            .starts_with(&format!("<{id}@"))
    );
    let run = queue.exosend(&[&send[..], &["--json"]].concat(), "hello\n");
    let object: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&object["sent"], object["queued"].as_str().map(str::len)),
        (&false.into(), Some(32))
    );
}

/// The program by another name. A link: a copy cannot be run while another thread's child has it open for writing.
fn named(queue: &Queue, name: &str) -> Command {
    std::fs::create_dir(queue.path("")).unwrap();
    let file = queue.path(name);
    std::fs::hard_link(env!("CARGO_BIN_EXE_exosend"), &file).unwrap();
    // By the true clock, so that a submit starts a run.
    queue.machine.command(file.to_str().unwrap())
}

/// Under that name the words `queue run` would be recipients.
#[test]
fn a_submit_of_a_file_called_sendmail_starts_a_run() {
    let queue = Queue::new();
    let mut sendmail = named(&queue, "sendmail");
    finish(sendmail.arg("ann@example.com"), NOTE).exits(0);
    await_that(|| !queue.exchange.delivered().is_empty() && queue.waiting() == 0);
    // If submits start each other without end, this stops them.
    std::fs::remove_file(queue.path("sendmail")).unwrap();
    assert_eq!(queue.arrived().len(), 1);
}

/// As an upgrade does.
#[test]
fn a_submit_starts_a_run_although_the_programs_file_was_removed() {
    let queue = Queue::new();
    let mut submit = start(named(&queue, "exosend").arg("ann@example.com"));
    std::fs::remove_file(queue.path("exosend")).unwrap();
    let mut stdin = submit.stdin.take().unwrap();
    stdin.write_all(NOTE.as_bytes()).unwrap();
    drop(stdin);
    end(submit).exits(0).err("");
    await_that(|| !queue.exchange.delivered().is_empty() && queue.waiting() == 0);
}
