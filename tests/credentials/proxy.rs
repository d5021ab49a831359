//! Token requests by a proxy. The environment says which one, so each is a process of its own.

use std::io::{BufRead, BufReader, Write, copy};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::child::{Scratch, command, everything, outcome};
use super::exchange::Exchange;

/// Answers the client of a CONNECT to this address.
type Answer = fn(&TcpStream, &str);

/// Starts a proxy that answers each CONNECT in this way; returns its address.
fn proxy(answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while !lines.next().unwrap().unwrap().is_empty() {}
            let to = first.split(' ').nth(1).unwrap().to_owned();
            thread::spawn(move || answer(&client, &to));
        }
    });
    address
}

fn send(exchange: &Exchange, variables: &[(&str, &str)]) -> String {
    let scratch = Scratch::new();
    let mut command = command(exchange, &scratch, variables);
    outcome(command.envs(exchange.application()).spawn().unwrap())
}

fn tunnel(mut client: &TcpStream, to: &str) {
    let server = TcpStream::connect(to).unwrap();
    let mut ways = [(client, &server), (&server, client)].map(|(from, to)| {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        (from, to)
    });
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    thread::scope(|scope| {
        for (from, to) in &mut ways {
            scope.spawn(move || copy(from, to));
        }
    });
}

#[test]
fn the_token_is_fetched_by_the_proxy() {
    let exchange = Exchange::start();
    let address = proxy(tunnel);
    let sent = send(&exchange, &[("HTTPS_PROXY", &address)]);
    assert!(sent.starts_with("sent: 250"), "{sent}");
}

#[test]
fn http_proxy_is_ignored() {
    let exchange = Exchange::start();
    let sent = send(&exchange, &[("HTTP_PROXY", "http://127.0.0.1:1")]);
    assert!(sent.starts_with("sent: 250"), "{sent}");
}

#[test]
fn a_proxy_that_cannot_be_reached_is_named() {
    let exchange = Exchange::start();
    let failed = send(&exchange, &[("ALL_PROXY", "http://u:hush@127.0.0.1:1")]);
    let expected = format!(
        "failed: token {}:{} via proxy 127.0.0.1:1 (ALL_PROXY): connection refused",
        exchange.host(),
        exchange.authority().rsplit(':').next().unwrap()
    );
    assert!(failed.starts_with(&expected), "{failed}");
    // The error names the variable that is set.
    let failed = send(&exchange, &[("HTTPS_PROXY", "http://a..b:3128")]);
    assert!(failed.contains("via proxy a..b:3128"), "{failed}");
    assert!(failed.contains("set HTTPS_PROXY ("), "{failed}");
}

/// Only the number of a proxy's answer is shown: its words may repeat the login.
#[test]
fn a_proxy_that_repeats_its_login_is_not_quoted() {
    const LOGIN: &str = "dTpodXNo"; // u:hush
    let answers: [(Answer, &str); 2] = [
        (
            |mut client, _| {
                let answer = format!("HTTP/1.1 407 {LOGIN}?\r\nX: {LOGIN}\r\n\r\nu:hush");
                client.write_all(answer.as_bytes()).unwrap();
            },
            "the proxy says HTTP 407",
        ),
        (
            |mut client, to| {
                let answer = format!("CONNECT {to} HTTP/1.1\r\nP: Basic {LOGIN}\r\n\r\n");
                client.write_all(answer.as_bytes()).unwrap();
            },
            "the proxy does not speak HTTP",
        ),
    ];
    for (answer, expected) in answers {
        let exchange = Exchange::start();
        let value = format!("http://u:hush@{}", proxy(answer));
        let variables = [("https_proxy", value.as_str())];
        let scratch = Scratch::new();
        let mut command = command(&exchange, &scratch, &variables);
        let child = command.envs(exchange.application()).spawn().unwrap();
        let said = everything(child);
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains(LOGIN) && !said.contains("hush"), "{said}");
    }
}

#[test]
fn a_proxy_that_answers_a_byte_at_a_time_ends_with_the_bound() {
    let drip = |mut client: &TcpStream, _: &str| {
        let endless = b"HTTP/1.1 200 OK\r\nX: "
            .iter()
            .chain(std::iter::repeat(&b'x'));
        for byte in endless {
            if client.write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    };
    let exchange = Exchange::start();
    let address = proxy(drip);
    let start = Instant::now();
    let failed = send(
        &exchange,
        &[("HTTPS_PROXY", &address), ("EXOSEND_TIMEOUT", "1")],
    );
    assert!(
        failed.contains("timed out after 1s (timeout `total`)"),
        "{failed}"
    );
    assert!(start.elapsed() < Duration::from_secs(10));
}
