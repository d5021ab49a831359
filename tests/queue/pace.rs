//! Exchange's limits, in real time with minutes of one second.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::office::{NOTE, Office};
use crate::exchange::{Exchange, Fault, Step};
use crate::machine::{end, start};

const MINUTE: Duration = Duration::from_secs(1);

/// A command with short minutes and the machine's own clock.
fn in_real_time(office: &Office, arguments: &[&str]) -> Command {
    let mut command = office.machine.command("exosend");
    command
        .args(arguments)
        .env("QUEUE_TEST_MINUTE", MINUTE.as_millis().to_string());
    command
}

fn run(office: &Office) -> Command {
    in_real_time(office, &["queue", "run"])
}

/// When a message arrived: between these two looks.
type Arrival = (Instant, Instant);

/// Runs these commands to their end. Returns when each message arrived, and how many connections there were at most.
fn watch(office: &Office, commands: &mut [Command]) -> (Vec<Arrival>, usize) {
    let (exchange, mut before) = (&office.exchange, Instant::now());
    let known = exchange.delivered().len();
    let mut children: Vec<_> = commands.iter_mut().map(start).collect();
    let (mut arrivals, mut most) = (Vec::new(), 0);
    loop {
        let running = |child: &mut Child| child.try_wait().unwrap().is_none();
        let last = !children.iter_mut().any(running);
        let now = Instant::now();
        let seen = exchange.delivered().len() - known;
        arrivals.resize(seen, (before, Instant::now()));
        before = now;
        // The smaller of two looks: the kernel's table is not read at once, so that one look may find a connection that has
        // ended and its successor.
        let look = || connections(exchange.port());
        most = most.max(look().min(look()));
        if last {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    for child in children {
        end(child).exits(0);
    }
    (arrivals, most)
}

/// No more than `rate` messages begin in any minute, however slow this machine is. So since `began` no more have arrived
/// than may have begun; and in the minute after an arrival no more than `rate` and one on each other connection, which was
/// being sent at that moment.
fn assert_pace(began: Instant, arrivals: &[Arrival], rate: usize, connections: usize) {
    for (n, (_, seen)) in arrivals.iter().enumerate() {
        let minutes = u32::try_from(n / rate).unwrap();
        assert!(*seen - began >= MINUTE * minutes, "the {n}th");
    }
    for window in arrivals.windows(rate + 1 + connections) {
        let (first, last) = (window[0].0, window[rate + connections].1);
        assert!(last - first >= MINUTE);
    }
}

/// The server's ends that the kernel calls established: not those that the client has closed.
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

#[test]
fn never_more_than_thirty_messages_in_any_minute() {
    let office = Office::new();
    for _ in 0..70 {
        office.submit("ann@example.com", NOTE);
    }
    let began = Instant::now();
    let (arrivals, _) = watch(&office, &mut [run(&office)]);
    assert_pace(began, &arrivals, 30, 3);
    assert_eq!((office.waiting(), office.arrived().len()), (0, 70));
}

#[test]
fn it_sleeps_while_it_waits() {
    let office = Office::new();
    office.configure("rate = 1");
    office.submit("ann@example.com", NOTE);
    office.submit("ann@example.com", NOTE);
    let child = start(&mut run(&office));
    let stat = format!("/proc/{}/stat", child.id());
    let ticks = || {
        let stat = std::fs::read_to_string(&stat).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split(' ').collect();
        fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
    };
    let until = |arrived: usize| {
        let mut spent = 0;
        while office.exchange.delivered().len() < arrived {
            spent = ticks();
            std::thread::sleep(Duration::from_millis(5));
        }
        spent
    };
    until(1);
    let before = ticks();
    let spent = until(2) - before;
    assert!(spent <= 2, "{spent} hundredths of a second, of {MINUTE:?}");
    end(child).exits(0);
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
        office.submit("ann@example.com", NOTE);
    }
    let logins = || office.exchange.settle().said("C: AUTH");
    // With whole minutes, because in short ones a message would take long enough to call another run.
    let run = || {
        let mut run = office.machine.command("exosend");
        run.args(["queue", "run"]);
        run
    };
    let (arrivals, most) = watch(&office, &mut [(); 8].map(|()| run()));
    assert_eq!(arrivals.len(), 60);
    assert!(most <= 3, "{most}");
    // One run calls two others if there is work for them, and none if there is not.
    for (messages, connections) in [(60, 3), (5, 1)] {
        let before = logins();
        for _ in 0..messages {
            office.submit("ann@example.com", NOTE);
        }
        let (arrivals, most) = watch(&office, &mut [run()]);
        assert_eq!((arrivals.len(), logins() - before), (messages, connections));
        assert!(most <= 3, "{most}");
    }
    assert_eq!(office.arrived().len(), 125);
}

#[test]
fn a_message_that_is_sent_at_once_waits_for_its_turn() {
    let office = Office::new();
    // A run makes the folders of the connections.
    office.submit("ann@example.com", NOTE);
    assert_eq!(office.run(), 0);
    office.configure("connections = 1\nrate = 2");
    let send = ["send", "--to", "ann@example.com", "--text", "x"];
    let began = Instant::now();
    let mut five = [(); 5].map(|()| in_real_time(&office, &send));
    let (arrivals, most) = watch(&office, &mut five);
    assert_eq!((arrivals.len(), most), (5, 1));
    assert_pace(began, &arrivals, 2, 1);
    // A whole minute is longer than it would wait.
    office.configure("connections = 1\nrate = 1");
    let run = office.machine.run(&send, "");
    run.exits(75).err_has("robot@contoso.com: not before ");
    run.err_has(" s from now: rate");
}

#[test]
fn neither_a_long_message_nor_a_user_with_many_holds_up_others() {
    let office = Office::new();
    office.configure("rate = 0");
    // As by another user: whose a message is, its file's owner says.
    for n in 0..20 {
        office.submit("ann@example.com", format!("Subject: {n}\n\nx\n"));
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
    office.submit("ann@example.com", "Subject: other\n\nx\n");
    let run = in_real_time(&office, &["queue", "run", "--set", "connections=1"]);
    watch(&office, &mut [run]);
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

#[test]
fn messages_that_come_while_a_long_one_is_sent_do_not_wait_for_it() {
    let office = Office::new();
    let slow = Fault::delay(Duration::from_secs(60));
    office.exchange.on_nth(Step::Accept, 1, slow);
    office.submit("ann@example.com", "Subject: long\n\nx\n");
    let child = start(&mut run(&office));
    office.exchange.hear("C: DATA");
    office.submit("bob@example.com", "Subject: short\n\nx\n");
    let patience = Instant::now() + Duration::from_secs(20);
    while office.log("sent").is_empty() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = office.log("sent");
    assert!(sent[0].contains("to=bob@example.com"), "{sent:?}");
    office.exchange.hurry();
    end(child).exits(0);
    assert_eq!(office.arrived().len(), 2);
}

/// A run reads at its beginning when each message is due.
#[test]
fn a_message_that_another_run_has_deferred_is_not_tried_at_once() {
    let office = Office::with(
        Exchange::builder()
            .refuse("bob@example.com", "450 4.2.1 later")
            .start(),
    );
    let exchange = &office.exchange;
    exchange.on_nth(Step::Accept, 1, Fault::delay(Duration::from_secs(60)));
    office.submit("ann@example.com", NOTE);
    office.submit("bob@example.com", NOTE);
    let run = || start(office.command("exosend").args(["queue", "run"]));
    let mut first = run();
    exchange.hear("C: DATA");
    assert_eq!(run().wait().unwrap().code(), Some(0));
    assert_eq!(office.log("deferred").len(), 1);
    exchange.hurry();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert_eq!((office.arrived().len(), office.count("queue")), (1, 1));
    assert_eq!(office.log("deferred").len(), 1);
}
