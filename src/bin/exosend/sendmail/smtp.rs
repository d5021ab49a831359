//! `-bs`: SMTP on standard input, as Symfony, Laravel, Drupal and Alpine call sendmail, or behind a socket unit for
//! programs on this machine that speak SMTP only.
//!
//! Messages go into the queue if there is one. If not, those from a pipe are sent at once.

use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::AsFd;

use rustix::io::Errno;

use super::client::Timed;
use super::dialogue::{self, Dialogue};
use super::mail::Mail;
use crate::addressing::Addressing;
use crate::common::Common;
use crate::config::Config;
use crate::deliver::conclude;
use crate::exit::{self, Failure};
use crate::maillog;
use crate::queue::route::Route;
use crate::queue::spool::{self, Spool};
use crate::report::{self, Facts, Outcome};

pub(super) fn run(common: &Common) -> Result<(), Failure> {
    let peer = peer();
    let timed = |end| Timed::new(end).map_err(|error| gone(&error));
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let (input, out) = (timed(stdin.as_fd())?, timed(stdout.as_fd())?);
    let mut dialogue = Dialogue::new(input, out, spool::host());
    if matches!(peer, Peer::Stranger) {
        dialogue.say("554 5.7.1 only for programs on this machine");
        return dialogue.end().map_err(|error| gone(&error));
    }
    let to = match (Route::of(common, None, common.verbose), peer) {
        (Ok(Route::Queue(spool) | Route::Fallback(_, spool)), _) => To::Queue(spool),
        (Ok(Route::Straight(config)), Peer::Pipe) => To::Server(Box::new(config)),
        (Ok(Route::Straight(_)), _) => To::Nowhere("no queue here".into()),
        (Err(failure), _) => To::Nowhere(failure.what().to_owned()),
    };
    match dialogue.serve(&mut Destination { to, common }) {
        Ok(()) => dialogue.end().map_err(|error| gone(&error)),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            dialogue.say("421 4.4.2 nothing was said or read for too long");
            let _ = dialogue.end();
            Err(Failure::new(
                exit::TRY_AGAIN,
                "-bs: the client said or read nothing for too long",
            ))
        }
        Err(error) => Err(gone(&error)),
    }
}

fn gone(error: &io::Error) -> Failure {
    Failure::new(exit::TRY_AGAIN, format!("-bs: {error}"))
}

/// The other end of standard input.
#[derive(Clone, Copy)]
enum Peer {
    Pipe,
    Loopback,
    /// Refused, so that a socket unit that listens on all addresses makes no open relay.
    Stranger,
}

fn peer() -> Peer {
    let Ok(stdin) = io::stdin().as_fd().try_clone_to_owned() else {
        return Peer::Stranger;
    };
    match TcpStream::from(stdin).peer_addr() {
        Ok(peer) if peer.ip().to_canonical().is_loopback() => Peer::Loopback,
        Ok(_) => Peer::Stranger,
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOTSOCK) => Peer::Pipe,
        // A Unix socket.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Peer::Pipe,
        Err(_) => Peer::Stranger,
    }
}

enum To {
    Queue(Spool),
    Server(Box<Config>),
    Nowhere(String),
}

struct Destination<'c> {
    to: To,
    common: &'c Common,
}

impl dialogue::Backend for Destination<'_> {
    fn unavailable(&self) -> Option<&str> {
        match &self.to {
            To::Nowhere(why) => Some(why),
            _ => None,
        }
    }

    fn take(&mut self, addressing: Addressing, mut text: impl Read) -> Result<String, String> {
        let mail = Mail::dictated(&mut text, addressing);
        let taken = mail.and_then(|mail| match &self.to {
            To::Queue(spool) => {
                let id = mail.enqueue(self.common, spool)?;
                Ok(format!("queued as {id}"))
            }
            To::Server(config) => straight(mail, config, self.common),
            To::Nowhere(why) => Err(Failure::new(exit::TRY_AGAIN, why.as_str())),
        });
        taken.map_err(|failure| refusal(&failure))
    }
}

fn straight(mut mail: Mail, config: &Config, common: &Common) -> Result<String, Failure> {
    let mut facts = Facts {
        from: config.account.mailbox().to_owned(),
        ..Facts::default()
    };
    let result = mail.send(common, config, &mut facts);
    if let Err(failure) = &result {
        if failure.code() == exit::IN_DOUBT {
            let line = report::line(&facts, None, Some(failure));
            let line = format!("event=possible_duplicate {line}");
            maillog::write(&config.settings.log, &line, true);
        }
    }
    let words = result.as_ref().map(Outcome::text).ok();
    match (words, conclude(config, common, &facts, result)) {
        // Some recipients may have been refused (`partial`), but a refusal of the message would repeat it for all.
        (Some(words), _) => Ok(words),
        (None, Err(failure)) => Err(failure),
        (None, Ok(())) => Ok(String::new()),
    }
}

/// The reply, which makes the client try again or give up.
fn refusal(failure: &Failure) -> String {
    let code = match failure.code() {
        exit::DATA | exit::USAGE => "554 5.6.0",
        exit::NO_USER => "550 5.1.1",
        exit::UNAVAILABLE => "554 5.0.0",
        _ => "451 4.3.0",
    };
    format!("{code} {}", failure.what())
}
