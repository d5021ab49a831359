//! `exosend send`: a message from arguments.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use exosend::{Attachment, Message};
use lexopt::{Arg, Parser};

use crate::addressing::check_address;
use crate::common::{Common, value};
use crate::config::Config;
use crate::config::settings::Mode;
use crate::deliver::{conclude, deliver, envelope, unconfigured};
use crate::exit::{self, Failure};
use crate::list::{self, Mailbox};
use crate::local::Here;
use crate::out::{say, say_json, warn_unprinted};
use crate::queue::route::Route;
use crate::queue::spool::Spool;
use crate::recipients::Recipients;
use crate::report::{self, Facts, Outcome};
use crate::sendmail::mail::Mail;
use crate::{files, help, logger, queue};

#[derive(Debug, Default)]
struct Options {
    to: Vec<Mailbox>,
    cc: Vec<Mailbox>,
    bcc: Vec<Mailbox>,
    reply_to: Vec<Mailbox>,
    /// What was given as a recipient and is no address.
    wrong: Vec<String>,
    from: Option<String>,
    subject: Option<String>,
    text: Option<String>,
    html: Option<PathBuf>,
    attach: Vec<PathBuf>,
    headers: Vec<(String, String)>,
    queue: bool,
}

pub(crate) fn run(parser: Parser, common: &mut Common) -> Result<(), Failure> {
    let options = Options::parse(parser, common)?;
    common.takes_stdin = options.text.is_none();
    common.doctor_helps = true;
    logger::start(common);
    let config = match options.queue {
        false => Config::load(common),
        true => match Route::of(common, Some(Mode::First), common.verbose || common.dry_run) {
            Ok(Route::Queue(spool)) => return enqueue(&options, common, &spool),
            Ok(Route::Straight(config)) if common.verbose || common.dry_run => Ok(config),
            Ok(_) => return Err(no_queue()),
            Err(why) => Err(why),
        },
    };
    let config = config.map_err(|why| unconfigured(common, why))?;
    let mut facts = Facts {
        from: config.account.mailbox().to_owned(),
        ..Facts::default()
    };
    let result = send(&options, common, &config, &mut facts);
    match &result {
        Ok(outcome) if !common.quiet && !common.json => warn_unprinted(say(&outcome.text())),
        _ => {}
    }
    conclude(&config, common, &facts, result)
}

