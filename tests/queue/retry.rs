//! Whether a failure is the message's or the mailbox's, and when it is tried again.

use std::process::Command;
use std::time::Duration;

use super::office::{NOTE, Office, await_that, minutes};
use crate::exchange::{Answer, Exchange, Fault, Step};
use crate::machine::{end, finish, start};

fn logins(office: &Office) -> usize {
    office.exchange.settle().said("C: AUTH")
}

/// The next attempts are made after these pauses, and not half a minute earlier.
fn expect_pauses(office: &Office, pauses: &[u64], count: impl Fn(&Office) -> usize) {
    for (n, pause) in pauses.iter().enumerate() {
        let before = count(office);
        office.pass(minutes(*pause) - Duration::from_secs(30));
        office.run();
        assert_eq!(
            count(office),
            before,
            "pause {n} is shorter than {pause} minutes"
        );
        office.pass(Duration::from_secs(30));
        office.run();
        assert_eq!(
            count(office),
            before + 1,
            "pause {n} is longer than {pause} minutes"
        );
    }
}

#[test]
fn each_row_of_the_throttle_table() {
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
        let office = Office::new();
        for to in ["ann@example.com", "bob@example.com", "cid@example.com"] {
            office.submit(to, NOTE);
        }
        let login = reply.starts_with("Auth");
        match login {
            // One login only: a token that was just fetched is not fetched again.
            true => office.exchange.says(reply),
            false => office.exchange.says_nth(1, reply),
        }
        assert_eq!(office.run(), code, "{reply}");
        assert_eq!(
            (office.arrived().len(), office.waiting()),
            (0, 3),
            "{reply}: all wait"
        );
        let held = office.log("held");
        assert_eq!(held.len(), 1, "{held:?}");
        assert!(
            held[0].contains(&format!(" wait={} ", wait * 60)),
            "{held:?}"
        );
        assert!(office.log("failed").is_empty() && office.log("deferred").is_empty());
        office.pass(minutes(wait) - Duration::from_secs(1));
        office.run();
        assert_eq!(office.arrived().len(), 0, "{reply}: left alone");
        if !login {
            office.pass(Duration::from_secs(1));
            assert_eq!(office.run(), 0);
            assert_eq!(
                (office.arrived().len(), office.waiting()),
                (3, 0),
                "{reply}"
            );
        }
    }
}

#[test]
fn too_many_connections_cost_one_of_ours_for_ten_minutes() {
    let office = Office::new();
    office.submit("ann@example.com", NOTE);
    let crowded = "Accept 432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded";
    office.exchange.says_nth(1, crowded);
    assert_eq!(office.run(), 0);
    assert!(
        office.log("held")[0].contains("trouble=connections"),
        "{:?}",
        office.log("held")
    );
    assert_eq!((office.arrived().len(), office.waiting()), (0, 1));
    // The mailbox is not held, because two connections are left.
    assert_eq!(office.run(), 0);
    assert_eq!(office.arrived().len(), 1);
    let state = std::fs::read_to_string(office.path("state/mailbox")).unwrap();
    assert!(state.contains("\nfewer 1\n"), "{state}");
}

#[test]
fn a_mailbox_that_cannot_be_reached_is_tried_less_and_less_often_and_nothing_is_lost() {
    let office = Office::new();
    office.submit("ann@example.com", NOTE);
    office.submit("bob@example.com", NOTE);
    office.exchange.says("Greeting hangs up");
    office.run();
    let connections = |office: &Office| office.log("held").len();
    expect_pauses(&office, &[1, 2, 5, 15, 30, 60, 60, 60], connections);
    for _ in 0..3 * 24 {
        office.pass(minutes(60));
        office.run();
    }
    assert_eq!(
        (office.waiting(), office.count("failed")),
        (2, 0),
        "three days later"
    );
    office.exchange.says("Greeting 220 well");
    office.pass(minutes(60));
    assert_eq!(office.run(), 0);
    assert_eq!((office.arrived().len(), office.waiting()), (2, 0));
}

/// As by a firewall on the way.
#[test]
fn a_message_that_breaks_the_connection_lets_the_others_go_first() {
    let office = Office::new();
    office.submit("ann@example.com", NOTE);
    office.submit("bob@example.com", NOTE);
    office.exchange.says_nth(1, "Data hangs up");
    assert_eq!(office.run(), 0);
    assert_eq!(office.arrived().len(), 0);
    office.pass(minutes(1));
    assert_eq!(office.run(), 0);
    assert_eq!(office.arrived().len(), 1);
    assert_eq!(office.last().to, ["bob@example.com"]);
    office.pass(minutes(1));
    assert_eq!(office.run(), 0);
    assert_eq!((office.arrived().len(), office.waiting()), (2, 0));
}

