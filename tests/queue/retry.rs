//! Whether a failure is the message's or the mailbox's, and when it is tried again.

use std::process::Command;
use std::time::Duration;

use super::harness::{NOTE, Queue, await_that, minutes};
use crate::exchange::{Answer, Exchange, Fault, Step};
use crate::machine::{end, finish, start};

fn logins(queue: &Queue) -> usize {
    queue.exchange.settle().said("C: AUTH")
}

/// The next attempts are made after these pauses in minutes, and not half a minute earlier.
fn expect_pauses(queue: &Queue, pauses: &[u64], count: impl Fn(&Queue) -> usize) {
    for (n, pause) in pauses.iter().enumerate() {
        let before = count(queue);
        queue.pass(minutes(*pause) - Duration::from_secs(30));
        queue.run();
        assert_eq!(
            count(queue),
            before,
            "pause {n} is shorter than {pause} minutes"
        );
        queue.pass(Duration::from_secs(30));
        queue.run();
        assert_eq!(
            count(queue),
            before + 1,
            "pause {n} is longer than {pause} minutes"
        );
    }
}

#[test]
fn a_throttle_or_refusal_of_the_mailbox_holds_all_messages() {
    for (reply, wait, code) in [
        (
            "Accept 421 4.4.2 Message submission rate for this client has exceeded the configured limit",
            1,
            0,
        ),
        ("Accept 451 4.7.500 Server busy", 1, 0),
        ("Mail 451 4.3.0 Try again", 1, 0),
        ("Mail 454 4.7.0 Temporary", 1, 0),
        ("Greeting 421 4.3.2 Service not available", 1, 0),
        (
            "Accept 554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
            60,
            0,
        ),
        ("Accept 550 5.2.251 Sender throttled", 24 * 60, 69),
        ("Accept 550 5.2.255 Sender throttled", 24 * 60, 69),
        ("Auth 535 5.7.3 Authentication unsuccessful", 1, 77),
    ] {
        let queue = Queue::new();
        for to in ["ann@example.com", "bob@example.com", "cid@example.com"] {
            queue.submit(to, NOTE);
        }
        let login = reply.starts_with("Auth");
        match login {
            // One login only: a token that was just fetched is not fetched again.
            true => queue.exchange.says(reply),
            false => queue.exchange.says_nth(1, reply),
        }
        assert_eq!(queue.run(), code, "{reply}");
        assert_eq!(
            (queue.arrived().len(), queue.waiting()),
            (0, 3),
            "{reply}: all wait"
        );
        let held = queue.log("held");
        assert_eq!(held.len(), 1, "{held:?}");
        assert!(
            held[0].contains(&format!(" wait={} ", wait * 60)),
            "{held:?}"
        );
        assert!(queue.log("failed").is_empty() && queue.log("deferred").is_empty());
        queue.pass(minutes(wait) - Duration::from_secs(1));
        queue.run();
        assert_eq!(queue.arrived().len(), 0, "{reply}: left alone");
        if !login {
            queue.pass(Duration::from_secs(1));
            assert_eq!(queue.run(), 0);
            assert_eq!((queue.arrived().len(), queue.waiting()), (3, 0), "{reply}");
        }
    }
}

#[test]
fn after_too_many_connections_one_less_is_used() {
    let queue = Queue::new();
    queue.submit("ann@example.com", NOTE);
    let crowded = "Accept 432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded";
    queue.exchange.says_nth(1, crowded);
    assert_eq!(queue.run(), 0);
    assert!(
        queue.log("held")[0].contains("trouble=connections"),
        "{:?}",
        queue.log("held")
    );
    assert_eq!((queue.arrived().len(), queue.waiting()), (0, 1));
    // The mailbox is not held, because two connections are left.
    assert_eq!(queue.run(), 0);
    assert_eq!(queue.arrived().len(), 1);
    let state = std::fs::read_to_string(queue.path("state/mailbox")).unwrap();
    assert!(state.contains("\nfewer 1\n"), "{state}");
}

