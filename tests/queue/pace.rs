//! At Exchange's pace: real time, in which a minute lasts two seconds.

use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::office::{NOTE, Office};
use crate::exchange::{Exchange, Fault, Step};
use crate::machine::start;

const MINUTE: Duration = Duration::from_secs(2);
/// Between the moment a message begins, which is counted, and the one it is seen to arrive, on a busy machine.
const SLACK: Duration = Duration::from_millis(300);

/// A run that has the machine's clock.
fn run(office: &Office) -> Command {
    let mut command = office.machine.command("exosend");
    command
        .args(["queue", "run"])
        .env("QUEUE_TEST_MINUTE", MINUTE.as_millis().to_string());
    command
}

/// When a message arrived: two looks, of which only the second saw it.
type Arrival = (Instant, Instant);

/// When each message arrived, and how many connections there were at most, until the children have ended.
fn watch(office: &Office, mut children: Vec<Child>) -> (Vec<Arrival>, usize) {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (mut arrivals, mut most) = (Vec::new(), 0);
            let mut before = Instant::now();
            loop {
                let last = ended.load(Ordering::Relaxed);
                let now = Instant::now();
                let seen = office.exchange.delivered().len();
                arrivals.resize(seen, (before, Instant::now()));
                before = now;
                // The table is not read at once: a connection that ends meanwhile may stand beside its successor.
                let look = || connections(office.exchange.port());
                most = most.max(look().min(look()));
                if last {
                    return (arrivals, most);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for child in &mut children {
            assert_eq!(child.wait().unwrap().code(), Some(0));
        }
        ended.store(true, Ordering::Relaxed);
        watcher.join().unwrap()
    })
}

/// By the kernel's word: the server's ends that are established. One that the client has closed is not.
fn connections(port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{port:04X}");
    let rows = table
        .lines()
        .map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1].ends_with(&local) && row[3] == ESTABLISHED)
        .count()
}

fn ticks(child: &Child) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn never_more_than_thirty_messages_in_any_minute() {
    let office = Office::new();
    for _ in 0..70 {
        office.submit(&["ann@example.com"], NOTE);
    }
    let began = Instant::now();
    let child = start(&mut run(&office));
    while office.exchange.delivered().len() < 30 {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(100));
    let before = ticks(&child);
    std::thread::sleep(Duration::from_millis(800));
    assert!(ticks(&child) - before <= 2, "it sleeps while it waits");
    let (arrivals, _) = watch(&office, vec![child]);
    assert_eq!(arrivals.len(), 70);
    assert!(began.elapsed() >= 2 * MINUTE, "two full waits");
    for window in arrivals.windows(31).skip(30) {
        assert!(window[30].1 - window[0].0 + SLACK >= MINUTE);
    }
    assert_eq!((office.waiting(), office.arrived().len()), (0, 70));
}

#[test]
fn never_more_than_three_connections_and_three_where_many_wait() {
    let office = Office::with(
        Exchange::builder()
            .on(Step::Accept, Fault::delay(Duration::from_millis(20)))
            .start(),
    );
    office.configure("rate = 0");
    for _ in 0..60 {
        office.submit(&["ann@example.com"], NOTE);
    }
    let logins = || {
        let transcript = office.exchange.settle().transcript();
        transcript
            .iter()
            .filter(|line| line.starts_with("C: AUTH"))
            .count()
    };
    let runs = (0..8).map(|_| start(&mut run(&office))).collect();
    let (arrivals, most) = watch(&office, runs);
    assert_eq!(arrivals.len(), 60);
    assert!(most <= 3, "{most}");
    // One run alone calls two others where there is work for them, and only there.
    for (messages, connections) in [(60, 3), (5, 1)] {
        let (arrived, before) = (office.exchange.delivered().len(), logins());
        for _ in 0..messages {
            office.submit(&["ann@example.com"], NOTE);
        }
        let (arrivals, most) = watch(&office, vec![start(&mut run(&office))]);
        assert_eq!(
            (arrivals.len() - arrived, logins() - before),
            (messages, connections)
        );
        assert!(most <= 3, "{most}");
    }
    assert_eq!(office.arrived().len(), 125);
}