#[test]
fn a_digest_that_cannot_be_sent_is_kept_and_costs_no_login_each_minute() {
    let exchange = Exchange::builder().refuse("bob@example.com", "550 5.1.10 Recipient not found");
    let office = Office::with(exchange.start());
    office.configure("local_recipient = ops@contoso.com");
    // The digest is the second message.
    office.exchange.says_nth(2, "Mail 421 4.3.2 not now");
    office.submit("bob@example.com", NOTE);
    office.run();
    assert_eq!((office.arrived().len(), office.count("failed")), (0, 1));
    office
        .exchange
        .says("AuthBlob 535 5.7.3 Authentication unsuccessful");
    office.pass(minutes(1));
    for _ in 0..60 {
        office.run();
        office.pass(minutes(1));
    }
    let attempts = logins(&office);
    assert!((4..=8).contains(&attempts), "{attempts}");
    office.exchange.says("AuthBlob 235 2.7.0 well");
    office.pass(minutes(60));
    assert_eq!(office.run(), 0);
    assert_eq!(office.last().to, ["ops@contoso.com"]);
}

#[test]
fn a_dead_address_in_local_recipient_does_not_keep_the_digest_from_the_others() {
    let exchange = Exchange::builder()
        .refuse("bob@example.com", "550 5.1.10 Recipient not found")
        .refuse("cid@example.com", "550 5.1.10 Recipient not found")
        .refuse("dead@contoso.com", "550 5.1.10 Recipient not found");
    let office = Office::with(exchange.start());
    office.configure("local_recipient = dead@contoso.com");
    office.submit("bob@example.com cid@example.com", NOTE);
    for _ in 0..3 {
        assert_eq!(office.run(), 0);
        office.pass(minutes(60));
    }
    assert_eq!((office.log("digest").len(), office.arrived().len()), (1, 0));
    office.configure("local_recipient = dead@contoso.com, ops@contoso.com");
    office.pass(minutes(60 * 24));
    assert_eq!(office.run(), 0);
    let digest = office.last();
    assert_eq!(digest.to, ["ops@contoso.com"]);
    for case in ["<bob@example.com>", "<cid@example.com>"] {
        assert_eq!(digest.text().matches(case).count(), 1, "once");
    }
    assert_eq!(office.log("digest").len(), 2);
    let told = std::fs::read_to_string(office.path("state/digest")).unwrap();
    assert_eq!(told, "");
}

#[test]
fn a_day_of_535_costs_one_login_per_step() {
    let office = Office::new();
    for _ in 0..20 {
        office.submit("ann@example.com", NOTE);
    }
    office
        .exchange
        .says("AuthBlob 535 5.7.3 Authentication unsuccessful");
    for _ in 0..24 * 12 {
        assert_eq!(office.run(), 77);
        office.pass(minutes(5));
    }
    // 0, 5 (for 1), 10 (for 2), 15, 30, 60 minutes and then each hour.
    let attempts = logins(&office);
    assert!((25..=32).contains(&attempts), "{attempts}");
    assert_eq!((office.waiting(), office.count("failed")), (20, 0));
    assert_eq!(
        office.log("failed").len() + office.log("refused").len(),
        0,
        "nobody is told of it by mail"
    );
}

/// As on a full disk.
#[test]
fn a_hold_that_cannot_be_written_ends_the_run() {
    let office = Office::new();
    for to in ["ann@example.com", "bob@example.com", "cid@example.com"] {
        office.submit(&[to], NOTE);
    }
    std::fs::create_dir_all(office.path("state/mailbox")).unwrap();
    let no = Fault::reply("535 5.7.3 Authentication unsuccessful");
    office.machine.exchange.on(Step::Auth, no);
    assert_eq!(office.run(), 77);
    assert_eq!((logins(&office), office.waiting()), (1, 3));
}

#[test]
fn an_expired_secret_is_tried_seldom() {
    let expired = r#"{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys are expired.","error_codes":[7000222]}"#;
    let office = Office::with(
        Exchange::builder()
            .token(Answer::status(401).body(expired))
            .start(),
    );
    office.submit("ann@example.com", NOTE);
    assert_eq!(office.run(), 77);
    let requests = |office: &Office| office.exchange.token_requests().len();
    expect_pauses(&office, &[1, 2, 5, 15, 30, 60, 240, 240], requests);
}