#[test]
fn a_mailbox_that_cannot_be_reached_is_tried_ever_less_often_and_loses_nothing() {
    let queue = Queue::new();
    queue.submit("ann@example.com", NOTE);
    queue.submit("bob@example.com", NOTE);
    queue.exchange.says("Greeting hangs up");
    queue.run();
    let connections = |queue: &Queue| queue.log("held").len();
    expect_pauses(&queue, &[1, 2, 5, 15, 30, 60, 60, 60], connections);
    for _ in 0..3 * 24 {
        queue.pass(minutes(60));
        queue.run();
    }
    assert_eq!(
        (queue.waiting(), queue.count("failed")),
        (2, 0),
        "three days later"
    );
    queue.exchange.says("Greeting 220 well");
    queue.pass(minutes(60));
    assert_eq!(queue.run(), 0);
    assert_eq!((queue.arrived().len(), queue.waiting()), (2, 0));
}

/// Such as a message that a firewall on the way does not like.
#[test]
fn a_message_that_breaks_the_connection_lets_the_others_go_first() {
    let queue = Queue::new();
    queue.submit("ann@example.com", NOTE);
    queue.submit("bob@example.com", NOTE);
    queue.exchange.says_nth(1, "Data hangs up");
    assert_eq!(queue.run(), 0);
    assert_eq!(queue.arrived().len(), 0);
    queue.pass(minutes(1));
    assert_eq!(queue.run(), 0);
    assert_eq!(queue.arrived().len(), 1);
    assert_eq!(queue.last().to, ["bob@example.com"]);
    queue.pass(minutes(1));
    assert_eq!(queue.run(), 0);
    assert_eq!((queue.arrived().len(), queue.waiting()), (2, 0));
}

#[test]
fn a_digest_that_cannot_be_sent_is_kept_and_tried_ever_less_often() {
    let exchange = Exchange::builder().refuse("bob@example.com", "550 5.1.10 Recipient not found");
    let queue = Queue::with(exchange.start());
    queue.configure("local_recipient = ops@contoso.com");
    // The digest is the second message.
    queue.exchange.says_nth(2, "Mail 421 4.3.2 not now");
    queue.submit("bob@example.com", NOTE);
    queue.run();
    assert_eq!((queue.arrived().len(), queue.count("failed")), (0, 1));
    queue
        .exchange
        .says("AuthBlob 535 5.7.3 Authentication unsuccessful");
    queue.pass(minutes(1));
    for _ in 0..60 {
        queue.run();
        queue.pass(minutes(1));
    }
    let attempts = logins(&queue);
    assert!((4..=8).contains(&attempts), "{attempts}");
    queue.exchange.says("AuthBlob 235 2.7.0 well");
    queue.pass(minutes(60));
    assert_eq!(queue.run(), 0);
    assert_eq!(queue.last().to, ["ops@contoso.com"]);
}

#[test]
fn the_digest_reaches_the_other_local_recipients_of_a_refused_one() {
    let exchange = Exchange::builder()
        .refuse("bob@example.com", "550 5.1.10 Recipient not found")
        .refuse("cid@example.com", "550 5.1.10 Recipient not found")
        .refuse("dead@contoso.com", "550 5.1.10 Recipient not found");
    let queue = Queue::with(exchange.start());
    queue.configure("local_recipient = dead@contoso.com");
    queue.submit("bob@example.com cid@example.com", NOTE);
    for _ in 0..3 {
        assert_eq!(queue.run(), 0);
        queue.pass(minutes(60));
    }
    assert_eq!((queue.log("digest").len(), queue.arrived().len()), (1, 0));
    queue.configure("local_recipient = dead@contoso.com, ops@contoso.com");
    queue.pass(minutes(60 * 24));
    assert_eq!(queue.run(), 0);
    let digest = queue.last();
    assert_eq!(digest.to, ["ops@contoso.com"]);
    for case in ["<bob@example.com>", "<cid@example.com>"] {
        assert_eq!(digest.text().matches(case).count(), 1, "once");
    }
    assert_eq!(queue.log("digest").len(), 2);
    let told = std::fs::read_to_string(queue.path("state/digest")).unwrap();
    assert_eq!(told, "");
}

