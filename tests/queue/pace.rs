//! Exchange's limits of messages and connections, in real time with minutes of one second.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::harness::{NOTE, Queue};
use crate::exchange::{Exchange, Fault, Step};
use crate::machine::{end, start};

const MINUTE: Duration = Duration::from_secs(1);

/// A command by the machine's own clock, with minutes of one second.
fn in_real_time(queue: &Queue, arguments: &[&str]) -> Command {
    let mut command = queue.machine.command("exosend");
    command
        .args(arguments)
        .env("QUEUE_TEST_MINUTE", MINUTE.as_millis().to_string());
    command
}

fn run(queue: &Queue) -> Command {
    in_real_time(queue, &["queue", "run"])
}

/// A message arrived between these two looks at the server.
type Arrival = (Instant, Instant);

/// Runs these commands to their end. Returns when each message arrived, and how many connections there were at most.
fn watch(queue: &Queue, commands: &mut [Command]) -> (Vec<Arrival>, usize) {
    let (exchange, mut before) = (&queue.exchange, Instant::now());
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
        // The smaller of two looks: the kernel's table may change while it is read, and show an ended connection beside its
        // successor.
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

/// At most `rate` messages begin in a minute. So since `began` no more have arrived than may have begun; and in the minute
/// after an arrival no more than `rate`, and one for each other connection, which was being sent at that moment.
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
fn at_most_thirty_messages_are_sent_in_a_minute() {
    let queue = Queue::new();
    for _ in 0..70 {
        queue.submit("ann@example.com", NOTE);
    }
    let began = Instant::now();
    let (arrivals, _) = watch(&queue, &mut [run(&queue)]);
    assert_pace(began, &arrivals, 30, 3);
    assert_eq!((queue.waiting(), queue.arrived().len()), (0, 70));
}

#[test]
fn a_run_sleeps_while_it_waits() {
    let queue = Queue::new();
    queue.configure("rate = 1");
    queue.submit("ann@example.com", NOTE);
    queue.submit("ann@example.com", NOTE);
    let child = start(&mut run(&queue));
    let stat = format!("/proc/{}/stat", child.id());
    let ticks = || {
        let stat = std::fs::read_to_string(&stat).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split(' ').collect();
        fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
    };
    let until = |arrived: usize| {
        let mut spent = 0;
        while queue.exchange.delivered().len() < arrived {
            spent = ticks();
            std::thread::sleep(Duration::from_millis(5));
        }
        spent
    };
    until(1);
    let before = ticks();
    let spent = until(2) - before;
    // A run that asks all the time whether the minute is over spends all of it. The second message takes some, too.
    assert!(spent <= 20, "{spent} hundredths of a second, of {MINUTE:?}");
    end(child).exits(0);
}

#[test]
fn at_most_three_connections_are_open_and_three_where_many_messages_wait() {
    let queue = Queue::with(
        Exchange::builder()
            .on(Step::Accept, Fault::delay(Duration::from_millis(20)))
            .start(),
    );
    queue.configure("rate = 0");
    for _ in 0..60 {
        queue.submit("ann@example.com", NOTE);
    }
    let logins = || queue.exchange.settle().said("C: AUTH");
    // With real minutes: by short ones a message takes so long that a run starts another one.
    let run = || {
        let mut run = queue.machine.command("exosend");
        run.args(["queue", "run"]);
        run
    };
    let (arrivals, most) = watch(&queue, &mut [(); 8].map(|()| run()));
    assert_eq!(arrivals.len(), 60);
    assert!(most <= 3, "{most}");
    // One run starts two others if there is work for them, and none if there is not.
    for (messages, connections) in [(60, 3), (5, 1)] {
        let before = logins();
        for _ in 0..messages {
            queue.submit("ann@example.com", NOTE);
        }
        let (arrivals, most) = watch(&queue, &mut [run()]);
        assert_eq!((arrivals.len(), logins() - before), (messages, connections));
        assert!(most <= 3, "{most}");
    }
    assert_eq!(queue.arrived().len(), 125);
}

#[test]
fn a_message_that_is_sent_at_once_keeps_to_the_limits() {
    let queue = Queue::new();
    // A run makes the folders of the connections.
    queue.submit("ann@example.com", NOTE);
    assert_eq!(queue.run(), 0);
    queue.configure("connections = 1\nrate = 2");
    let send = ["send", "--to", "ann@example.com", "--text", "x"];
    let began = Instant::now();
    let mut five = [(); 5].map(|()| in_real_time(&queue, &send));
    let (arrivals, most) = watch(&queue, &mut five);
    assert_eq!((arrivals.len(), most), (5, 1));
    assert_pace(began, &arrivals, 2, 1);
    // By real minutes it would have to wait too long.
    queue.configure("connections = 1\nrate = 1");
    let run = queue.machine.run(&send, "");
    run.exits(75).err_has("robot@contoso.com: not before ");
    run.err_has(" s from now: rate");
}

#[test]
fn a_user_with_many_messages_holds_up_no_other_user() {
    let queue = Queue::new();
    queue.configure("rate = 0");
    // The owner of the file is the user whose message it is.
    for n in 0..20 {
        queue.submit("ann@example.com", format!("Subject: {n}\n\nx\n"));
    }
    if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(queue.path("drop")).unwrap()) != 0 {
        return; // Only root can give files away.
    }
    for entry in std::fs::read_dir(queue.path("drop")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::create_dir_all(queue.path("queue")).unwrap();
        std::os::unix::fs::chown(&path, Some(33), None).unwrap();
        std::fs::rename(&path, queue.path("queue").join(path.file_name().unwrap())).unwrap();
    }
    queue.submit("ann@example.com", "Subject: other\n\nx\n");
    let run = in_real_time(&queue, &["queue", "run", "--set", "connections=1"]);
    watch(&queue, &mut [run]);
    let subjects: Vec<_> = queue
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
    let queue = Queue::new();
    let slow = Fault::delay(Duration::from_secs(60));
    queue.exchange.on_nth(Step::Accept, 1, slow);
    queue.submit("ann@example.com", "Subject: long\n\nx\n");
    let child = start(&mut run(&queue));
    queue.exchange.hear("C: DATA");
    queue.submit("bob@example.com", "Subject: short\n\nx\n");
    let patience = Instant::now() + Duration::from_secs(20);
    while queue.log("sent").is_empty() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = queue.log("sent");
    assert!(sent[0].contains("to=bob@example.com"), "{sent:?}");
    queue.exchange.hurry();
    end(child).exits(0);
    assert_eq!(queue.arrived().len(), 2);
}

/// A run reads at its beginning when each message is due.
#[test]
fn a_message_that_another_run_has_deferred_is_not_tried_at_once() {
    let queue = Queue::with(
        Exchange::builder()
            .refuse("bob@example.com", "450 4.2.1 later")
            .start(),
    );
    let exchange = &queue.exchange;
    exchange.on_nth(Step::Accept, 1, Fault::delay(Duration::from_secs(60)));
    queue.submit("ann@example.com", NOTE);
    queue.submit("bob@example.com", NOTE);
    let run = || start(queue.command("exosend").args(["queue", "run"]));
    let mut first = run();
    exchange.hear("C: DATA");
    assert_eq!(run().wait().unwrap().code(), Some(0));
    assert_eq!(queue.log("deferred").len(), 1);
    exchange.hurry();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert_eq!((queue.arrived().len(), queue.count("queue")), (1, 1));
    assert_eq!(queue.log("deferred").len(), 1);
}
