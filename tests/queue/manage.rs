//! Listing, holding, releasing and removing messages.

use serde_json::Value;

use super::office::{NOTE, Office, minutes};

fn id(office: &Office, folder: &str) -> String {
    let path = office.only(folder);
    path.file_name().unwrap().to_str().unwrap()[..32].to_owned()
}

fn json(office: &Office) -> Value {
    let run = office.exosend("queue --json", "");
    run.exits(0).err("");
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn the_list_shows_what_waits_and_why() {
    let office = Office::new();
    assert_eq!(office.exosend("queue", "").stdout, "Mail queue is empty\n");
    office.submit("ann@example.com bob@example.com", NOTE);
    let id = id(&office, "drop");
    assert_eq!(json(&office)["messages"][0]["state"], "new");
    office.exchange.says("Rcpt 450 4.2.1 later");
    office.run();
    office.pass(minutes(2));
    office.run();
    office.pass(std::time::Duration::from_secs(20));
    let text = office.exosend("queue", "").stdout;
    for expected in [
        &id[..],
        "  waiting  2 min  ",
        "attempts 2, next in 100 s",
        "to ann@example.com, bob@example.com",
        "450 4.2.1 later",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let message = &json(&office)["messages"][0];
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
        assert_eq!(office.call(&format!("{name} -bp"), "").stdout, text);
    }
}

#[test]
fn the_list_shows_why_all_wait() {
    let office = Office::new();
    office.submit("ann@example.com", NOTE);
    office
        .exchange
        .says("AuthBlob 535 5.7.3 Authentication unsuccessful");
    office.run();
    let text = office.exosend("queue", "").stdout;
    assert!(
        text.contains("all wait for 60 s (sudo exosend queue run --now), login: ")
            && text.contains("535 5.7.3"),
        "{text}"
    );
    assert_eq!(json(&office)["mailbox"]["trouble"], "login");
}

#[test]
fn a_message_is_held_released_shown_and_removed() {
    let office = Office::new();
    office.exchange.says_nth(1, "Greeting hangs up");
    office.submit("ann@example.com", NOTE);
    office.run();
    let id = id(&office, "queue");
    let steer = |word: &str, id: &str, code: i32| {
        let run = office.exosend(&["queue", word, id], "");
        assert_eq!(run.code, code, "{word}: {}", run.stderr);
        run
    };
    let shown = steer("show", &id[..8], 0).stdout;
    assert!(
        shown.starts_with("exosend 1\n") && shown.contains("\nSubject: hello\r\n"),
        "{shown}"
    );
    // Every id begins with an empty one, and there is one message only.
    steer("remove", "", 64);
    steer("hold", &id[..8], 0);
    assert_eq!((office.run_now(), office.arrived().len()), (0, 0));
    assert_eq!(json(&office)["messages"][0]["state"], "held");
    steer("release", &id, 0);
    assert_eq!((office.run_now(), office.arrived().len()), (0, 1));
    steer("show", &id, 66);
    office.submit("ann@example.com", NOTE);
    office.submit("ann@example.com", NOTE);
    office.exchange.says("Greeting hangs up");
    office.run();
    steer("remove", "", 64);
    let ids = json(&office);
    let ids: Vec<_> = (0..2)
        .map(|n| ids["messages"][n]["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        office
            .exosend(&["queue", "remove", ids[0], ids[1]], "")
            .code,
        0
    );
    assert_eq!((office.waiting(), office.count("failed")), (0, 0));
    assert_eq!(office.exosend("queue burn", "").code, 64);
}

#[test]
fn a_given_up_message_can_be_released() {
    let office = Office::new();
    office
        .exchange
        .says_nth(1, "Accept 554 5.6.0 Corrupt message content");
    office.submit("ann@example.com", NOTE);
    assert_eq!(office.run(), 0);
    assert_eq!(office.count("failed"), 1);
    let id = id(&office, "failed");
    assert_eq!(office.exosend(&["queue", "release", &id], "").code, 0);
    assert_eq!(office.run(), 0);
    assert_eq!(
        (
            office.arrived().len(),
            office.waiting(),
            office.count("failed")
        ),
        (1, 0, 0)
    );
}

#[test]
fn a_released_message_goes_to_the_recipients_that_are_left() {
    let office = Office::new();
    let to = ["ann@example.com", "bob@example.com"];
    office.submit(&to, NOTE);
    office.exchange.says_nth(2, "Rcpt 450 4.2.1 later");
    assert_eq!(office.run(), 0);
    office
        .exchange
        .says_nth(3, "Rcpt 550 5.1.10 Recipient not found");
    office.pass(minutes(1));
    assert_eq!(office.run(), 0);
    assert_eq!((office.waiting(), office.count("failed")), (0, 1));
    let message = &json(&office)["messages"][0];
    assert_eq!(
        (&message["to"][0], &message["attempts"]),
        (&to[1].into(), &0.into())
    );
    office.pass(minutes(60 * 24 * 3));
    office.submit("cid@example.com", NOTE);
    assert_eq!(office.run(), 0, "it sweeps");
    let id = id(&office, "failed");
    assert_eq!(office.exosend(&["queue", "release", &id], "").code, 0);
    assert_eq!(office.run(), 0);
    let arrived = office.arrived();
    let to: Vec<_> = arrived.iter().flat_map(|mail| &mail.to).collect();
    assert_eq!(
        to,
        ["ann@example.com", "cid@example.com", "bob@example.com"]
    );
    assert_eq!((office.count("failed"), office.waiting()), (0, 0));
}

#[test]
fn a_message_in_drop_can_be_removed_but_not_held() {
    let office = Office::new();
    office.submit("ann@example.com", NOTE);
    let id = id(&office, "drop");
    for word in ["hold", "release"] {
        let run = office.exosend(&["queue", word, &id], "");
        run.exits(75);
        run.err_has("not taken over yet");
    }
    assert_eq!(office.exosend(&["queue", "remove", &id], "").code, 0);
    assert_eq!((office.run(), office.arrived().len()), (0, 0));
}

#[test]
fn max_age_for_monitoring() {
    let office = Office::new();
    office.submit("ann@example.com", NOTE);
    let ask = |age: &str| office.exosend(&["queue", "--max-age", age], "").code;
    office.pass(minutes(30));
    assert_eq!(
        (ask("31m"), ask("29m"), ask("1799"), ask("1d")),
        (0, 1, 1, 0)
    );
    assert_eq!(ask("soon"), 64);
    office.set_clock("another", 5, 5);
    assert_eq!(ask("1m"), 0, "an age that nobody knows is no alarm");
}

#[test]
fn ten_thousand_messages_are_listed() {
    let office = Office::new();
    office.submit("ann@example.com", NOTE);
    let one = std::fs::read(office.only("drop")).unwrap();
    use std::os::unix::fs::PermissionsExt;
    for n in 0..10_000 {
        let path = office.path("drop").join(format!("{n:032x}"));
        std::fs::write(&path, &one).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o740)).unwrap();
    }
    let began = std::time::Instant::now();
    let list = office.exosend("queue", "");
    println!("listed in {:?}", began.elapsed());
    assert_eq!(list.stdout.lines().count(), 2 * 10_001);
}