impl Options {
    fn parse(parser: Parser, common: &mut Common) -> Result<Self, Failure> {
        let (mut options, mut wrong) = (Options::default(), Vec::new());
        common.options(parser, help::SEND, &mut |argument, parser| {
            match argument {
                Arg::Long("to") => wrong.extend(list("--to", &mut options.to, parser)?),
                Arg::Long("cc") => wrong.extend(list("--cc", &mut options.cc, parser)?),
                Arg::Long("bcc") => wrong.extend(list("--bcc", &mut options.bcc, parser)?),
                Arg::Long("reply-to") => {
                    let wrong = list("--reply-to", &mut options.reply_to, parser)?;
                    let first = wrong.first();
                    first.map_or(Ok(()), |what| Err(Failure::data(what)))?;
                }
                Arg::Long("from") => options.from = Some(value(parser)?),
                Arg::Long("subject") => options.subject = Some(value(parser)?),
                Arg::Long("text") => options.text = Some(value(parser)?),
                Arg::Long("html") => options.html = Some(parser.value()?.into()),
                Arg::Long("attach") => options.attach.push(parser.value()?.into()),
                Arg::Long("header") => options.headers.push(header(&value(parser)?)?),
                Arg::Long("queue") => options.queue = true,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let to = [&options.to, &options.cc, &options.bcc];
        if wrong.is_empty() && to.iter().all(|list| list.is_empty()) {
            return Err(Failure::usage("no recipient: --to, --cc or --bcc"));
        }
        Ok(Self { wrong, ..options })
    }

    /// The message, and everybody it goes to. `resolve` returns the addresses of a recipient.
    fn message(
        &self,
        common: &Common,
        partial: bool,
        mut resolve: impl FnMut(&str) -> Result<Vec<String>, Failure>,
    ) -> Result<(Message, Vec<String>), Failure> {
        let mut message = Message::new().partial(partial);
        let mut everybody = Vec::new();
        for (list, add) in [
            (&self.to, Message::to as fn(_, String) -> _),
            (&self.cc, Message::cc),
            (&self.bcc, Message::bcc),
        ] {
            for mailbox in list {
                for spec in resolve(&mailbox.spec)? {
                    let name = mailbox.name.clone();
                    everybody.push(spec.clone());
                    // With partial delivery, `envelope` reports those that are no address.
                    if !partial || check_address(&spec).is_ok() {
                        message = add(message, Mailbox { name, spec }.written());
                    }
                }
            }
        }
        let reply_to = self.reply_to.iter().map(Mailbox::written);
        message = reply_to.fold(message, Message::reply_to);
        if let Some(from) = &self.from {
            message = message.from(from);
        }
        if let Some(subject) = &self.subject {
            message = message.subject(subject);
        }
        if let Some(html) = &self.html {
            message = message.html(lossy(read(html)?, &html.display().to_string()));
        }
        if let Some(text) = self.body(common)? {
            message = message.text(text);
        }
        for file in &self.attach {
            // Opened here to fail before the login, and not after it.
            files::open(file).map_err(|error| no_input(file, &error))?;
            message = message.attach(Attachment::file(file));
        }
        for (name, value) in &self.headers {
            message = message.header(name, value);
        }
        message.check()?;
        Ok((message, everybody))
    }

    fn body(&self, common: &Common) -> Result<Option<String>, Failure> {
        if let Some(text) = &self.text {
            return Ok(Some(text.clone()));
        }
        let stdin = std::io::stdin();
        // With HTML, a text is optional: it is not asked for at a terminal.
        if self.html.is_some() && stdin.is_terminal() {
            return Ok(None);
        }
        if stdin.is_terminal() {
            common.reading("the text");
        }
        let mut bytes = Vec::new();
        files::stdin()
            .and_then(|mut stdin| stdin.read_to_end(&mut bytes))
            .map_err(|error| no_input(Path::new("stdin"), &error))?;
        let else_nothing = self.html.is_some() || !self.attach.is_empty();
        let text = lossy(bytes, "stdin");
        Ok(Some(text).filter(|text| !(text.is_empty() && else_nothing)))
    }
}

fn send(
    options: &Options,
    common: &Common,
    config: &Config,
    facts: &mut Facts,
) -> Result<Outcome, Failure> {
    // Before a text is typed in vain.
    config.account.check()?;
    facts.wrong.clone_from(&options.wrong);
    if let (Some(what), false) = (options.wrong.first(), config.settings.partial) {
        return Err(Failure::data(what));
    }
    let here = Here::new(config);
    let mut recipients = Recipients::new(config, &here);
    let resolve = |spec: &str| recipients.resolve(&[spec.to_owned()]);
    let (message, everybody) = options.message(common, config.settings.partial, resolve)?;
    facts.to = everybody;
    let envelope = envelope(config, facts)?;
    config.account.check_message(&message)?;
    let outcome = deliver(config, common, &envelope, &mut |session| {
        session.send(&message)
    })?;
    if let Outcome::Sent(receipt) = &outcome {
        facts.message_id = receipt.message_id().map(str::to_owned);
    }
    Ok(outcome)
}

/// Queues the message. The mailbox in From and the addresses of this machine's users are filled in when it is sent: this
/// user may not be able to read the configuration.
fn enqueue(options: &Options, common: &Common, spool: &Spool) -> Result<(), Failure> {
    if let Some(what) = options.wrong.first() {
        return Err(Failure::data(what));
    }
    let host = queue::spool::host();
    let (mut message, everybody) = options.message(common, false, |spec| {
        Ok(vec![match spec.contains('@') {
            true => spec.to_owned(),
            false => format!("{spec}@{host}"),
        }])
    })?;
    if options.from.is_none() {
        message = message.from("mailbox@example.com");
    }
    let mut mail = Mail::made(&message)?;
    if options.from.is_none() {
        mail.head.remove("From");
    }
    // Unless one is given, the queue makes it, with the message's id in it.
    let named = |(name, _): &(String, String)| name.eq_ignore_ascii_case("Message-ID");
    if !options.headers.iter().any(named) {
        mail.head.remove("Message-ID");
    }
    mail.addressing.to.clone_from(&everybody);
    let id = mail.enqueue(common, spool)?;
    let facts = Facts {
        to: everybody,
        queued: Some(id.clone()),
        ..Facts::default()
    };
    match common.json {
        true => say_json(&report::object(&facts, None, None)),
        false if common.quiet => Ok(()),
        false => say(&format!("queued as {id}")),
    }
}

fn no_queue() -> Failure {
    Failure::new(
        exit::TRY_AGAIN,
        "--queue: no queue takes this account's mail here",
    )
    .with_hint(
        "the machine's needs /var/spool/exosend on a disk; for an account of your own set `spool`",
    )
}

/// Adds the mailboxes of one argument to `to`, and returns what is no address.
fn list(option: &str, to: &mut Vec<Mailbox>, parser: &mut Parser) -> Result<Vec<String>, Failure> {
    let (mailboxes, wrong) = list::read(&value(parser)?);
    to.extend(mailboxes);
    Ok(wrong
        .iter()
        .map(|what| format!("{option}: {what}"))
        .collect())
}

fn header(field: &str) -> Result<(String, String), Failure> {
    let (name, value) = field
        .split_once(':')
        .ok_or_else(|| Failure::usage("--header takes 'Name: value'"))?;
    Ok((name.trim().into(), value.trim().into()))
}

/// A report is sent even if one byte of it is not UTF-8.
fn lossy(bytes: Vec<u8>, from: &str) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        log::warn!("{from}: not UTF-8; what is not is sent as U+FFFD");
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    files::open(path)
        .and_then(|(mut file, _)| file.read_to_end(&mut bytes))
        .map_err(|error| no_input(path, &error))?;
    Ok(bytes)
}

fn no_input(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(exit::NO_INPUT, exit::file(path, error))
}