#[test]
fn a_refused_login_is_repeated_ever_less_often_and_loses_nothing() {
    let queue = Queue::new();
    for _ in 0..20 {
        queue.submit("ann@example.com", NOTE);
    }
    queue
        .exchange
        .says("AuthBlob 535 5.7.3 Authentication unsuccessful");
    for _ in 0..24 * 12 {
        assert_eq!(queue.run(), 77);
        queue.pass(minutes(5));
    }
    // After 1, 2, 5, 15, 30, 60 minutes and then each hour; a run looks every 5 minutes.
    let attempts = logins(&queue);
    assert!((25..=32).contains(&attempts), "{attempts}");
    assert_eq!((queue.waiting(), queue.count("failed")), (20, 0));
    assert_eq!(
        queue.log("failed").len() + queue.log("refused").len(),
        0,
        "nobody is told of it by mail"
    );
}

/// As on a full disk.
#[test]
fn a_hold_that_cannot_be_written_ends_the_run() {
    let queue = Queue::new();
    for to in ["ann@example.com", "bob@example.com", "cid@example.com"] {
        queue.submit(&[to], NOTE);
    }
    std::fs::create_dir_all(queue.path("state/mailbox")).unwrap();
    let no = Fault::reply("535 5.7.3 Authentication unsuccessful");
    queue.machine.exchange.on(Step::Auth, no);
    assert_eq!(queue.run(), 77);
    assert_eq!((logins(&queue), queue.waiting()), (1, 3));
}

#[test]
fn an_expired_secret_is_tried_ever_less_often() {
    let expired = r#"{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys are expired.","error_codes":[7000222]}"#;
    let queue = Queue::with(
        Exchange::builder()
            .token(Answer::status(401).body(expired))
            .start(),
    );
    queue.submit("ann@example.com", NOTE);
    assert_eq!(queue.run(), 77);
    let requests = |queue: &Queue| queue.exchange.token_requests().len();
    expect_pauses(&queue, &[1, 2, 5, 15, 30, 60, 240, 240], requests);
}

#[test]
fn a_deferred_message_holds_up_no_other_and_is_given_up_after_queue_lifetime() {
    let exchange = Exchange::builder().refuse("ann@example.com", "450 4.2.1 greylisted");
    let queue = Queue::with(exchange.start());
    queue.submit("ann@example.com", NOTE);
    queue.submit("bob@example.com", NOTE);
    assert_eq!(queue.run(), 0);
    assert_eq!(queue.arrived().len(), 1);
    let attempts = |queue: &Queue| queue.log("deferred").len();
    expect_pauses(&queue, &[1, 2, 5, 15, 30, 60], attempts);
    queue.pass(minutes(60 * 24 * 7));
    assert_eq!(queue.run(), 0);
    assert_eq!((queue.waiting(), queue.count("failed")), (0, 1));
    let failed = queue.log("failed");
    assert!(
        failed[0].contains(
            "too old (queue_lifetime); last error: recipient <ann@example.com>: 450 4.2.1"
        ),
        "{failed:?}"
    );
}

