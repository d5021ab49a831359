//! AUTH XOAUTH2, in one step or two.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::super::fault::Step;
use super::super::{Shared, clock, random};
use super::Dialogue;
use super::wire::Flow;

impl Dialogue<'_> {
    /// Notes an AUTH line with the length of its blob instead of the blob.
    pub(super) fn note_auth(&self, argument: &str) {
        let shown = match argument.split_once(' ') {
            Some((mechanism, blob)) => format!("{mechanism} [{} octets]", blob.len()),
            None => argument.to_owned(),
        };
        self.shared.note(format!("C: AUTH {shown}"));
    }

    pub(super) fn auth(&mut self, argument: &str) -> Flow<()> {
        let (mechanism, initial) = argument
            .split_once(' ')
            .map_or((argument, None), |(m, blob)| (m, Some(blob)));
        if !self.phase.tls {
            // Whatever was on the line is in the open now.
            self.shared.violation("AUTH in the clear");
            self.wire.say("504 5.7.4 Unrecognized authentication type");
            return Ok(());
        }
        if !self.phase.greeted || self.phase.authenticated || self.transaction.is_some() {
            return self.out_of_sequence("AUTH out of place (RFC 4954 4)");
        }
        if !mechanism.eq_ignore_ascii_case("XOAUTH2")
            || !self.shared.config.offers_mechanism("XOAUTH2")
        {
            self.shared
                .violation(format!("AUTH {mechanism} is not offered, or not XOAUTH2"));
            self.wire.say("504 5.7.4 Unrecognized authentication type");
            return Ok(());
        }
        match initial {
            Some(blob) => match self.shared.fault(Step::Auth) {
                Some((_, fault)) => {
                    let reply = verdict(self.shared, blob);
                    let code = self.wire.perform(&fault, &reply)?;
                    self.conclude(code)
                }
                None => self.judge_blob(blob),
            },
            None => {
                // RFC 4954 4: the space is part of an empty challenge.
                if self.answer(Step::Auth, "334 ")? != 334 {
                    return Ok(());
                }
                let blob = self.blob()?;
                self.judge_blob(&blob)
            }
        }
    }

    fn blob(&mut self) -> Flow<String> {
        let blob = self.wire.line()?.unwrap_or_default();
        self.shared.note(format!("C: [{} octets]", blob.len()));
        if blob.len() + 2 > 12_288 {
            self.shared
                .violation("a base64 line of more than 12,288 octets (RFC 4954 4)");
        }
        Ok(blob)
    }

    fn judge_blob(&mut self, blob: &str) -> Flow<()> {
        let code = self.answer(Step::AuthBlob, &verdict(self.shared, blob))?;
        self.conclude(code)
    }

    fn conclude(&mut self, code: u16) -> Flow<()> {
        if code / 100 != 3 {
            self.phase.authenticated = code / 100 == 2;
            return Ok(());
        }
        // The challenge that Gmail, Postfix and Dovecot send on failure, and Exchange does not (facts.md, "XOAUTH2").
        if !self.blob()?.is_empty() {
            self.shared
                .violation("a failure challenge was not answered with an empty line");
        }
        self.wire.say(&refusal());
        Ok(())
    }
}

/// The reply to `user=<mailbox>^Aauth=Bearer <token>^A^A` in base64.
fn verdict(shared: &Shared, blob: &str) -> String {
    // Exchange takes the cancelling asterisk for a wrong blob (facts.md, "XOAUTH2").
    if blob == "*" {
        return refusal();
    }
    let decoded = BASE64_STANDARD
        .decode(blob)
        .ok()
        .and_then(|blob| String::from_utf8(blob).ok());
    let Some(decoded) = decoded else {
        shared.violation("the AUTH blob is not base64 (RFC 4954 4)");
        return "501 5.5.2 Cannot decode response".to_owned();
    };
    let inner = decoded
        .strip_prefix("user=")
        .and_then(|rest| rest.strip_suffix("\x01\x01"));
    let Some((user, token)) = inner.and_then(|inner| inner.split_once("\x01auth=Bearer ")) else {
        shared.violation("the AUTH blob has not the form of XOAUTH2");
        return refusal();
    };
    if shared
        .lets_in(token)
        .is_some_and(|known| known.eq_ignore_ascii_case(user))
    {
        "235 2.7.0 Authentication successful".to_owned()
    } else {
        refusal()
    }
}

fn refusal() -> String {
    let (date, session) = (clock::iso8601(), random::hex(8));
    format!(
        "535 5.7.3 Authentication unsuccessful [AM0PR01CA0001.EURPRD01.PROD.OUTLOOK.COM {date} {session}]"
    )
}
