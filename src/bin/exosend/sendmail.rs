//! `exosend [sendmail flags] [recipient...]`: a message on stdin, as for sendmail.

mod flags;

use std::ffi::OsString;
use std::io::{IsTerminal, Read};

use exosend::Message;

use crate::common::Common;
use crate::config::Config;
use crate::deliver::{conclude, deliver, envelope, unconfigured};
use crate::exit::{self, Failure};
use crate::head::{self, Author, Head};
use crate::input::{Input, NoInput};
use crate::out::{say, show};
use crate::report::{Facts, Outcome};
use crate::{logger, recipients};
use flags::{Flags, Mode};

pub(crate) fn run(name: &str, arguments: &[OsString], common: &mut Common) -> Result<(), Failure> {
    let flags = Flags::parse(name, arguments, common)?;
    logger::start(common);
    flags.warnings.iter().for_each(|what| log::warn!("{what}"));
    match flags.mode {
        Mode::Deliver => {}
        // There is no queue, no daemon and no table of aliases: empty, done, and not here.
        Mode::PrintQueue => return say("Mail queue is empty"),
        Mode::RunQueue | Mode::Aliases => return Ok(()),
        Mode::Smtp => {
            show("421 4.3.2 exosend does not take SMTP on stdin; call it with -t\r")?;
            return Err(Failure::usage("-bs: no SMTP on stdin; call it with -t"));
        }
    }
    if flags.recipients.is_empty() && !flags.read_recipients {
        return Err(Failure::usage(
            "no recipient: name one, or -t to read them from the message",
        ));
    }
    common.doctor_helps = true;
    let stdin = std::io::stdin().lock();
    if stdin.is_terminal() {
        common
            .almost
            .map_or(Ok(()), |meant| Err(mistyped(&flags, meant)))?;
        common.reading("the message");
    }
    let mail = Mail::read(&flags, common, stdin);
    let config = Config::load(common).map_err(|why| unconfigured(common, why))?;
    let mut facts = Facts {
        from: config.account.mailbox().to_owned(),
        ..Facts::default()
    };
    // sendmail says nothing when all is well.
    let result = mail.and_then(|mail| mail.send(&flags, common, &config, &mut facts));
    conclude(&config, common, &facts, result)
}

/// `exosend docter`, at a terminal or with nothing on stdin.
fn mistyped(flags: &Flags, meant: &str) -> Failure {
    let word = flags.recipients.first().map_or("", String::as_str);
    let what = format!("no subcommand `{word}`, did you mean `{meant}`?");
    Failure::usage(what).with_hint(format!("to send to that user: exosend -- {word}"))
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
    fn read(flags: &Flags, common: &Common, stdin: impl Read) -> Result<Self, Failure> {
        let input = Input::read(stdin).map_err(|error| match error {
            NoInput::Stdin(error) => Failure::new(exit::NO_INPUT, format!("stdin: {error}")),
            NoInput::Disk(error) => {
                let folder = std::env::temp_dir();
                let hint = "a message of more than 1 MiB waits in a file there: TMPDIR names another folder";
                Failure::new(exit::TRY_AGAIN, exit::file(&folder, error)).with_hint(hint)
            }
        })?;
        match (input.start.is_empty(), common.almost) {
            (true, Some(meant)) => return Err(mistyped(flags, meant)),
            (true, None) if flags.recipients.is_empty() => {
                return Err(Failure::new(exit::NO_INPUT, "stdin: empty, no message"));
            }
            // As Postfix and msmtp, for programs whose report may be empty.
            (true, None) => log::warn!("stdin: empty, so the message is"),
            (false, _) => {}
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
        facts.original_from = complete(&mut self.head, flags, config);
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

/// Adds what is missing, and makes From what Exchange takes. Returns what stood there, if it was another address.
fn complete(head: &mut Head, flags: &Flags, config: &Config) -> Option<String> {
    // The library's own fields, taken off a message of its making. A name that it refuses is left out. Then it fails only
    // where the mailbox is not set or is no address, and the session says that better.
    let mailbox = config.account.mailbox();
    let named = flags
        .full_name
        .as_deref()
        .and_then(|name| template(Some(name), mailbox));
    if let Some(made) = named.or_else(|| template(None, mailbox)) {
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
    if !config.settings.rewrite_from {
        return None;
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let author = Author {
        mailbox,
        send_as: &config.settings.send_as,
        host: host.trim(),
    };
    let was = head.rewrite_from(&author)?;
    log::info!("From {was}: not the mailbox, sent as {mailbox}");
    Some(was)
}

fn add_if_missing(head: &mut Head, made: &Head, name: &str) {
    if head.get(name).is_none_or(<[u8]>::is_empty) {
        head.remove(name);
        head.add(name, [b" ", made.get(name).unwrap_or_default()].concat());
    }
}

/// From, Date and Message-ID as the library writes them.
fn template(name: Option<&str>, mailbox: &str) -> Option<Head> {
    let from = match name {
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