#[test]
fn a_refused_recipient_is_reported_and_the_others_get_the_message() {
    let exchange = Exchange::builder().refuse("bob@example.com", "550 5.1.10 Recipient not found");
    let queue = Queue::with(exchange.start());
    queue.configure("local_recipient = ops@contoso.com");
    // cid is the third.
    queue.exchange.says_nth(3, "Rcpt 450 4.2.1 later");
    let to = ["ann@example.com", "bob@example.com", "cid@example.com"];
    queue.submit(&to, "Subject: private\n\nsecret plans\n");
    assert_eq!(queue.run(), 0);
    assert_eq!(queue.log("refused").len(), 1, "{:?}", queue.log("refused"));
    let arrived = queue.arrived();
    assert_eq!(arrived[0].to, ["ann@example.com"]);
    // The digest names recipients and reasons, and quotes no message.
    let digest = &arrived[1];
    assert_eq!(
        (
            digest.to[0].as_str(),
            digest.header("Auto-Submitted").as_deref()
        ),
        ("ops@contoso.com", Some("auto-generated"))
    );
    assert!(digest.text().contains("bob@example.com") && digest.text().contains("550 5.1.10"));
    assert!(
        !digest.text().contains("private")
            && !digest.text().contains("plans")
            && !digest.text().contains("ann@")
    );
    // No second digest within a day, and nobody gets anything twice.
    queue.submit("bob@example.com", NOTE);
    queue.pass(minutes(1));
    assert_eq!(queue.run(), 0);
    assert_eq!(queue.arrived().len(), 3, "{:?}", queue.log("sent"));
    assert_eq!(queue.arrived()[2].to, ["cid@example.com"]);
    assert_eq!((queue.waiting(), queue.count("failed")), (0, 1));
    queue.pass(minutes(60 * 24));
    assert_eq!(queue.run(), 0);
    let last = queue.last();
    assert_eq!(last.to, ["ops@contoso.com"]);
    assert!(
        !last
            .text()
            .contains("550 5.1.10 Recipient not found\r\n\r\n")
    );
    queue.pass(minutes(60 * 24));
    assert_eq!(queue.run(), 0);
    assert_eq!(queue.arrived().len(), 4, "nothing to tell");
}

/// Any user can send to any name in /etc/aliases, such as one that leads to a program.
#[test]
fn an_alias_without_an_address_holds_only_its_own_mail() {
    let queue = Queue::new();
    let aliases = queue.write(
        "aliases",
        "lists: \"|/usr/bin/lists\"\nops: ops@contoso.com\n",
    );
    queue.configure(&format!("aliases = {}", aliases.display()));
    queue.submit("lists", NOTE);
    queue.submit("ops", NOTE);
    assert_eq!(queue.run(), 0);
    assert_eq!((queue.arrived().len(), queue.waiting()), (1, 1));
    assert_eq!(queue.log("held").len(), 0);
    queue.write("aliases", "lists: lists@contoso.com\n");
    queue.pass(minutes(1));
    assert_eq!(queue.run(), 0);
    assert_eq!(queue.last().to, ["lists@contoso.com"]);
    // Without the file of aliases, all wait.
    std::fs::remove_file(&aliases).unwrap();
    queue.submit("lists", NOTE);
    assert_eq!(queue.run(), 78);
    assert_eq!((queue.log("held").len(), queue.waiting()), (1, 1));
}

#[test]
fn a_recipient_that_is_no_address_is_reported_once() {
    let queue = Queue::new();
    queue.exchange.says("Greeting hangs up");
    let aliases = queue.write("aliases", "ops: ops@contoso..com, ann@example.com\n");
    queue.configure(&format!("aliases = {}", aliases.display()));
    queue.submit("ops", NOTE);
    for _ in 0..5 {
        queue.run();
        queue.pass(minutes(60));
    }
    assert_eq!(queue.log("refused").len(), 1);
    queue.exchange.says("Greeting 220 well");
    queue.run();
    assert_eq!(queue.arrived()[0].to, ["ann@example.com"]);
    assert_eq!(queue.log("refused").len(), 1);
}

#[test]
fn a_message_in_doubt_is_sent_again_twice_at_most() {
    let queue = Queue::new();
    queue.submit("ann@example.com", NOTE);
    queue.exchange.says("Accept hangs up");
    let mut copies = Vec::new();
    for _ in 0..10 {
        assert_eq!(queue.run(), 0);
        copies.push(queue.arrived().len());
        queue.pass(minutes(15));
    }
    assert_eq!(copies[..4], [1, 2, 3, 3]);
    assert_eq!(copies[9], 3);
    assert_eq!((queue.waiting(), queue.count("failed")), (0, 1));
    let arrived = queue.arrived();
    assert!(
        arrived
            .iter()
            .all(|copy| copy.header("Message-ID") == arrived[0].header("Message-ID"))
    );
    assert_eq!(queue.log("possible_duplicate").len(), 2);
    assert!(queue.log("failed")[0].contains("may have been delivered"));
}