#[test]
fn a_deferred_message_holds_up_no_other_and_is_given_up_after_queue_lifetime() {
    let exchange = Exchange::builder().refuse("ann@example.com", "450 4.2.1 greylisted");
    let office = Office::with(exchange.start());
    office.submit("ann@example.com", NOTE);
    office.submit("bob@example.com", NOTE);
    assert_eq!(office.run(), 0);
    assert_eq!(office.arrived().len(), 1);
    let attempts = |office: &Office| office.log("deferred").len();
    expect_pauses(&office, &[1, 2, 5, 15, 30, 60], attempts);
    office.pass(minutes(60 * 24 * 7));
    assert_eq!(office.run(), 0);
    assert_eq!((office.waiting(), office.count("failed")), (0, 1));
    let failed = office.log("failed");
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
    let office = Office::with(exchange.start());
    office.configure("local_recipient = ops@contoso.com");
    // cid is the third.
    office.exchange.says_nth(3, "Rcpt 450 4.2.1 later");
    let to = ["ann@example.com", "bob@example.com", "cid@example.com"];
    office.submit(&to, "Subject: private\n\nsecret plans\n");
    assert_eq!(office.run(), 0);
    assert_eq!(
        office.log("refused").len(),
        1,
        "{:?}",
        office.log("refused")
    );
    let arrived = office.arrived();
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
    office.submit("bob@example.com", NOTE);
    office.pass(minutes(1));
    assert_eq!(office.run(), 0);
    assert_eq!(office.arrived().len(), 3, "{:?}", office.log("sent"));
    assert_eq!(office.arrived()[2].to, ["cid@example.com"]);
    assert_eq!((office.waiting(), office.count("failed")), (0, 1));
    office.pass(minutes(60 * 24));
    assert_eq!(office.run(), 0);
    let last = office.last();
    assert_eq!(last.to, ["ops@contoso.com"]);
    assert!(
        !last
            .text()
            .contains("550 5.1.10 Recipient not found\r\n\r\n")
    );
    office.pass(minutes(60 * 24));
    assert_eq!(office.run(), 0);
    assert_eq!(office.arrived().len(), 4, "nothing to tell");
}

/// Any user can send to any name in /etc/aliases, such as one that leads to a program.
#[test]
fn an_alias_that_leads_to_no_address_keeps_only_its_own_mail_waiting() {
    let office = Office::new();
    let aliases = office.write(
        "aliases",
        "lists: \"|/usr/bin/lists\"\nops: ops@contoso.com\n",
    );
    office.configure(&format!("aliases = {}", aliases.display()));
    office.submit("lists", NOTE);
    office.submit("ops", NOTE);
    assert_eq!(office.run(), 0);
    assert_eq!((office.arrived().len(), office.waiting()), (1, 1));
    assert_eq!(office.log("held").len(), 0);
    office.write("aliases", "lists: lists@contoso.com\n");
    office.pass(minutes(1));
    assert_eq!(office.run(), 0);
    assert_eq!(office.last().to, ["lists@contoso.com"]);
    // Without the file of aliases, all wait.
    std::fs::remove_file(&aliases).unwrap();
    office.submit("lists", NOTE);
    assert_eq!(office.run(), 78);
    assert_eq!((office.log("held").len(), office.waiting()), (1, 1));
}

#[test]
fn a_recipient_that_is_no_address_is_reported_once() {
    let office = Office::new();
    office.exchange.says("Greeting hangs up");
    let aliases = office.write("aliases", "ops: ops@contoso..com, ann@example.com\n");
    office.configure(&format!("aliases = {}", aliases.display()));
    office.submit("ops", NOTE);
    for _ in 0..5 {
        office.run();
        office.pass(minutes(60));
    }
    assert_eq!(office.log("refused").len(), 1);
    office.exchange.says("Greeting 220 well");
    office.run();
    assert_eq!(office.arrived()[0].to, ["ann@example.com"]);
    assert_eq!(office.log("refused").len(), 1);
}

