//! `exosend [sendmail flags] [recipient...]`: a message on stdin, as for sendmail.

mod client;
pub(crate) mod dialogue;
mod flags;
pub(crate) mod mail;
mod smtp;

use std::ffi::OsString;
use std::io::IsTerminal;

use crate::common::Common;
use crate::config::Config;
use crate::deliver::{conclude, unconfigured};
use crate::exit::Failure;
use crate::logger;
use crate::queue::route::Route;
use crate::queue::spool::Spool;
use crate::queue::{self, trouble};
use crate::report::Facts;
use flags::{Flags, Mode};
use mail::{Mail, mistyped};

pub(crate) fn run(name: &str, arguments: &[OsString], common: &mut Common) -> Result<(), Failure> {
    let flags = Flags::parse(name, arguments, common)?;
    // A run of the queue prints nothing, because cron would mail it.
    if flags.mode != Mode::RunQueue {
        logger::start(common);
        flags.warnings.iter().for_each(|what| log::warn!("{what}"));
    }
    match flags.mode {
        Mode::Deliver => {}
        Mode::RunQueue => return queue::run_if_allowed(common),
        Mode::PrintQueue => return queue::list(common, None),
        // There is no table of aliases to build.
        Mode::Aliases => return Ok(()),
        Mode::Smtp => return smtp::run(common),
    }
    if flags.recipients.is_empty() && !flags.read_recipients {
        return Err(Failure::usage(
            "no recipient: name one, or -t to read them from the message",
        ));
    }
    common.doctor_helps = true;
    let mut stdin = std::io::stdin().lock();
    if stdin.is_terminal() {
        common
            .almost
            .map_or(Ok(()), |meant| Err(mistyped(&flags, meant)))?;
        common.reading("the message");
    }
    let mail = Mail::read(&flags, common, &mut stdin);
    match Route::of(common, None, common.verbose) {
        Ok(Route::Queue(spool)) => mail?.enqueue(common, &spool).map(drop),
        Ok(Route::Fallback(config, spool)) => straight(mail, common, &config, Some(&spool)),
        Ok(Route::Straight(config)) => straight(mail, common, &config, None),
        Err(why) => Err(unconfigured(common, why)),
    }
}

/// Sends a message at once. If the mailbox is the reason that this fails, `spool` takes it.
fn straight(
    mail: Result<Mail, Failure>,
    common: &Common,
    config: &Config,
    spool: Option<&Spool>,
) -> Result<(), Failure> {
    let mut facts = Facts {
        from: config.account.mailbox().to_owned(),
        ..Facts::default()
    };
    let result = mail.map(|mut mail| {
        let result = mail.send(common, config, &mut facts);
        (mail, result)
    });
    match (result, spool) {
        (Ok((mail, Err(why))), Some(spool)) if trouble::may_wait(&why) => {
            log::info!("queued: {}", why.what());
            mail.enqueue(common, spool).map(drop)
        }
        // Unlike `send`, prints nothing on success, as sendmail does.
        (Ok((_, result)), _) => conclude(config, common, &facts, result),
        (Err(why), _) => conclude(config, common, &facts, Err(why)),
    }
}