#[test]
fn a_broken_configuration_holds_the_queue_until_it_is_mended() {
    let queue = Queue::new();
    queue.submit("bob@example.com", NOTE);
    assert_eq!(queue.run(), 0);
    let known = || std::fs::read_to_string(queue.path("state/mailbox")).unwrap();
    let before = known();
    queue.submit("ann@example.com", NOTE);
    queue.configure("tenant = another\nnonsense = 1");
    // `spool` is in that file, too, so it has to be named by the variable.
    let spool = queue.path("");
    let run = finish(
        queue
            .command("exosend")
            .args(["queue", "run"])
            .env("EXOSEND_SPOOL", &spool),
        "",
    );
    run.exits(78).out("").err("");
    assert_eq!(queue.waiting(), 1);
    let mut list = queue.command("exosend");
    list.arg("queue").env("EXOSEND_SPOOL", &spool);
    let list = finish(&mut list, "").stdout;
    assert!(
        list.contains("all wait for 60 s") && list.contains(", configuration: "),
        "{list}"
    );
    assert_eq!(known(), before, "what was sent in this minute counts on");
    queue.configure("");
    assert_eq!(queue.run(), 0);
    assert_eq!(queue.arrived().len(), 2, "at once");
    let list = queue.exosend("queue", "").stdout;
    assert_eq!(list, "Mail queue is empty\n");
}

#[test]
fn runs_that_end_together_send_one_short_digest() {
    let queue = Queue::new();
    queue.configure("local_recipient = ops@contoso.com");
    let to: Vec<_> = (0..400).map(|n| format!("user-{n}@example.com")).collect();
    let to: Vec<_> = to.iter().map(String::as_str).collect();
    queue.submit(&to, NOTE);
    queue
        .exchange
        .says_nth(1, "Accept 554 5.6.0 Corrupt message content");
    // The first digest cannot be sent.
    queue.exchange.says_nth(2, "Accept 451 4.2.1 later");
    assert_eq!(queue.run(), 0);
    let digest = std::fs::read_to_string(queue.path("state/digest")).unwrap();
    assert!(digest.len() < 1100, "{digest}");
    assert!(
        digest.contains("user-19@example.com, and 380 more"),
        "{digest}"
    );
    queue
        .exchange
        .on(Step::Accept, Fault::delay(Duration::from_millis(300)));
    queue.pass(minutes(1));
    let run = || start(queue.command("exosend").args(["queue", "run"]));
    for mut run in [run(), run(), run()] {
        assert_eq!(run.wait().unwrap().code(), Some(0));
    }
    assert_eq!(queue.arrived().len(), 1);
    assert_eq!(queue.last().to, ["ops@contoso.com"]);
}

#[test]
fn given_up_messages_are_removed_after_a_month_and_states_of_gone_ones() {
    let queue = Queue::new();
    queue.give_up();
    // One of them left by a run that was killed.
    let orphans = ["", ".new"].map(|end| queue.path("state").join("a".repeat(32) + end));
    for orphan in &orphans {
        std::fs::write(orphan, "attempts 1\n").unwrap();
    }
    for (days, given_up) in [(1, 1), (28, 1), (2, 0)] {
        queue.pass(minutes(60 * 24 * days));
        queue.submit("ann@example.com", NOTE);
        assert_eq!(queue.run(), 0);
        assert_eq!(queue.count("failed"), given_up, "{days} days later");
    }
    assert!(orphans.iter().all(|orphan| !orphan.exists()));
    let log = std::fs::read_to_string(queue.machine.path("log")).unwrap();
    assert_eq!(log.matches("event=removed id=").count(), 1);
    assert_eq!((queue.arrived().len(), queue.waiting()), (3, 0));
}

#[test]
fn a_message_that_aliases_throw_away_does_not_end_a_hold() {
    let queue = Queue::new();
    let aliases = queue.machine.path("aliases");
    std::fs::write(&aliases, "none: /dev/null\n").unwrap();
    queue.configure(&format!("aliases = {}", aliases.display()));
    queue.exchange.says("Greeting hangs up");
    queue.submit("ann@example.com", NOTE);
    assert_eq!(queue.run(), 0);
    queue.pass(minutes(1));
    queue.submit("none", NOTE);
    // The other is tried after it.
    let thrown = std::fs::File::open(queue.only("drop")).unwrap();
    thrown.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(queue.run(), 0);
    assert_eq!((queue.waiting(), queue.log("sent").len()), (1, 1));
    let waits = queue.log("held").into_iter();
    let waits: Vec<_> = waits.map(|line| line.contains(" wait=120 ")).collect();
    assert_eq!(waits, [false, true]);
}