#[test]
fn a_message_in_doubt_is_sent_again_twice_at_most() {
    let office = Office::new();
    office.submit("ann@example.com", NOTE);
    office.exchange.says("Accept hangs up");
    let mut copies = Vec::new();
    for _ in 0..10 {
        assert_eq!(office.run(), 0);
        copies.push(office.arrived().len());
        office.pass(minutes(15));
    }
    assert_eq!(copies[..4], [1, 2, 3, 3]);
    assert_eq!(copies[9], 3);
    assert_eq!((office.waiting(), office.count("failed")), (0, 1));
    let arrived = office.arrived();
    assert!(
        arrived
            .iter()
            .all(|copy| copy.header("Message-ID") == arrived[0].header("Message-ID"))
    );
    assert_eq!(office.log("possible_duplicate").len(), 2);
    assert!(office.log("failed")[0].contains("may have been delivered"));
}

#[test]
fn a_broken_configuration_holds_the_queue_until_it_is_mended() {
    let office = Office::new();
    office.submit("bob@example.com", NOTE);
    assert_eq!(office.run(), 0);
    let known = || std::fs::read_to_string(office.path("state/mailbox")).unwrap();
    let before = known();
    office.submit("ann@example.com", NOTE);
    office.configure("tenant = another\nnonsense = 1");
    // `spool` is in that file, too, so it has to be named by the variable.
    let spool = office.path("");
    let run = finish(
        office
            .command("exosend")
            .args(["queue", "run"])
            .env("EXOSEND_SPOOL", &spool),
        "",
    );
    run.exits(78).out("").err("");
    assert_eq!(office.waiting(), 1);
    let mut list = office.command("exosend");
    list.arg("queue").env("EXOSEND_SPOOL", &spool);
    let list = finish(&mut list, "").stdout;
    assert!(
        list.contains("all wait for 60 s") && list.contains(", configuration: "),
        "{list}"
    );
    assert_eq!(known(), before, "what was sent in this minute counts on");
    office.configure("");
    assert_eq!(office.run(), 0);
    assert_eq!(office.arrived().len(), 2, "at once");
    let list = office.exosend("queue", "").stdout;
    assert_eq!(list, "Mail queue is empty\n");
}

#[test]
fn runs_that_end_together_send_one_short_digest() {
    let office = Office::new();
    office.configure("local_recipient = ops@contoso.com");
    let to: Vec<_> = (0..400).map(|n| format!("user-{n}@example.com")).collect();
    let to: Vec<_> = to.iter().map(String::as_str).collect();
    office.submit(&to, NOTE);
    office
        .exchange
        .says_nth(1, "Accept 554 5.6.0 Corrupt message content");
    // The first digest cannot be sent.
    office.exchange.says_nth(2, "Accept 451 4.2.1 later");
    assert_eq!(office.run(), 0);
    let digest = std::fs::read_to_string(office.path("state/digest")).unwrap();
    assert!(digest.len() < 1100, "{digest}");
    assert!(
        digest.contains("user-19@example.com, and 380 more"),
        "{digest}"
    );
    office
        .exchange
        .on(Step::Accept, Fault::delay(Duration::from_millis(300)));
    office.pass(minutes(1));
    let run = || start(office.command("exosend").args(["queue", "run"]));
    for mut run in [run(), run(), run()] {
        assert_eq!(run.wait().unwrap().code(), Some(0));
    }
    assert_eq!(office.arrived().len(), 1);
    assert_eq!(office.last().to, ["ops@contoso.com"]);
}

#[test]
fn given_up_messages_are_removed_after_a_month_and_states_of_gone_ones() {
    let office = Office::new();
    office
        .exchange
        .says_nth(1, "Accept 554 5.6.0 Corrupt message content");
    office.submit("ann@example.com", NOTE);
    assert_eq!(office.run(), 0);
    // One of them left by a run that was killed.
    let orphans = ["", ".new"].map(|end| office.path("state").join("a".repeat(32) + end));
    for orphan in &orphans {
        std::fs::write(orphan, "attempts 1\n").unwrap();
    }
    for (days, given_up) in [(1, 1), (28, 1), (2, 0)] {
        office.pass(minutes(60 * 24 * days));
        office.submit("ann@example.com", NOTE);
        assert_eq!(office.run(), 0);
        assert_eq!(office.count("failed"), given_up, "{days} days later");
    }
    assert!(orphans.iter().all(|orphan| !orphan.exists()));
    let log = std::fs::read_to_string(office.machine.path("log")).unwrap();
    assert_eq!(log.matches("event=removed id=").count(), 1);
    assert_eq!((office.arrived().len(), office.waiting()), (3, 0));
}