#[test]
fn what_goes_straight_waits_for_its_turn() {
    let office = Office::new();
    office.configure("connections = 1\nqueue = off\nrate = 2");
    let send = |timeout: &str| {
        let mut command = office.machine.command("exosend");
        let timeout = format!("timeout={timeout}");
        command.args([
            "send",
            "--to",
            "ann@example.com",
            "--subject",
            "x",
            "--text",
            "x",
            "--set",
            &timeout,
        ]);
        command.env("QUEUE_TEST_MINUTE", MINUTE.as_millis().to_string());
        start(&mut command)
    };
    // The queue makes the folders that count.
    office.configure("connections = 1\nrate = 2");
    office.submit(&["ann@example.com"], NOTE);
    assert_eq!(office.run(), 0);
    let (arrivals, most) = watch(&office, (0..5).map(|_| send("20")).collect());
    assert_eq!((arrivals.len(), most), (6, 1));
    // The first two may have arrived before anybody looked.
    for window in arrivals.windows(3).skip(2) {
        assert!(window[2].1 - window[0].0 + SLACK >= MINUTE);
    }
    let run = crate::machine::end(send("0.5"));
    run.exits(75);
    run.err_has("robot@contoso.com: not before ");
    run.err_has(" s from now: rate");
}

#[test]
fn a_long_message_keeps_nobody_waiting_and_neither_does_somebody_with_many() {
    let office = Office::new();
    office.configure("rate = 0");
    // As another user would have put them there: the last word on whose they are is the file's.
    for n in 0..20 {
        office.submit(&["ann@example.com"], format!("Subject: {n}\n\nx\n"));
    }
    if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(office.path("drop")).unwrap()) != 0 {
        return; // Only root can give files away.
    }
    for entry in std::fs::read_dir(office.path("drop")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::create_dir_all(office.path("queue")).unwrap();
        std::os::unix::fs::chown(&path, Some(33), None).unwrap();
        std::fs::rename(&path, office.path("queue").join(path.file_name().unwrap())).unwrap();
    }
    office.submit(&["ann@example.com"], "Subject: other\n\nx\n");
    watch(
        &office,
        vec![start(run(&office).args(["--set", "connections=1"]))],
    );
    let subjects: Vec<_> = office
        .arrived()
        .iter()
        .map(|m| m.header("Subject").unwrap())
        .collect();
    let place = subjects
        .iter()
        .position(|subject| subject == "other")
        .unwrap();
    assert!(place <= 1, "{subjects:?}");
}

/// Such as a long one over a slow line: the others go over another connection.
#[test]
fn what_comes_while_one_message_takes_long_does_not_wait_for_it() {
    let office = Office::new();
    let slow = Fault::delay(Duration::from_secs(4));
    office.exchange.on_nth(Step::Accept, 1, slow);
    office.submit(&["ann@example.com"], "Subject: long\n\nx\n");
    let child = start(&mut run(&office));
    while !office
        .exchange
        .transcript()
        .iter()
        .any(|line| line.contains("DATA"))
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    office.submit(&["bob@example.com"], "Subject: short\n\nx\n");
    watch(&office, vec![child]);
    assert_eq!(office.arrived().len(), 2);
    let sent = office.log("sent");
    assert!(sent[0].contains("to=bob@example.com"), "{sent:?}");
}

/// A run knows when each message is due from its beginning, and others work meanwhile.
#[test]
fn what_another_run_has_put_off_is_not_tried_at_once() {
    let office = Office::with(
        Exchange::builder()
            .refuse("bob@example.com", "450 4.2.1 later")
            .start(),
    );
    let exchange = &office.exchange;
    exchange.on_nth(Step::Accept, 1, Fault::delay(Duration::from_secs(2)));
    office.submit(&["ann@example.com"], NOTE);
    office.submit(&["bob@example.com"], NOTE);
    let run = || start(office.command("exosend").args(["queue", "run"]));
    let mut first = run();
    while !exchange
        .transcript()
        .iter()
        .any(|line| line.contains("DATA"))
    {
        std::thread::yield_now();
    }
    assert_eq!(run().wait().unwrap().code(), Some(0));
    assert_eq!(office.log("deferred").len(), 1);
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert_eq!((office.arrived().len(), office.count("queue")), (1, 1));
    assert_eq!(office.log("deferred").len(), 1);
}
