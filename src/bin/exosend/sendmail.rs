//! `exosend [sendmail flags] [recipient...]`: a message on stdin, as for sendmail.

mod flags;

use std::ffi::OsString;
use std::io::Read;

use exosend::Message;

use crate::common::Common;
use crate::config::Config;
use crate::deliver::{conclude, deliver, envelope};
use crate::exit::{self, Failure};
use crate::head::{self, Author, Head};
use crate::input::{Input, NoInput};
use crate::out::say;
use crate::report::{Facts, Outcome};
use crate::{logger, recipients};
use flags::{Flags, Mode};

pub(crate) fn run(name: &str, arguments: &[OsString], common: &mut Common) -> Result<(), Failure> {
    common.takes_stdin = true;
    let flags = Flags::parse(name, arguments, common)?;
    common.takes_stdin = flags.mode == Mode::Deliver;
    logger::start(common);
    match flags.mode {
        Mode::Deliver => {}
        // There is no queue, no daemon and no table of aliases: empty, done, and not here.
        Mode::PrintQueue => return say("Mail queue is empty"),
        Mode::RunQueue | Mode::Aliases => return Ok(()),
        Mode::Smtp => {
            say("421 4.3.2 exosend does not take SMTP on stdin; call it with -t\r")?;
            return Err(Failure::usage("-bs: no SMTP on stdin; call it with -t"));
        }
    }
    if flags.recipients.is_empty() && !flags.read_recipients {
        return Err(Failure::usage(
            "no recipient: name one, or -t to read them from the message",
        ));
    }
    let mail = Mail::read(&flags, std::io::stdin().lock());
    let config = Config::load(common)?;
    let mut facts = Facts {
        from: config.account.mailbox().to_owned(),
        ..Facts::default()
    };
    // sendmail says nothing when all is well.
    let result = mail.and_then(|mail| mail.send(&flags, common, &config, &mut facts));
    conclude(&config, common, &facts, result)
}

/// A message as far as it is known without the configuration: read to its end, its header mended, Bcc gone.
struct Mail {
    head: Head,
    /// What was read, and where the body begins in it.
    input: Input,
    body: usize,
    /// As the caller and the header write them.
    to: Vec<String>,
}

impl Mail {
    fn read(flags: &Flags, stdin: impl Read) -> Result<Self, Failure> {
        let input = Input::read(stdin).map_err(|error| match error {
            NoInput::Stdin(error) => Failure::new(exit::NO_INPUT, format!("stdin: {error}")),
            NoInput::Disk(error) => {
                let folder = std::env::temp_dir();
                Failure::new(exit::TRY_AGAIN, exit::file(&folder, error))
            }
        })?;
        if input.start.is_empty() {
            return Err(Failure::new(exit::NO_INPUT, "stdin: empty, no message"));
        }
        let (mut head, body) = head::split(&input.start, input.is_whole())
            .ok_or_else(|| Failure::data("the header is longer than 1 MiB"))?;
        let mut to = flags.recipients.clone();
        if flags.read_recipients {
            to.extend(head.recipients().map_err(Failure::data)?);
        }
        if to.is_empty() {
            return Err(Failure::data("no recipient in To, Cc or Bcc"));
        }
        head.remove_bcc();
        Ok(Self {
            head,
            input,
            body,
            to,
        })
    }

    fn send(
        mut self,
        flags: &Flags,
        common: &Common,
        config: &Config,
        facts: &mut Facts,
    ) -> Result<Outcome, Failure> {
        facts.to.clone_from(&self.to);
        facts.to = recipients::resolve(&self.to, &config.settings)?;
        complete(&mut self.head, flags, config);
        let message_id = self.head.get("Message-ID").map(String::from_utf8_lossy);
        facts.message_id = message_id.map(std::borrow::Cow::into_owned);
        let envelope = envelope(config, &facts.to)?;
        let (size, text) = self.input.behind(self.head.text(), self.body);
        facts.size = Some(size);
        let envelope = envelope.size(size);
        deliver(config, common, &envelope, |session| {
            session.send_raw(&envelope, text)
        })
    }
}

/// Adds what is missing, and makes From what Exchange takes.
fn complete(head: &mut Head, flags: &Flags, config: &Config) {
    // The library's own fields, taken off a message of its making. It fails only where the mailbox is not set or is no
    // address, and the session says that better.
    let mailbox = config.account.mailbox();
    if let Some(made) = template(flags, mailbox) {
        let has_from = head.get("From").is_some_and(|from| !from.is_empty());
        for name in ["From", "Date", "Message-ID"] {
            add_if_missing(head, &made, name);
        }
        match &flags.sender {
            Some(sender) if has_from => log::debug!("-f {sender}: ignored, the message has a From"),
            Some(sender) => head.replace_address("From", sender),
            None => {}
        }
    }
    if config.settings.rewrite_from {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let author = Author {
            mailbox,
            send_as: &config.settings.send_as,
            host: host.trim(),
        };
        if let Some(was) = head.rewrite_from(&author) {
            log::info!("From {was}: not the mailbox, sent as {mailbox}");
        }
    }
}

fn add_if_missing(head: &mut Head, made: &Head, name: &str) {
    if head.get(name).is_none_or(<[u8]>::is_empty) {
        head.remove(name);
        head.add(name, [b" ", made.get(name).unwrap_or_default()].concat());
    }
}

/// From, Date and Message-ID as the library writes them.
fn template(flags: &Flags, mailbox: &str) -> Option<Head> {
    let from = match &flags.full_name {
        Some(name) => {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{name}\" <{mailbox}>")
        }
        None => mailbox.to_owned(),
    };
    let message = Message::new().from(from).to(mailbox).subject("-");
    let mut text = Vec::new();
    message.write_to(&mut text).ok()?;
    head::split(&text, true).map(|(head, _)| head)
}
