//! The part of sending that all forms of the command share: the session, and the report of how it ended.

use std::time::Duration;

use exosend::advice::{Condition, condition};
use exosend::{Envelope, Error, Receipt, Session};

use crate::addressing::check_address;
use crate::common::Common;
use crate::config::Config;
use crate::exit::{self, Failure};
use crate::maillog::{self, LogTo};
use crate::out::{say_json, warn_unprinted};
use crate::queue::turn::Turn;
use crate::report::{self, Facts, Outcome};

/// Opens a session and sends one message; for `--dry-run`, only probes. If Exchange asks for a short pause, it is tried once
/// more after it, because without a queue nobody else does that.
pub(crate) fn deliver(
    config: &Config,
    common: &Common,
    envelope: &Envelope,
    send: &mut dyn FnMut(&mut Session) -> Result<Receipt, Error>,
) -> Result<Outcome, Failure> {
    config.account.check_envelope(envelope)?;
    let turn = Turn::wait(config)?;
    let learn = |error: Error| {
        turn.iter().for_each(|turn| turn.learn(&error));
        Failure::from(error)
    };
    let mut attempt = || {
        let mut session = Session::open(&config.account).map_err(learn)?;
        if common.dry_run {
            let checked = session.probe(envelope).map(Outcome::Checked);
            session.quit();
            return checked.map_err(learn);
        }
        turn.as_ref().map_or(Ok(()), Turn::begin)?;
        let sent = send(&mut session).map(Outcome::Sent);
        session.quit();
        sent.map_err(learn)
    };
    let failure = match attempt() {
        Ok(outcome) => return Ok(outcome),
        Err(failure) => failure,
    };
    let asked = failure.error().filter(|error| error.is_transient());
    match asked.and_then(pause).filter(|_| !common.dry_run) {
        Some(pause) => {
            let pause = pause.min(config.patience / 3);
            log::info!("{}: once more in {} s", failure.what(), pause.as_secs());
            std::thread::sleep(pause);
            attempt()
        }
        None => Err(failure),
    }
}

/// How long to wait until another process has closed its connection, or the minute of the rate is over. It differs by
/// process, so that those that wait at the same time do not come back at the same time.
fn pause(error: &Error) -> Option<Duration> {
    let spread = u64::from(std::process::id() % 10);
    match condition(error)? {
        Condition::TooManyConnections => Some(Duration::from_secs(5 + spread)),
        Condition::TooFast => Some(Duration::from_secs(60 + spread)),
        _ => None,
    }
}

/// An envelope from the mailbox to all recipients that are addresses. They are checked here, because the session does it
/// after the login only. With partial delivery, the others are no reason to stop.
pub(crate) fn envelope(config: &Config, facts: &mut Facts) -> Result<Envelope, Failure> {
    let partial = config.settings.partial;
    let mut to = Vec::new();
    for address in facts.to.drain(..) {
        match check_address(&address) {
            Ok(()) => to.push(address),
            Err(error) if !partial => return Err(error.into()),
            Err(error) => facts.wrong.push(error.to_string()),
        }
    }
    facts.to = to;
    match (facts.to.as_slice(), facts.wrong.first()) {
        ([], Some(what)) => return Err(Failure::data(what)),
        (_, Some(what)) if !partial => return Err(Failure::data(what)),
        _ => {}
    }
    let envelope = Envelope::new(config.account.mailbox()).partial(partial);
    Ok(facts.to.iter().fold(envelope, Envelope::to))
}

/// Reports what became of the message: in the log, on stdout and, by the failure it returns, on stderr and to the caller.
pub(crate) fn conclude(
    config: &Config,
    common: &Common,
    facts: &Facts,
    result: Result<Outcome, Failure>,
) -> Result<(), Failure> {
    let (outcome, failure) = match result {
        Ok(outcome) => {
            let failure = refused_some(&outcome, facts);
            (Some(outcome), failure)
        }
        Err(failure) => (None, Some(config.blame(failure))),
    };
    let error = failure.as_ref().and_then(Failure::error);
    let message_id = error.and_then(Error::message_id).map(str::to_owned);
    let facts = &Facts {
        message_id: facts.message_id.clone().or(message_id),
        note: config.secret_end(),
        ..facts.clone()
    };
    let failure = failure.map(|failure| {
        let failure = failure.naming(facts.message_id.as_deref());
        match config.settings.retry_in_doubt {
            true => failure.retried_in_doubt(),
            false => failure,
        }
    });
    publish(
        &config.settings.log,
        common,
        facts,
        outcome.as_ref(),
        failure.as_ref(),
    );
    failure.map_or(Ok(()), |failure| Err(failure.printed()))
}

/// The same if no configuration could be loaded, which could name a log: in syslog.
pub(crate) fn unconfigured(common: &Common, failure: Failure) -> Failure {
    publish(
        &LogTo::Usual,
        common,
        &Facts::default(),
        None,
        Some(&failure),
    );
    failure.printed()
}

fn publish(
    log: &LogTo,
    common: &Common,
    facts: &Facts,
    outcome: Option<&Outcome>,
    failure: Option<&Failure>,
) {
    let line = report::line(facts, outcome, failure);
    log::info!("{line}");
    maillog::write(log, &line, failure.is_some());
    if common.json {
        warn_unprinted(say_json(&report::object(facts, outcome, failure)));
    }
}

/// The failure after partial delivery. Never exit code 75: the caller would send the message to the others again.
fn refused_some(outcome: &Outcome, facts: &Facts) -> Option<Failure> {
    let refused = outcome.refused().iter().map(ToString::to_string);
    let refused: Vec<_> = refused.chain(facts.wrong.iter().cloned()).collect();
    let first = refused.first()?;
    let more = match refused.len() {
        1 => String::new(),
        n => format!(" (and {} more refused)", n - 1),
    };
    // As the words begin in an error of one recipient.
    let own = ["recipient: ", "recipient ", "message to: "];
    let bare = own.iter().find_map(|begin| first.strip_prefix(begin));
    let what = format!("recipient {}{more}", bare.unwrap_or(first));
    let hint = match outcome {
        Outcome::Checked { .. } => "the other recipients would get the message (partial = true)",
        Outcome::Sent(_) | Outcome::ThrownAway => {
            "the other recipients get the message (partial = true)"
        }
    };
    Some(Failure::new(exit::NO_USER, what).with_hint(hint))
}
