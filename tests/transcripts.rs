//! Plays the transcripts over real connections: loopback, TLS, a real token from the stand-in's Entra.

mod exchange;
#[path = "transcripts/player.rs"]
mod player;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use exchange::{Certificate, Exchange};
use exosend::{self, Account, Envelope, Message, Session};
use player::{Step, Transcript};
use rustls::{ServerConnection, StreamOwned};

#[test]
fn every_transcript() {
    let (long, short) = (Exchange::start(), Exchange::builder().short_token().start());
    for transcript in player::all() {
        let entra = if transcript.short_token {
            &short
        } else {
            &long
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let account = entra
            .account()
            .server("localhost", listener.local_addr().unwrap().port());
        thread::scope(|scope| {
            scope.spawn(|| serve(&listener, &transcript));
            let outcomes = converse(account, &transcript);
            transcript.assert_outcomes(&outcomes);
        });
    }
}

fn converse(mut account: Account, transcript: &Transcript) -> Vec<String> {
    account.set("ehlo_name", "[127.0.0.1]").unwrap();
    // A test that fails shall not take the five minutes of RFC 5321.
    account.set("timeout", "20").unwrap();
    for (key, value) in &transcript.settings {
        account.set(key, value).unwrap();
    }
    let mut session = match Session::open(&account) {
        Ok(session) => session,
        Err(error) => return vec![player::outcome(&Err(error))],
    };
    let text = transcript.text();
    let mut outcomes = Vec::new();
    for send in &transcript.sends {
        if send.probe {
            let envelope = Envelope::new("robot@contoso.com")
                .partial(send.partial)
                .size(text.len() as u64);
            let envelope = send.to.iter().fold(envelope, Envelope::to);
            outcomes.push(player::outcome_of_probe(session.probe(&envelope)));
            continue;
        }
        let message = send.to.iter().fold(
            Message::new().text(&text).partial(send.partial),
            Message::to,
        );
        outcomes.push(player::outcome(&session.send(&message)));
    }
    session.quit();
    outcomes
}

/// The server's side, line by line.
fn serve(listener: &TcpListener, transcript: &Transcript) {
    let mut wire = Wire::Plain(BufReader::new(listener.accept().unwrap().0));
    let mut login = String::new();
    for step in &transcript.steps {
        match step {
            Step::Client(lines) => {
                for expected in lines {
                    if expected == "<message>" || expected == "<block>" {
                        wire.read_until(if expected == "<block>" {
                            b"xxx\r\n..xxx".as_slice()
                        } else {
                            b"x\r\n.\r\n"
                        });
                        continue;
                    }
                    let said = wire.read_until(b"\r\n");
                    let said = said.trim_end_matches("\r\n");
                    if expected.contains("<login>") {
                        login = said.rsplit(' ').next().unwrap().to_owned();
                        let plain = String::from_utf8(STANDARD.decode(&login).unwrap()).unwrap();
                        assert!(
                            plain.starts_with("user=robot@contoso.com\x01auth=Bearer ")
                                && plain.ends_with("\x01\x01")
                        );
                    }
                    let expected = expected.replace("<login>", &login);
                    assert!(
                        player::matches(&expected, said),
                        "{}: expected {expected}, heard {said}",
                        transcript.name
                    );
                }
            }
            Step::Server(bytes) => {
                let mut bytes = bytes.clone();
                player::fill_in(&mut bytes, &login);
                // A client that has heard enough may be gone.
                let _ = wire.say(&bytes);
            }
            Step::Tls => wire = wire.upgrade(),
            Step::Close => return,
        }
    }
    // Nothing is said that no line of the transcript expects, such as QUIT on a broken session.
    let rest = wire.read_until(b"");
    assert_eq!(rest, "", "{}", transcript.name);
}

enum Wire {
    Plain(BufReader<TcpStream>),
    Tls(Box<BufReader<StreamOwned<ServerConnection, TcpStream>>>),
}

impl Wire {
    fn upgrade(self) -> Self {
        let Wire::Plain(plain) = self else {
            panic!("a second handshake")
        };
        assert_eq!(plain.buffer(), b"", "said in the clear");
        let config = Certificate::Good.config(rustls::ALL_VERSIONS);
        let tls = StreamOwned::new(ServerConnection::new(config).unwrap(), plain.into_inner());
        Wire::Tls(Box::new(BufReader::new(tls)))
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Plain(io) => io.get_mut().write_all(bytes),
            Wire::Tls(io) => io
                .get_mut()
                .write_all(bytes)
                .and_then(|()| io.get_mut().flush()),
        }
    }

    /// Up to and with `end`; everything for an empty one.
    fn read_until(&mut self, end: &[u8]) -> String {
        let io: &mut dyn BufRead = match self {
            Wire::Plain(io) => io,
            Wire::Tls(io) => io,
        };
        let mut heard = Vec::new();
        match end.last() {
            Some(&last) => {
                while io.read_until(last, &mut heard).is_ok_and(|n| n > 0) && !heard.ends_with(end)
                {
                }
            }
            None => drop(io.read_to_end(&mut heard)),
        }
        String::from_utf8_lossy(&heard).into_owned()
    }
}
