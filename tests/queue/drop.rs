//! Hostile and damaged files in `drop`, and processes that die at every step.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use ring::digest::{SHA256, digest};

use super::harness::{NOTE, Queue, minutes};
use crate::exchange::{Exchange, Fault, Step};
use crate::machine::{finish, start};

#[test]
fn a_submitter_that_dies_leaves_a_whole_message_or_none() {
    for (place, delivered) in [
        ("before open", 0),
        ("after open", 0),
        ("mid write", 0),
        ("after write", 0),
        ("after mark", 1),
        ("after sync", 1),
    ] {
        let queue = Queue::new();
        let mut command = queue.command("exosend");
        command.arg("ann@example.com").env("QUEUE_TEST_DIE", place);
        let mut child = start(&mut command);
        use std::io::Write;
        child
            .stdin
            .take()
            .unwrap()
            .write_all(NOTE.as_bytes())
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), None, "{place}");
        assert_eq!(queue.run(), 0);
        assert_eq!(queue.arrived().len(), delivered, "{place}");
        // An unfinished file without a writer is removed after an hour.
        assert_eq!(
            queue.waiting(),
            usize::from(delivered == 0 && place != "before open"),
            "{place}"
        );
        queue.pass(minutes(61));
        assert_eq!(queue.run(), 0);
        assert_eq!(queue.waiting(), 0, "{place}");
        assert_eq!(queue.arrived().len(), delivered, "{place}");
    }
}

#[test]
fn a_run_that_dies_loses_nothing_and_repeats_only_messages_in_doubt() {
    for (place, delivered, in_doubt) in [
        ("after takeover", 1, false),
        ("after claim", 1, false),
        ("before mail", 1, false),
        ("mid data", 1, false),
        ("before dot", 1, false),
        ("after rename", 1, true),
        ("after 250", 2, true),
        ("after unlink", 1, false),
    ] {
        let queue = Queue::new();
        queue.submit("ann@example.com", NOTE);
        queue.run_dying_at(place);
        assert_eq!(queue.run(), 0);
        if in_doubt {
            assert_eq!(queue.waiting(), 1, "{place}: not sent again at once");
            queue.pass(minutes(15));
            assert_eq!(queue.run(), 0);
        }
        let arrived = queue.arrived();
        assert_eq!(arrived.len(), delivered, "{place}");
        assert!(
            arrived
                .iter()
                .all(|message| message.data == arrived[0].data)
        );
        assert_eq!(
            queue.log("possible_duplicate").len(),
            usize::from(in_doubt),
            "{place}"
        );
        assert_eq!(queue.waiting() + queue.count("failed"), 0, "{place}");
    }
}

#[test]
fn a_message_is_reported_twice_if_the_run_dies_while_giving_it_up() {
    for (fault, attempts) in [
        ("Accept 554 5.6.0 Corrupt message content", 1),
        ("Rcpt 450 4.2.1 later", 2),
        ("Accept hangs up", 3),
    ] {
        let queue = Queue::new();
        queue.configure("queue_lifetime = 10m");
        queue.exchange.says(fault);
        queue.submit("ann@example.com", NOTE);
        for _ in 1..attempts {
            assert_eq!(queue.run(), 0);
            queue.pass(minutes(15));
        }
        queue.run_dying_at("after telling");
        let told = || fs::read_to_string(queue.path("state/digest")).unwrap();
        assert_eq!((told().lines().count(), queue.count("failed")), (1, 0));
        for _ in 0..2 {
            queue.pass(minutes(15));
            assert_eq!(queue.run(), 0);
        }
        assert_eq!((queue.waiting(), queue.count("failed")), (0, 1));
        assert_eq!(told().lines().count(), 2);
        let failed = queue.log("failed");
        let to_ann = |line: &String| line.contains(" to=ann@example.com ");
        assert!(failed.len() == 2 && failed.iter().all(to_ann), "{failed:?}");
    }
    let queue = Queue::new();
    queue.submit("ann@example.com", NOTE);
    fs::hard_link(queue.only("drop"), queue.machine.path("mine")).unwrap();
    queue.run_dying_at("after telling");
    assert_eq!(queue.run(), 0);
    assert_eq!((queue.waiting(), queue.count("failed")), (0, 1));
    let uid = fs::metadata(queue.only("failed")).unwrap().uid();
    let told = queue.log("failed");
    assert_eq!(told.len(), 2);
    assert!(told[0].contains(&format!(" uid={uid} ")), "{told:?}");
}

