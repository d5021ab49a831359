//! The SMTP side: Exchange Online's client submission, as strict as the RFCs.

use std::convert::Infallible;

use super::channel::Channel;
use super::fault::Step;
use super::tcp::End;
use super::{Shared, clock, random};

use command::{Path, Refusal};
use transaction::Transaction;
use wire::{Flow, Over, Wire};

mod auth;
mod body;
mod command;
mod data;
mod transaction;
mod wire;

const HOST: &str = "AM0PR01CA0001.outlook.office365.com";
const SEQUENCE: &str = "503 5.5.1 Bad sequence of commands";

/// Serves one connection until it ends.
pub(super) fn serve(channel: Channel, shared: &Shared) {
    let wire = Wire::new(channel, shared);
    let mut dialogue = Dialogue {
        wire,
        shared,
        phase: Phase::default(),
        transaction: None,
        excused: false,
    };
    let Err(Over) = dialogue.run();
}

struct Dialogue<'a> {
    wire: Wire<'a>,
    shared: &'a Shared,
    phase: Phase,
    transaction: Option<Transaction>,
    /// A command of this transaction was refused: what a pipelining client has sent behind it comes
    /// out of sequence through no fault of its own (RFC 2920 3.1).
    excused: bool,
}

#[derive(Default)]
struct Phase {
    closed_door: bool,
    tls: bool,
    greeted: bool,
    authenticated: bool,
}

