//! Plays the transcripts in memory: no sockets, no TLS, every write and read in its place.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::Dialogue;
use crate::message::envelope::{Content, Envelope};
use crate::secret::Secret;
use crate::smtp::login::Greeted;
use crate::smtp::wire::{Wire, blob};
use crate::timeouts::Deadline;
use crate::tls::Stream;
use crate::token::Token;
use crate::{Account, Error};
use player::{Step, Transcript};

#[path = "player.rs"]
mod player;

#[test]
fn every_transcript_is_played_as_written() {
    for transcript in player::all() {
        play(&transcript);
    }
}

fn play(transcript: &Transcript) {
    let mut account = Account::new("robot@contoso.com");
    for (key, value) in &transcript.settings {
        account.set(key, value).unwrap();
    }
    let length = if transcript.short_token { 43 } else { 2012 };
    let letters = (0..length).map(|n| char::from(b'A' + (n * n % 26) as u8));
    let now = SystemTime::now();
    let token = Token::new(Secret::new(letters.collect()), now, now);
    let login = blob(&[
        "user=robot@contoso.com\x01auth=Bearer ",
        token.secret(),
        "\x01\x01",
    ]);
    let mut steps: VecDeque<_> = transcript.steps.iter().cloned().collect();
    for step in &mut steps {
        if let Step::Server(said) = step {
            player::fill_in(said, login.expose());
        }
    }
    let script = Arc::new(Mutex::new(Script {
        name: transcript.name.clone(),
        steps,
        login: login.expose().to_owned(),
    }));
    let text = transcript.text();
    let mut outcomes = Vec::new();
    match open(&account, &token, &script) {
        Err(error) => outcomes.push(player::outcome(&Err(error))),
        Ok(mut dialogue) => {
            for send in &transcript.sends {
                let envelope = Envelope::new("robot@contoso.com").partial(send.partial);
                let envelope = send.to.iter().fold(envelope, Envelope::to);
                let content = Content {
                    size: Some(text.len() as u64),
                    maybe_8bit: false,
                    international: None,
                };
                let total = Deadline::total(&account.timeouts);
                if send.probe {
                    let envelope = envelope.size(text.len() as u64);
                    let result =
                        dialogue.probe(&envelope.route().unwrap(), envelope.content(), total);
                    outcomes.push(player::outcome_of_probe(result));
                    continue;
                }
                let result =
                    dialogue.send(&envelope.route().unwrap(), content, total, &mut |out| {
                        out.write_all(text.as_bytes())
                    });
                outcomes.push(player::outcome(&result));
            }
        }
    }
    transcript.assert_outcomes(&outcomes);
    let script = script.lock().unwrap();
    // What the server still had to say may stay unread, what the client had to say may not stay unsaid.
    let unsaid: Vec<_> = script
        .steps
        .iter()
        .filter(|step| matches!(step, Step::Client(_) | Step::Tls))
        .collect();
    assert!(unsaid.is_empty(), "{}: not said: {unsaid:?}", script.name);
}

fn open(account: &Account, token: &Token, script: &Arc<Mutex<Script>>) -> Result<Dialogue, Error> {
    let memory = || {
        Box::new(Memory {
            script: script.clone(),
            closed: false,
            late: false,
        })
    };
    let wire = Wire::new(
        memory(),
        account.timeouts.clone(),
        Deadline::total(&account.timeouts),
    );
    let upgrade = |_: Box<dyn Stream>| -> Result<Box<dyn Stream>, Error> {
        script.lock().unwrap().take(&Step::Tls);
        Ok(memory())
    };
    let secured = Greeted::greet(wire, "[127.0.0.1]")?.start_tls(upgrade, "[127.0.0.1]")?;
    let logged_in = secured.authenticate(account.mailbox(), token, account.initial_response)?;
    Ok(Dialogue::new(logged_in))
}

struct Script {
    name: String,
    steps: VecDeque<Step>,
    login: String,
}

impl Script {
    fn take(&mut self, expected: &Step) {
        let step = self.steps.pop_front();
        assert_eq!(step.as_ref(), Some(expected), "{}", self.name);
    }

    /// Compares a write with the script: a flight comes in one write, a message in several, its final dot in the last.
    fn heard(&mut self, bytes: &[u8]) {
        let Some(Step::Client(lines)) = self.steps.front() else {
            panic!(
                "{}: out of turn: {:?}",
                self.name,
                String::from_utf8_lossy(&bytes[..bytes.len().min(200)])
            );
        };
        if lines[0] == "<message>" || lines[0] == "<block>" {
            assert!(
                bytes.starts_with(b"..xx"),
                "{}: dots are doubled",
                self.name
            );
            if lines[0] == "<block>" || bytes.ends_with(b"x\r\n.\r\n") {
                self.steps.pop_front();
            }
            return;
        }
        let said = std::str::from_utf8(bytes)
            .unwrap()
            .strip_suffix("\r\n")
            .expect("a whole line");
        let said: Vec<_> = said.split("\r\n").collect();
        let expected: Vec<_> = lines
            .iter()
            .map(|line| line.replace("<login>", &self.login))
            .collect();
        assert_eq!(expected, said, "{}", self.name);
        self.steps.pop_front();
    }
}

#[derive(Clone)]
struct Memory {
    script: Arc<Mutex<Script>>,
    closed: bool,
    /// The deadline has passed: no read waits.
    late: bool,
}

impl Stream for Memory {
    /// One read for each write of the server's.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut script = self.script.lock().unwrap();
        let Script { name, steps, .. } = &mut *script;
        match steps.front_mut() {
            Some(Step::Server(bytes)) => {
                let n = bytes.len().min(buffer.len());
                buffer[..n].copy_from_slice(&bytes[..n]);
                bytes.drain(..n);
                if bytes.is_empty() {
                    steps.pop_front();
                }
                Ok(n)
            }
            Some(Step::Close) => Ok(0),
            _ if self.late => Err(io::ErrorKind::TimedOut.into()),
            other => panic!("{name}: waits for the server, whose turn it is not: {other:?}"),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut script = self.script.lock().unwrap();
        // A server that is about to hang up, whatever it says before that, reads no more.
        let hangs_up = script
            .steps
            .iter()
            .find(|step| !matches!(step, Step::Server(_)))
            .is_some_and(|step| *step == Step::Close);
        if self.closed || hangs_up {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        script.heard(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_deadline(&mut self, deadline: Deadline) {
        self.late = deadline.remaining().is_err();
    }

    fn read_late(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.script.lock().unwrap().steps.front() {
            Some(Step::Server(_) | Step::Close) => {}
            _ => return Err(io::ErrorKind::TimedOut.into()),
        }
        self.read(buffer)
    }

    fn close(&mut self) {
        self.closed = true;
    }
}