#[test]
fn files_that_are_no_messages_are_not_sent_and_hold_up_no_others() {
    let queue = Queue::new();
    queue.submit("ann@example.com", NOTE);
    let drop = queue.path("drop");
    let put = |name: &str, text: &[u8]| {
        let path = drop.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o740)).unwrap();
    };
    let good = fs::read(queue.only("drop")).unwrap();
    put("zero", b"");
    put(&"0".repeat(32), b"");
    put(
        &"1".repeat(32),
        b"exosend 1\nto ann@example.com\n\nSubject: no end\n\n",
    );
    put(&"2".repeat(32), &good[..good.len() - 30]);
    put(&"3".repeat(32), &[&good[..], b"\n"].concat());
    let mut altered = good.clone();
    let at = altered.len() - 80;
    altered[at] ^= 1;
    put(&"4".repeat(32), &altered);
    put(
        &"5".repeat(32),
        &[&b"exosend 1\nserver evil.example\n"[..], &good[10..]].concat(),
    );
    put(&"6".repeat(32), &[0xff; 5000]);
    symlink("/etc/passwd", drop.join("7".repeat(32))).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(drop.join("8".repeat(32)))
            .status()
            .unwrap()
            .success()
    );
    let elsewhere = queue.machine.path("elsewhere");
    fs::write(&elsewhere, &good).unwrap();
    fs::set_permissions(&elsewhere, Permissions::from_mode(0o740)).unwrap();
    fs::hard_link(&elsewhere, drop.join("9".repeat(32))).unwrap();
    fs::create_dir_all(drop.join("folder/in/folder")).unwrap();
    // A sparse file, which it would take days to read.
    put(&"a".repeat(32), &good);
    let hole = File::options().write(true).open(drop.join("a".repeat(32)));
    hole.unwrap().set_len(1 << 43).unwrap();

    assert_eq!(queue.run(), 0);
    let arrived = queue.arrived();
    assert_eq!(
        (arrived.len(), &*arrived[0].to),
        (1, &["ann@example.com".to_owned()][..])
    );
    assert_eq!(queue.count("failed"), 10, "kept, for somebody to look at");
    let shown = queue.exosend(format!("queue show {}", "a".repeat(32)).as_str(), "");
    assert!(shown.code == 75 && shown.stdout.is_empty(), "{shown:?}");
    assert_eq!(queue.log("failed").len(), 10);
    assert_eq!(queue.log("foreign").len(), 3);
    assert_eq!(queue.only("drop"), drop.join("folder"));
    assert_eq!(fs::read(&elsewhere).unwrap(), good);
    // Reported once.
    assert_eq!(queue.run(), 0);
    assert_eq!(
        (queue.log("failed").len(), queue.log("foreign").len()),
        (10, 3)
    );
}

#[test]
fn a_message_with_a_taken_id_replaces_no_other() {
    let queue = Queue::new();
    let exchange = &queue.exchange;
    exchange.says("Rcpt 451 4.2.1 later");
    queue.submit("ann@example.com", NOTE);
    let name = queue.only("drop");
    assert_eq!(queue.run(), 0);
    let first = fs::read(queue.only("queue")).unwrap();
    // Any user can do this: the id is part of the Message-ID.
    queue.submit("bob@example.com", "Subject: other\n\nx\n");
    fs::rename(queue.only("drop"), &name).unwrap();
    assert_eq!(queue.run(), 0);
    assert_eq!(queue.count("queue"), 2);
    assert_eq!(
        fs::read(queue.path("queue").join(name.file_name().unwrap())).unwrap(),
        first
    );
}

