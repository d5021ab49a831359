//! Listing, holding, releasing and removing messages.

use serde_json::Value;

use super::harness::{NOTE, Queue, minutes};

fn id(queue: &Queue, folder: &str) -> String {
    let path = queue.only(folder);
    path.file_name().unwrap().to_str().unwrap()[..32].to_owned()
}

fn json(queue: &Queue) -> Value {
    let run = queue.exosend("queue --json", "");
    run.exits(0).err("");
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn the_list_shows_what_waits_and_why() {
    let queue = Queue::new();
    assert_eq!(queue.exosend("queue", "").stdout, "Mail queue is empty\n");
    queue.submit("ann@example.com bob@example.com", NOTE);
    let id = id(&queue, "drop");
    assert_eq!(json(&queue)["messages"][0]["state"], "new");
    queue.exchange.says("Rcpt 450 4.2.1 later");
    queue.run();
    queue.pass(minutes(2));
    queue.run();
    queue.pass(std::time::Duration::from_secs(20));
    let text = queue.exosend("queue", "").stdout;
    for expected in [
        &id[..],
        "  waiting  2 min  ",
        "attempts 2, next in 100 s",
        "to ann@example.com, bob@example.com",
        "450 4.2.1 later",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let message = &json(&queue)["messages"][0];
    assert_eq!(
        (
            &message["id"],
            &message["age"],
            &message["next"],
            &message["attempts"]
        ),
        (&id.into(), &140.into(), &100.into(), &2.into())
    );
    for name in ["sendmail", "exosend"] {
        assert_eq!(queue.call(&format!("{name} -bp"), "").stdout, text);
    }
}

#[test]
fn the_list_shows_why_all_wait() {
    let queue = Queue::new();
    queue.submit("ann@example.com", NOTE);
    queue
        .exchange
        .says("AuthBlob 535 5.7.3 Authentication unsuccessful");
    queue.run();
    let text = queue.exosend("queue", "").stdout;
    assert!(
        text.contains("all wait for 60 s (sudo exosend queue run --now), login: ")
            && text.contains("535 5.7.3"),
        "{text}"
    );
    assert_eq!(json(&queue)["mailbox"]["trouble"], "login");
}

#[test]
fn a_message_is_held_released_shown_and_removed() {
    let queue = Queue::new();
    queue.exchange.says_nth(1, "Greeting hangs up");
    queue.submit("ann@example.com", NOTE);
    queue.run();
    let id = id(&queue, "queue");
    let manage = |word: &str, id: &str, code: i32| {
        let run = queue.exosend(&["queue", word, id], "");
        assert_eq!(run.code, code, "{word}: {}", run.stderr);
        run
    };
    let shown = manage("show", &id[..8], 0).stdout;
    assert!(
        shown.starts_with("exosend 1\n") && shown.contains("\nSubject: hello\r\n"),
        "{shown}"
    );
    // An empty id is the beginning of every id, and here there is one message only.
    manage("remove", "", 64);
    manage("hold", &id[..8], 0);
    assert_eq!((queue.run_now(), queue.arrived().len()), (0, 0));
    assert_eq!(json(&queue)["messages"][0]["state"], "held");
    manage("release", &id, 0);
    assert_eq!((queue.run_now(), queue.arrived().len()), (0, 1));
    manage("show", &id, 66);
    queue.submit("ann@example.com", NOTE);
    queue.submit("ann@example.com", NOTE);
    queue.exchange.says("Greeting hangs up");
    queue.run();
    manage("remove", "", 64);
    let ids = json(&queue);
    let ids: Vec<_> = (0..2)
        .map(|n| ids["messages"][n]["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        queue.exosend(&["queue", "remove", ids[0], ids[1]], "").code,
        0
    );
    assert_eq!((queue.waiting(), queue.count("failed")), (0, 0));
    assert_eq!(queue.exosend("queue burn", "").code, 64);
}

#[test]
fn a_given_up_message_can_be_released() {
    let queue = Queue::new();
    queue.give_up();
    let id = id(&queue, "failed");
    assert_eq!(queue.exosend(&["queue", "release", &id], "").code, 0);
    assert_eq!(queue.run(), 0);
    assert_eq!(
        (
            queue.arrived().len(),
            queue.waiting(),
            queue.count("failed")
        ),
        (1, 0, 0)
    );
}

#[test]
fn a_released_message_goes_to_the_recipients_who_did_not_get_it() {
    let queue = Queue::new();
    let to = ["ann@example.com", "bob@example.com"];
    queue.submit(&to, NOTE);
    queue.exchange.says_nth(2, "Rcpt 450 4.2.1 later");
    assert_eq!(queue.run(), 0);
    queue
        .exchange
        .says_nth(3, "Rcpt 550 5.1.10 Recipient not found");
    queue.pass(minutes(1));
    assert_eq!(queue.run(), 0);
    assert_eq!((queue.waiting(), queue.count("failed")), (0, 1));
    let message = &json(&queue)["messages"][0];
    assert_eq!(
        (&message["to"][0], &message["attempts"]),
        (&to[1].into(), &0.into())
    );
    queue.pass(minutes(60 * 24 * 3));
    queue.submit("cid@example.com", NOTE);
    assert_eq!(queue.run(), 0, "this run also removes old files");
    let id = id(&queue, "failed");
    assert_eq!(queue.exosend(&["queue", "release", &id], "").code, 0);
    assert_eq!(queue.run(), 0);
    let arrived = queue.arrived();
    let to: Vec<_> = arrived.iter().flat_map(|mail| &mail.to).collect();
    assert_eq!(
        to,
        ["ann@example.com", "cid@example.com", "bob@example.com"]
    );
    assert_eq!((queue.count("failed"), queue.waiting()), (0, 0));
}

#[test]
fn a_message_in_drop_can_be_removed_but_not_held() {
    let queue = Queue::new();
    queue.submit("ann@example.com", NOTE);
    let id = id(&queue, "drop");
    for word in ["hold", "release"] {
        let run = queue.exosend(&["queue", word, &id], "");
        run.exits(75);
        run.err_has("not taken over yet");
    }
    assert_eq!(queue.exosend(&["queue", "remove", &id], "").code, 0);
    assert_eq!((queue.run(), queue.arrived().len()), (0, 0));
}

#[test]
fn max_age_exits_with_1_if_a_message_is_older() {
    let queue = Queue::new();
    queue.submit("ann@example.com", NOTE);
    let ask = |age: &str| queue.exosend(&["queue", "--max-age", age], "").code;
    queue.pass(minutes(30));
    assert_eq!(
        (ask("31m"), ask("29m"), ask("1799"), ask("1d")),
        (0, 1, 1, 0)
    );
    assert_eq!(ask("soon"), 64);
    queue.set_clock("another", 5, 5);
    assert_eq!(ask("1m"), 0, "no alarm for an unknown age");
}

#[test]
fn ten_thousand_messages_are_listed() {
    let queue = Queue::new();
    queue.submit("ann@example.com", NOTE);
    let one = std::fs::read(queue.only("drop")).unwrap();
    use std::os::unix::fs::PermissionsExt;
    for n in 0..10_000 {
        let path = queue.path("drop").join(format!("{n:032x}"));
        std::fs::write(&path, &one).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o740)).unwrap();
    }
    let began = std::time::Instant::now();
    let list = queue.exosend("queue", "");
    println!("listed in {:?}", began.elapsed());
    assert_eq!(list.stdout.lines().count(), 2 * 10_001);
}