impl Dialogue<'_> {
    fn run(&mut self) -> Flow<Infallible> {
        let date = clock::rfc5322();
        let greeting = format!(
            "220 {HOST} Microsoft ESMTP MAIL Service ready at {date} [{}==]",
            random::base64url(34)
        );
        self.phase.closed_door = self.answer(Step::Greeting, &greeting)? / 100 != 2;
        loop {
            match self.wire.line()? {
                Some(line) => self.command(&line)?,
                None => {
                    self.wire
                        .say("500 5.5.2 Syntax error, command unrecognized");
                }
            }
        }
    }

    fn command(&mut self, line: &str) -> Flow<()> {
        let (verb, argument) = line
            .split_once(' ')
            .map_or((line, None), |(verb, rest)| (verb, Some(rest)));
        let verb = verb.to_ascii_uppercase();
        match (verb.as_str(), argument) {
            // Its own blob, and only its own, is a secret.
            ("AUTH", Some(argument)) => self.note_auth(argument),
            _ => self.shared.note(format!("C: {line}")),
        }
        if line.len() + 2 > 512 && verb != "AUTH" {
            self.shared
                .violation("a command line of more than 512 octets (RFC 5321 4.5.3.1.4)");
        }
        self.check_pipelining(&verb);
        if self.phase.closed_door && verb != "QUIT" {
            return self
                .out_of_sequence("a command after a greeting that was not 220 (RFC 5321 3.1)");
        }
        match (verb.as_str(), argument) {
            ("EHLO", Some(name)) => self.ehlo(name),
            ("STARTTLS", None) => self.starttls(),
            ("AUTH", Some(argument)) => self.auth(argument),
            ("MAIL", Some(argument)) => self.mail(argument),
            ("RCPT", Some(argument)) => self.rcpt(argument),
            ("DATA", None) => self.data(),
            ("RSET", None) => {
                (self.transaction, self.excused) = (None, false);
                self.answer(Step::Rset, "250 2.0.0 Resetting").map(drop)
            }
            ("NOOP", _) => self.answer(Step::Noop, "250 2.0.0 OK").map(drop),
            ("QUIT", None) => {
                self.answer(Step::Quit, "221 2.0.0 Service closing transmission channel")?;
                Err(self.wire.close())
            }
            ("BDAT", _) => {
                self.out_of_sequence("BDAT, which has cost others dearly (MailKit #904, #921)")
            }
            _ => {
                self.shared
                    .violation(format!("an unknown command or argument: {line}"));
                self.wire
                    .say(&format!("500 5.3.3 Unrecognized command '{verb}'"));
                Ok(())
            }
        }
    }

    /// RFC 2920 3.1: no groups unless offered, and these verbs end one. RFC 3207 4 and RFC 4954 4 add
    /// STARTTLS and AUTH.
    fn check_pipelining(&self, verb: &str) {
        if !self.wire.has_input() {
            return;
        }
        if ["EHLO", "STARTTLS", "AUTH", "DATA", "NOOP", "QUIT"].contains(&verb) {
            self.shared.violation(format!(
                "something was sent behind {verb} before its reply (RFC 2920 3.1)"
            ));
        } else if !self.phase.greeted || !self.shared.config.offers("PIPELINING") {
            self.shared
                .violation("commands in a group without PIPELINING (RFC 2920 3.1)");
        }
    }

    fn ehlo(&mut self, name: &str) -> Flow<()> {
        (self.transaction, self.excused) = (None, false);
        self.phase.greeted = false;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.shared
                .violation(format!("EHLO with {name:?} (RFC 5321 4.1.1.1)"));
            self.wire.say("501 5.5.4 Invalid domain name");
            return Ok(());
        }
        let mut lines = vec![format!("{HOST} Hello [{}]", self.wire.peer())];
        lines.extend(self.shared.config.extensions_in(self.phase.tls));
        let last = lines.pop().expect("at least the greeting");
        let reply: String = lines.iter().map(|line| format!("250-{line}\n")).collect();
        let step = if self.phase.tls {
            Step::EhloTls
        } else {
            Step::Ehlo
        };
        self.phase.greeted = self.answer(step, &format!("{reply}250 {last}"))? / 100 == 2;
        Ok(())
    }

    fn starttls(&mut self) -> Flow<()> {
        if self.phase.tls || !self.phase.greeted || !self.shared.config.offers("STARTTLS") {
            return self.out_of_sequence("STARTTLS without its offer (RFC 3207 4)");
        }
        if self.answer(Step::StartTls, "220 2.0.0 SMTP server ready")? / 100 != 2 {
            return Ok(());
        }
        if let Some((_, fault)) = self.shared.fault(Step::Handshake) {
            if fault.bytes.is_some() {
                self.wire.swallow_client_hello()?;
                self.wire.perform(&fault, "")?;
                return Err(self.wire.end(End::Disconnect));
            }
            self.wire.perform(&fault, "")?;
        }
        self.wire.start_tls(&self.shared.smtp_tls)?;
        // RFC 3207 4.2: both sides forget what was said in the clear.
        self.phase = Phase {
            tls: true,
            ..Phase::default()
        };
        Ok(())
    }

    fn mail(&mut self, argument: &str) -> Flow<()> {
        if !self.phase.authenticated {
            self.shared.violation("MAIL before AUTH");
            let session = random::hex(8);
            self.excused = true;
            self.answer(
                Step::Mail,
                &format!("530 5.7.57 Client not authenticated to send mail. [{HOST} {session}]"),
            )?;
            return Ok(());
        }
        if self.transaction.is_some() || !self.phase.greeted {
            return self.out_of_sequence("MAIL inside a transaction (RFC 5321 4.1.4)");
        }
        let verdict = Transaction::begin(argument, &self.shared.config);
        let taken = self.judge(Step::Mail, "250 2.1.0 Sender OK", &verdict)?;
        self.excused = !taken;
        self.transaction = verdict.ok().filter(|_| taken);
        Ok(())
    }

    fn rcpt(&mut self, argument: &str) -> Flow<()> {
        let Some(transaction) = &self.transaction else {
            return self.out_of_sequence("RCPT before MAIL (RFC 5321 4.1.4)");
        };
        let verdict = transaction.recipient(argument, self.shared);
        let taken = self.judge(Step::Rcpt, "250 2.1.5 Recipient OK", &verdict)?;
        self.excused |= !taken;
        if let (true, Ok(Path { address, .. }), Some(transaction)) =
            (taken, verdict, &mut self.transaction)
        {
            transaction.to.push(address);
        }
        Ok(())
    }

    /// Says `well` or the refusal; whether the client was told that all is well, and it is.
    fn judge<T>(&mut self, step: Step, well: &str, verdict: &Result<T, Refusal>) -> Flow<bool> {
        if let Err(Refusal {
            violation: Some(violation),
            ..
        }) = verdict
        {
            self.shared.violation(*violation);
        }
        let reply = verdict
            .as_ref()
            .err()
            .map_or(well, |refusal| &refusal.reply);
        Ok(self.answer(step, reply)? / 100 == 2 && verdict.is_ok())
    }

    /// Says `usual`, or does what a fault says for this step. Gives the code that was said.
    fn answer(&mut self, step: Step, usual: &str) -> Flow<u16> {
        match self.shared.fault(step) {
            Some((_, fault)) => self.wire.perform(&fault, usual),
            None => Ok(self.wire.say(usual)),
        }
    }

    fn out_of_sequence(&mut self, violation: &str) -> Flow<()> {
        if !self.excused {
            self.shared.violation(violation);
        }
        self.wire.say(SEQUENCE);
        Ok(())
    }
}