#[test]
fn an_unfinished_message_is_kept_while_its_writer_runs() {
    let queue = Queue::new();
    queue.submit("ann@example.com", NOTE);
    assert_eq!(queue.run(), 0);
    let begun = queue.path("drop").join("a".repeat(32));
    fs::write(&begun, "exosend 1\n").unwrap();
    let mut flock = Command::new("flock");
    flock.arg(&begun).args(["-c", "echo locked; exec cat"]);
    let mut writer = start(&mut flock);
    let mut said = [0; 7];
    std::io::Read::read_exact(writer.stdout.as_mut().unwrap(), &mut said).unwrap();
    queue.pass(minutes(60 * 24 * 30));
    assert_eq!(queue.run(), 0);
    assert!(begun.exists());
    drop(writer.stdin.take());
    writer.wait().unwrap();
    assert_eq!(queue.run(), 0);
    assert!(!begun.exists());
}

#[test]
fn a_user_who_never_finishes_a_message_cannot_keep_a_run_from_ending() {
    let queue = Queue::new();
    queue.submit("ann@example.com", NOTE);
    assert_eq!(queue.run(), 0);
    let begun = queue.path("drop").join("a".repeat(32));
    let write = || fs::write(&begun, "exosend 1\n").unwrap();
    write();
    let mut command = queue.machine.command("exosend");
    let mut run = start(
        command
            .args(["queue", "run"])
            .env("QUEUE_TEST_MINUTE", "500"),
    );
    let since = std::time::Instant::now();
    while run.try_wait().unwrap().is_none() {
        assert!(since.elapsed().as_secs() < 30, "the run does not end");
        write();
        std::thread::yield_now();
    }
}

/// Its owner may still have it open for writing.
#[test]
fn a_message_that_changes_while_it_is_sent_is_not_delivered() {
    use std::os::unix::fs::FileExt;
    let exchange = Exchange::builder().discard_bodies().start();
    let queue = Queue::with(exchange);
    let line = format!("{}\n", "x".repeat(76));
    queue.submit(
        "ann@example.com",
        format!("Subject: x\n\n{}", line.repeat(200_000)),
    );
    queue.submit("bob@example.com", NOTE);
    let mut files: Vec<_> = fs::read_dir(queue.path("drop"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort_by_key(|path| path.metadata().unwrap().len());
    let long = File::options()
        .write(true)
        .open(files.pop().unwrap())
        .unwrap();
    let slow = Fault::delay(std::time::Duration::from_millis(300));
    queue.exchange.on(Step::Data, slow);
    let mut run = start(queue.command("exosend").args(["queue", "run"]));
    queue.exchange.hear("C: DATA");
    long.write_all_at(b"forged", 15_000_000).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    let arrived = queue.arrived();
    assert_eq!(
        (arrived.len(), arrived[0].to[0].as_str()),
        (1, "bob@example.com")
    );
    assert_eq!(queue.count("failed"), 1);
    assert!(queue.log("failed")[0].contains("changed while it was sent"));
}

/// A submit refuses so many; a file that a user writes by hand may have them, and the search for duplicates is quadratic.
#[test]
fn more_recipients_than_a_mailbox_may_have_in_a_day_are_not_tried() {
    let queue = Queue::new();
    let to = (0..10_001).map(|n| format!("a{n}@example.com"));
    let to = to.collect::<Vec<_>>();
    let all = format!("To: {}\nSubject: x\n\nhello\n", to.join(",\n "));
    finish(queue.command("sendmail").arg("-t"), all)
        .exits(65)
        .err("exosend: more recipients than a mailbox may have in a day\n");
    assert_eq!(queue.waiting(), 0);

    let text = format!(
        "exosend 1\nto {}\n\nSubject: x\n\nhello\n",
        to.join("\nto ")
    );
    let sum = digest(&SHA256, text.as_bytes());
    let sum: String = sum.as_ref().iter().map(|n| format!("{n:02x}")).collect();
    let drop = queue.path("drop");
    fs::create_dir_all(&drop).unwrap();
    let file = drop.join("b".repeat(32));
    fs::write(&file, format!("{text}end {sum}\n")).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o740)).unwrap();
    assert_eq!(queue.run(), 0);
    assert_eq!((queue.arrived().len(), queue.count("failed")), (0, 1));
    assert!(queue.log("failed")[0].contains("more recipients than a mailbox"));
}
