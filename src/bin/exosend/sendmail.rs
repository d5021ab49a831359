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
use crate::list::{self, Mailbox};
use crate::local::Here;
use crate::logger;
use crate::out::{say, show};
use crate::recipients::Recipients;
use crate::report::{Facts, Outcome};
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
    to: Vec<Mailbox>,
    /// What is no address.
    wrong: Vec<String>,
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
        let (mut head, body) =
            head::split(&input.start, input.is_whole()).map_err(Failure::data)?;
        let (mut to, mut wrong) = (Vec::new(), Vec::new());
        for argument in &flags.recipients {
            let (mailboxes, what) = list::read(argument);
            to.extend(mailboxes);
            wrong.extend(what.iter().map(|what| format!("recipient: {what}")));
        }
        if flags.read_recipients {
            let (mailboxes, what) = head.recipients();
            to.extend(mailboxes);
            wrong.extend(what);
        }
        if to.is_empty() && wrong.is_empty() {
            return Err(Failure::data(match flags.read_recipients {
                true => "no recipient in To, Cc or Bcc",
                false => "no recipient: what was given is empty",
            }));
        }
        head.remove_bcc();
        Ok(Self {
            head,
            input,
            body,
            to,
            wrong,
        })
    }

    fn send(
        mut self,
        flags: &Flags,
        common: &Common,
        config: &Config,
        facts: &mut Facts,
    ) -> Result<Outcome, Failure> {
        let here = Here::new(config.account.mailbox(), &config.settings.local_domains);
        let mut recipients = Recipients::new(config, &here);
        let to: Vec<_> = self.to.iter().map(|mailbox| mailbox.spec.clone()).collect();
        facts.to.clone_from(&to);
        facts.wrong = self.wrong;
        facts.to = recipients.resolve(&to)?;
        if facts.to.is_empty() && facts.wrong.is_empty() {
            return Ok(Outcome::ThrownAway);
        }
        let envelope = envelope(config, facts)?;
        facts.original_from = complete(&mut self.head, flags, config, &here);
        if config.settings.rewrite_to {
            self.head.rewrite_recipients(&mut |mailbox| {
                let user = here.user(&mailbox.spec)?;
                let specs = recipients
                    .resolve(std::slice::from_ref(&mailbox.spec))
                    .ok()?;
                let of = |spec| match mailbox.name.as_str() {
                    "" => Mailbox::new(user, spec),
                    name => Mailbox {
                        name: name.to_owned(),
                        spec,
                    },
                };
                Some(specs.into_iter().map(of).collect()).filter(|to: &Vec<_>| !to.is_empty())
            });
        }
        if let Some(charset) = self.input.charset(self.body) {
            self.head.declare(charset);
        }
        facts.message_id = self.head.get("Message-ID").map(|id| id.trim().to_owned());
        let (size, mut text) = self.input.behind(self.head.text(), self.body);
        facts.size = Some(size);
        let envelope = envelope.size(size);
        deliver(config, common, &envelope, |session| {
            session.send_raw(&envelope, text.again())
        })
    }
}

/// Adds what is missing, and makes From what Exchange takes. Returns what stood there, if it was another address.
fn complete(head: &mut Head, flags: &Flags, config: &Config, here: &Here) -> Option<String> {
    let (mailbox, settings) = (config.account.mailbox(), &config.settings);
    let name = |user: &str| here.name(&settings.from_name, user);
    match (head.get("From"), &flags.sender) {
        (Some(_), Some(sender)) => log::debug!("-f {sender}: ignored, the message has a From"),
        (Some(_), None) => {}
        (None, sender) => {
            let spec = sender.as_deref().unwrap_or(mailbox);
            let from = match (&flags.full_name, sender) {
                (Some(name), _) => Mailbox::new(name, spec),
                (None, Some(_)) => Mailbox::new("", spec),
                (None, None) => Mailbox::new(&name(""), spec),
            };
            head.remove("From");
            head.add("From", &from.written());
        }
    }
    for (field, value) in made(mailbox) {
        if head.get(&field).is_none() {
            head.remove(&field);
            head.add(&field, value.trim());
        }
    }
    if !settings.rewrite_from {
        return None;
    }
    let author = Author {
        mailbox,
        send_as: &settings.send_as,
        is_unreachable: &|domain| here.is_unreachable(domain),
        name: &name,
    };
    let was = head.rewrite_from(&author)?;
    log::info!("From {was}: not the mailbox, sent as {mailbox}");
    Some(was)
}

/// Date and Message-ID as the library writes them. It does not where the mailbox is not set or is no address, which the
/// session says better.
fn made(mailbox: &str) -> Vec<(String, String)> {
    let message = Message::new().from(mailbox).to(mailbox).subject("-");
    let mut text = Vec::new();
    let _ = message.write_to(&mut text);
    let text = String::from_utf8_lossy(&text);
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    let wanted = fields.filter(|(name, _)| ["Date", "Message-ID"].contains(name));
    wanted
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