#[test]
fn a_pipe_among_the_queues_own_files_is_not_waited_for() {
    let queue = Queue::new();
    queue.submit("ann@example.com", NOTE);
    assert_eq!(queue.run(), 0);
    // Nor does a file beside the queue's folders stop a run.
    std::fs::write(queue.path("work/note~"), "").unwrap();
    let id = "a".repeat(32);
    for (name, code) in [
        ("state/swept", 0),
        (&*format!("state/{id}"), 0),
        ("run", 75),
    ] {
        queue.submit("ann@example.com", NOTE);
        std::fs::rename(queue.only("drop"), queue.path("drop").join(&id)).unwrap();
        let pipe = queue.path(name);
        let _ = std::fs::remove_file(&pipe);
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(queue.run(), code, "{name}");
        std::fs::remove_file(&pipe).unwrap_or_default();
    }
    assert_eq!(queue.run(), 0);
    assert_eq!(queue.arrived().len(), 4);
}

/// The crontab line for machines without systemd, and a job that prints something each minute, which cron mails.
#[test]
fn ten_minutes_of_cron_offline_queue_the_jobs_mail_and_no_other() {
    let queue = Queue::new();
    queue.configure("local_recipient = ops@contoso.com");
    queue.exchange.says("Greeting hangs up");
    let cron = |line: &str| {
        let mut shell = queue.command("sh");
        shell
            .args(["-c", line])
            .env("PATH", "/usr/bin:/bin")
            .env("EXOSEND", env!("CARGO_BIN_EXE_exosend"));
        let run = finish(&mut shell, "");
        let said = run.stdout + &run.stderr;
        if !said.is_empty() {
            queue.submit(
                "-i -FCronDaemon root",
                format!("Subject: Cron {line}\n\n{said}"),
            );
        }
    };
    for n in 1..=10 {
        cron(&format!("echo disk is full {n}"));
        cron("\"$EXOSEND\" queue run");
        queue.pass(minutes(1));
    }
    assert_eq!((queue.waiting(), queue.arrived().len()), (10, 0));
    queue.exchange.says("Greeting 220 well");
    queue.pass(minutes(15));
    cron("\"$EXOSEND\" queue run");
    let mut said: Vec<_> = queue
        .arrived()
        .iter()
        .map(|mail| mail.header("Subject").unwrap())
        .collect();
    said.sort();
    said.dedup();
    assert_eq!(
        (said.len(), queue.arrived().len(), queue.waiting()),
        (10, 10, 0)
    );
}

/// Three runs have all the connections, and wait a minute for the mailbox. Then somebody mends the configuration.
#[test]
fn a_run_that_has_waited_reads_the_configuration_anew() {
    let queue = Queue::new();
    let file = queue.machine.path("home/.config/exosend.conf");
    let right = std::fs::read_to_string(&file).unwrap();
    let server = format!("localhost:{}", queue.exchange.port());
    std::fs::write(&file, right.replace(&server, "localhost:9")).unwrap();
    for _ in 0..4 {
        queue.submit("ann@example.com", NOTE);
    }
    let by_the_true_clock = |line: &str| {
        let mut command = queue.machine.command("exosend");
        command.args(line.split(' '));
        command
    };
    let run = || start(&mut by_the_true_clock("queue run"));
    let first = run();
    // Before the others: with two failures the mailbox is held for longer than a run waits.
    await_that(|| !queue.log("held").is_empty());
    let runs = [first, run(), run()];
    await_that(|| queue.count("work") == 3);
    std::fs::write(&file, right).unwrap();
    finish(&mut by_the_true_clock("queue run --now"), "").exits(0);
    await_that(|| queue.exchange.delivered().len() == 4);
    for run in runs {
        end(run).exits(0);
    }
}