#[test]
fn a_message_that_aliases_throw_away_does_not_end_a_hold() {
    let office = Office::new();
    let aliases = office.machine.path("aliases");
    std::fs::write(&aliases, "none: /dev/null\n").unwrap();
    office.configure(&format!("aliases = {}", aliases.display()));
    office.exchange.says("Greeting hangs up");
    office.submit("ann@example.com", NOTE);
    assert_eq!(office.run(), 0);
    office.pass(minutes(1));
    office.submit("none", NOTE);
    // The other is tried after it.
    let thrown = std::fs::File::open(office.only("drop")).unwrap();
    thrown.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(office.run(), 0);
    assert_eq!((office.waiting(), office.log("sent").len()), (1, 1));
    let waits = office.log("held").into_iter();
    let waits: Vec<_> = waits.map(|line| line.contains(" wait=120 ")).collect();
    assert_eq!(waits, [false, true]);
}

#[test]
fn a_pipe_among_the_queues_own_files_is_not_waited_for() {
    let office = Office::new();
    office.submit("ann@example.com", NOTE);
    assert_eq!(office.run(), 0);
    // Nor does a file beside the queue's folders stop a run.
    std::fs::write(office.path("work/note~"), "").unwrap();
    let id = "a".repeat(32);
    for (name, code) in [
        ("state/swept", 0),
        (&*format!("state/{id}"), 0),
        ("run", 75),
    ] {
        office.submit("ann@example.com", NOTE);
        std::fs::rename(office.only("drop"), office.path("drop").join(&id)).unwrap();
        let pipe = office.path(name);
        let _ = std::fs::remove_file(&pipe);
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(office.run(), code, "{name}");
        std::fs::remove_file(&pipe).unwrap_or_default();
    }
    assert_eq!(office.run(), 0);
    assert_eq!(office.arrived().len(), 4);
}

/// The crontab line for machines without systemd, and a job that prints something each minute, which cron mails.
#[test]
fn ten_minutes_of_cron_offline_queue_the_jobs_mail_and_no_other() {
    let office = Office::new();
    office.configure("local_recipient = ops@contoso.com");
    office.exchange.says("Greeting hangs up");
    let cron = |line: &str| {
        let mut shell = office.command("sh");
        shell
            .args(["-c", line])
            .env("PATH", "/usr/bin:/bin")
            .env("EXOSEND", env!("CARGO_BIN_EXE_exosend"));
        let run = finish(&mut shell, "");
        let said = run.stdout + &run.stderr;
        if !said.is_empty() {
            office.submit(
                "-i -FCronDaemon root",
                format!("Subject: Cron {line}\n\n{said}"),
            );
        }
    };
    for n in 1..=10 {
        cron(&format!("echo disk is full {n}"));
        cron("\"$EXOSEND\" queue run");
        office.pass(minutes(1));
    }
    assert_eq!((office.waiting(), office.arrived().len()), (10, 0));
    office.exchange.says("Greeting 220 well");
    office.pass(minutes(15));
    cron("\"$EXOSEND\" queue run");
    let mut said: Vec<_> = office
        .arrived()
        .iter()
        .map(|mail| mail.header("Subject").unwrap())
        .collect();
    said.sort();
    said.dedup();
    assert_eq!(
        (said.len(), office.arrived().len(), office.waiting()),
        (10, 10, 0)
    );
}

/// Three runs have all the connections, and wait a minute for the mailbox. Then somebody mends the configuration.
#[test]
fn a_run_that_has_waited_reads_the_configuration_anew() {
    let office = Office::new();
    let file = office.machine.path("home/.config/exosend.conf");
    let right = std::fs::read_to_string(&file).unwrap();
    let server = format!("localhost:{}", office.exchange.port());
    std::fs::write(&file, right.replace(&server, "localhost:9")).unwrap();
    for _ in 0..4 {
        office.submit("ann@example.com", NOTE);
    }
    let by_the_true_clock = |line: &str| {
        let mut command = office.machine.command("exosend");
        command.args(line.split(' '));
        command
    };
    let run = || start(&mut by_the_true_clock("queue run"));
    let first = run();
    // Before the others: with two failures the mailbox is held for longer than a run waits.
    await_that(|| !office.log("held").is_empty());
    let runs = [first, run(), run()];
    await_that(|| office.count("work") == 3);
    std::fs::write(&file, right).unwrap();
    finish(&mut by_the_true_clock("queue run --now"), "").exits(0);
    await_that(|| office.exchange.delivered().len() == 4);
    for run in runs {
        end(run).exits(0);
    }
}
