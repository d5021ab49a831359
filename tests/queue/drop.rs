//! Hostile and damaged files in `drop`, and processes that die at every step.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use ring::digest::{SHA256, digest};

use super::office::{NOTE, Office, minutes};
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
        let office = Office::new();
        let mut command = office.command("exosend");
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
        assert_eq!(office.run(), 0);
        assert_eq!(office.arrived().len(), delivered, "{place}");
        // An unfinished file without a writer is removed after an hour.
        assert_eq!(
            office.waiting(),
            usize::from(delivered == 0 && place != "before open"),
            "{place}"
        );
        office.pass(minutes(61));
        assert_eq!(office.run(), 0);
        assert_eq!(office.waiting(), 0, "{place}");
        assert_eq!(office.arrived().len(), delivered, "{place}");
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
        let office = Office::new();
        office.submit("ann@example.com", NOTE);
        office.run_dying_at(place);
        assert_eq!(office.run(), 0);
        if in_doubt {
            assert_eq!(office.waiting(), 1, "{place}: not sent again at once");
            office.pass(minutes(15));
            assert_eq!(office.run(), 0);
        }
        let arrived = office.arrived();
        assert_eq!(arrived.len(), delivered, "{place}");
        assert!(
            arrived
                .iter()
                .all(|message| message.data == arrived[0].data)
        );
        assert_eq!(
            office.log("possible_duplicate").len(),
            usize::from(in_doubt),
            "{place}"
        );
        assert_eq!(office.waiting() + office.count("failed"), 0, "{place}");
    }
}

#[test]
fn a_run_that_dies_while_it_gives_up_reports_it_twice_and_never_not_at_all() {
    for (fault, attempts) in [
        ("Accept 554 5.6.0 Corrupt message content", 1),
        ("Rcpt 450 4.2.1 later", 2),
        ("Accept hangs up", 3),
    ] {
        let office = Office::new();
        office.configure("queue_lifetime = 10m");
        office.exchange.says(fault);
        office.submit("ann@example.com", NOTE);
        for _ in 1..attempts {
            assert_eq!(office.run(), 0);
            office.pass(minutes(15));
        }
        office.run_dying_at("after telling");
        let told = || fs::read_to_string(office.path("state/digest")).unwrap();
        assert_eq!((told().lines().count(), office.count("failed")), (1, 0));
        for _ in 0..2 {
            office.pass(minutes(15));
            assert_eq!(office.run(), 0);
        }
        assert_eq!((office.waiting(), office.count("failed")), (0, 1));
        assert_eq!(told().lines().count(), 2);
        let failed = office.log("failed");
        let to_ann = |line: &String| line.contains(" to=ann@example.com ");
        assert!(failed.len() == 2 && failed.iter().all(to_ann), "{failed:?}");
    }
    let office = Office::new();
    office.submit("ann@example.com", NOTE);
    fs::hard_link(office.only("drop"), office.machine.path("mine")).unwrap();
    office.run_dying_at("after telling");
    assert_eq!(office.run(), 0);
    assert_eq!((office.waiting(), office.count("failed")), (0, 1));
    let uid = fs::metadata(office.only("failed")).unwrap().uid();
    let told = office.log("failed");
    assert_eq!(told.len(), 2);
    assert!(told[0].contains(&format!(" uid={uid} ")), "{told:?}");
}

#[test]
fn files_that_are_no_messages_are_not_sent_and_hold_up_no_others() {
    let office = Office::new();
    office.submit("ann@example.com", NOTE);
    let drop = office.path("drop");
    let put = |name: &str, text: &[u8]| {
        let path = drop.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o740)).unwrap();
    };
    let good = fs::read(office.only("drop")).unwrap();
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
    let elsewhere = office.machine.path("elsewhere");
    fs::write(&elsewhere, &good).unwrap();
    fs::set_permissions(&elsewhere, Permissions::from_mode(0o740)).unwrap();
    fs::hard_link(&elsewhere, drop.join("9".repeat(32))).unwrap();
    fs::create_dir_all(drop.join("folder/in/folder")).unwrap();
    // A sparse file, which it would take days to read.
    put(&"a".repeat(32), &good);
    let hole = File::options().write(true).open(drop.join("a".repeat(32)));
    hole.unwrap().set_len(1 << 43).unwrap();

    assert_eq!(office.run(), 0);
    let arrived = office.arrived();
    assert_eq!(
        (arrived.len(), &*arrived[0].to),
        (1, &["ann@example.com".to_owned()][..])
    );
    assert_eq!(office.count("failed"), 10, "kept, for somebody to look at");
    let shown = office.exosend(format!("queue show {}", "a".repeat(32)).as_str(), "");
    assert!(shown.code == 75 && shown.stdout.is_empty(), "{shown:?}");
    assert_eq!(office.log("failed").len(), 10);
    assert_eq!(office.log("foreign").len(), 3);
    assert_eq!(office.only("drop"), drop.join("folder"));
    assert_eq!(fs::read(&elsewhere).unwrap(), good);
    // Reported once.
    assert_eq!(office.run(), 0);
    assert_eq!(
        (office.log("failed").len(), office.log("foreign").len()),
        (10, 3)
    );
}

