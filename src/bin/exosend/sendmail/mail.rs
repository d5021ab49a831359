//! A message on stdin, on its way to Exchange or into the queue.

use std::io::{BufWriter, Write};

use exosend::Message;

use super::flags::Flags;
use crate::addressing::Addressing;
use crate::common::Common;
use crate::complete::complete;
use crate::config::Config;
use crate::deliver::{deliver, envelope};
use crate::exit::{self, Failure};
use crate::flow::Source;
use crate::head::{self, Head};
use crate::input::{Input, NoInput};
use crate::list;
use crate::local::Here;
use crate::queue;
use crate::queue::spool::Spool;
use crate::queue::submit::{start_run, submit};
use crate::recipients::Recipients;
use crate::report::{Facts, Outcome};

/// `exosend docter`, at a terminal or with an empty stdin.
pub(super) fn mistyped(flags: &Flags, meant: &str) -> Failure {
    let word = flags.recipients.first().map_or("", String::as_str);
    let what = format!("no subcommand `{word}`, did you mean `{meant}`?");
    Failure::usage(what).with_hint(format!("to send to that user: exosend -- {word}"))
}

/// A message as it is known without the configuration: read to its end, without Bcc.
pub(crate) struct Mail {
    pub(crate) head: Head,
    input: Input,
    /// Where the body begins in `input`.
    body: usize,
    pub(crate) addressing: Addressing,
    /// What was given as a recipient and is no address.
    wrong: Vec<String>,
}

impl Mail {
    /// A message from a client of `-bs`.
    pub(super) fn dictated(text: &mut dyn Source, addressing: Addressing) -> Result<Self, Failure> {
        let mut mail = Self::of(Input::read(text).map_err(no_input)?)?;
        mail.head.remove_bcc();
        Ok(Self { addressing, ..mail })
    }

    /// A message from arguments.
    pub(crate) fn made(message: &Message) -> Result<Self, Failure> {
        let mut input = Input::default();
        let mut out = BufWriter::new(&mut input);
        let written = message.write_to(&mut out).and_then(|()| out.flush());
        drop(out);
        written.map_err(|error| no_input(NoInput::Disk(error)))?;
        Self::of(input)
    }

    fn of(input: Input) -> Result<Self, Failure> {
        let (head, body) = head::split(&input.start, input.is_whole()).map_err(Failure::data)?;
        Ok(Self {
            head,
            input,
            body,
            addressing: Addressing::default(),
            wrong: Vec::new(),
        })
    }

    pub(super) fn read(
        flags: &Flags,
        common: &Common,
        stdin: &mut dyn Source,
    ) -> Result<Self, Failure> {
        let input = Input::read(stdin).map_err(no_input)?;
        match (input.start.is_empty(), common.almost) {
            (true, Some(meant)) => return Err(mistyped(flags, meant)),
            (true, None) if flags.recipients.is_empty() => {
                return Err(Failure::new(exit::NO_INPUT, "stdin: empty, no message"));
            }
            // Sent, as by Postfix and msmtp: a program's report may be empty.
            (true, None) => log::warn!("stdin: empty, so the message is"),
            (false, _) => {}
        }
        let mut mail = Self::of(input)?;
        let mut to = Vec::new();
        for argument in &flags.recipients {
            let (mailboxes, wrong) = list::read(argument);
            to.extend(mailboxes);
            let wrong = wrong.iter().map(|what| format!("recipient: {what}"));
            mail.wrong.extend(wrong);
        }
        if flags.read_recipients {
            let (mailboxes, wrong) = mail.head.recipients();
            to.extend(mailboxes);
            mail.wrong.extend(wrong);
        }
        if to.is_empty() && mail.wrong.is_empty() {
            return Err(Failure::data(match flags.read_recipients {
                true => "no recipient in To, Cc or Bcc",
                false => "no recipient: what was given is empty",
            }));
        }
        mail.head.remove_bcc();
        let addressing = Addressing {
            to: to.into_iter().map(|mailbox| mailbox.spec).collect(),
            sender: flags.sender.clone(),
            full_name: flags.full_name.clone(),
        };
        Ok(Self { addressing, ..mail })
    }

    /// Queues it. Users of this machine are resolved when it is sent.
    pub(crate) fn enqueue(mut self, common: &Common, spool: &Spool) -> Result<String, Failure> {
        if let Some(what) = self.wrong.first() {
            return Err(Failure::data(what));
        }
        if let Some(charset) = self.input.charset(self.body) {
            self.head.declare(charset);
        }
        let (_, mut text) = self.input.behind(Vec::new(), self.body);
        let id = submit(spool, &self.addressing, self.head, text.again())?;
        start_run(spool, &queue::run_again(common));
        Ok(id)
    }

    pub(super) fn send(
        &mut self,
        common: &Common,
        config: &Config,
        facts: &mut Facts,
    ) -> Result<Outcome, Failure> {
        let here = Here::new(config);
        let mut recipients = Recipients::new(config, &here);
        facts.to.clone_from(&self.addressing.to);
        facts.wrong.clone_from(&self.wrong);
        let (to, nowhere) = match config.settings.partial {
            true => recipients.resolve_some(&self.addressing.to)?,
            false => (recipients.resolve(&self.addressing.to)?, Vec::new()),
        };
        facts.to = to;
        facts.wrong.extend(nowhere);
        if facts.to.is_empty() && facts.wrong.is_empty() {
            return Ok(Outcome::ThrownAway);
        }
        let envelope = envelope(config, facts)?;
        let mut head = self.head.clone();
        facts.original_from = complete(&mut head, &self.addressing, config, &here, &mut recipients);
        if let Some(charset) = self.input.charset(self.body) {
            head.declare(charset);
        }
        facts.message_id = head.get("Message-ID").map(|id| id.trim().to_owned());
        let (size, mut text) = self.input.behind(head.text(), self.body);
        facts.size = Some(size);
        let envelope = envelope.size(size);
        deliver(config, common, &envelope, &mut |session| {
            session.send_raw(&envelope, text.again())
        })
    }
}

fn no_input(error: NoInput) -> Failure {
    match error {
        NoInput::Stdin(error) => Failure::new(exit::NO_INPUT, format!("stdin: {error}")),
        NoInput::Disk(error) => {
            let hint =
                "a message of more than 1 MiB waits in a file there: TMPDIR names another folder";
            Failure::disk(&std::env::temp_dir(), error).with_hint(hint)
        }
    }
}