#[test]
fn a_message_with_a_taken_id_replaces_no_other() {
    let office = Office::new();
    let exchange = &office.exchange;
    exchange.says("Rcpt 451 4.2.1 later");
    office.submit("ann@example.com", NOTE);
    let name = office.only("drop");
    assert_eq!(office.run(), 0);
    let first = fs::read(office.only("queue")).unwrap();
    // As by a user who knows its id from the Message-ID.
    office.submit("bob@example.com", "Subject: other\n\nx\n");
    fs::rename(office.only("drop"), &name).unwrap();
    assert_eq!(office.run(), 0);
    assert_eq!(office.count("queue"), 2);
    assert_eq!(
        fs::read(office.path("queue").join(name.file_name().unwrap())).unwrap(),
        first
    );
}

#[test]
fn an_unfinished_message_is_kept_while_its_writer_lives() {
    let office = Office::new();
    office.submit("ann@example.com", NOTE);
    assert_eq!(office.run(), 0);
    let begun = office.path("drop").join("a".repeat(32));
    fs::write(&begun, "exosend 1\n").unwrap();
    let mut flock = Command::new("flock");
    flock.arg(&begun).args(["-c", "echo locked; exec cat"]);
    let mut writer = start(&mut flock);
    let mut said = [0; 7];
    std::io::Read::read_exact(writer.stdout.as_mut().unwrap(), &mut said).unwrap();
    office.pass(minutes(60 * 24 * 30));
    assert_eq!(office.run(), 0);
    assert!(begun.exists());
    drop(writer.stdin.take());
    writer.wait().unwrap();
    assert_eq!(office.run(), 0);
    assert!(!begun.exists());
}

#[test]
fn a_user_who_never_finishes_a_message_cannot_keep_a_run_from_ending() {
    let office = Office::new();
    office.submit("ann@example.com", NOTE);
    assert_eq!(office.run(), 0);
    let begun = office.path("drop").join("a".repeat(32));
    let write = || fs::write(&begun, "exosend 1\n").unwrap();
    write();
    let mut command = office.machine.command("exosend");
    let mut run = start(
        command
            .args(["queue", "run"])
            .env("QUEUE_TEST_MINUTE", "500"),
    );
    let since = std::time::Instant::now();
    while run.try_wait().unwrap().is_none() {
        assert!(since.elapsed().as_secs() < 30, "without an end");
        write();
        std::thread::yield_now();
    }
}

/// Its owner may still have it open for writing.
#[test]
fn a_message_that_changes_while_it_is_sent_is_not_delivered() {
    use std::os::unix::fs::FileExt;
    let exchange = Exchange::builder().discard_bodies().start();
    let office = Office::with(exchange);
    let line = format!("{}\n", "x".repeat(76));
    office.submit(
        "ann@example.com",
        format!("Subject: x\n\n{}", line.repeat(200_000)),
    );
    office.submit("bob@example.com", NOTE);
    let mut files: Vec<_> = fs::read_dir(office.path("drop"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort_by_key(|path| path.metadata().unwrap().len());
    let long = File::options()
        .write(true)
        .open(files.pop().unwrap())
        .unwrap();
    let slow = Fault::delay(std::time::Duration::from_millis(300));
    office.exchange.on(Step::Data, slow);
    let mut run = start(office.command("exosend").args(["queue", "run"]));
    office.exchange.hear("C: DATA");
    long.write_all_at(b"forged", 15_000_000).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    let arrived = office.arrived();
    assert_eq!(
        (arrived.len(), arrived[0].to[0].as_str()),
        (1, "bob@example.com")
    );
    assert_eq!(office.count("failed"), 1);
    assert!(office.log("failed")[0].contains("changed while it was sent"));
}

/// A submit refuses so many, but any user can write such a file, and duplicates are searched for in quadratic time.
#[test]
fn more_recipients_than_a_mailbox_may_have_in_a_day_are_not_tried() {
    let office = Office::new();
    let to = (0..10_001).map(|n| format!("a{n}@example.com"));
    let to = to.collect::<Vec<_>>();
    let all = format!("To: {}\nSubject: x\n\nhello\n", to.join(",\n "));
    finish(office.command("sendmail").arg("-t"), all)
        .exits(65)
        .err("exosend: more recipients than a mailbox may have in a day\n");
    assert_eq!(office.waiting(), 0);
    assert_eq!(office.waiting(), 0);

    let text = format!(
        "exosend 1\nto {}\n\nSubject: x\n\nhello\n",
        to.join("\nto ")
    );
    let sum = digest(&SHA256, text.as_bytes());
    let sum: String = sum.as_ref().iter().map(|n| format!("{n:02x}")).collect();
    let drop = office.path("drop");
    fs::create_dir_all(&drop).unwrap();
    let file = drop.join("b".repeat(32));
    fs::write(&file, format!("{text}end {sum}\n")).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o740)).unwrap();
    assert_eq!(office.run(), 0);
    assert_eq!((office.arrived().len(), office.count("failed")), (0, 1));
    assert!(office.log("failed")[0].contains("more recipients than a mailbox"));
}
