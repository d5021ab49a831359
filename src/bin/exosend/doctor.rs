//! `exosend doctor`: walks every step of sending except the message, and says what to do about the one that fails.

mod lines;
mod past;
mod sendmail;
mod support;

use exosend::Error;
use exosend::advice::{Advice, Cause, Check, CheckState, Place, diagnose, send_test};
use lexopt::{Arg, Parser};
use serde_json::Value;

use crate::common::{Common, value};
use crate::config::Config;
use crate::exit::{self, Failure};
use crate::finding;
use crate::local::Here;
use crate::out::{self, say, say_json, show};
use crate::recipients::Recipients;
use crate::{help, list, logger, queue};

pub(crate) fn run(parser: Parser, common: &mut Common) -> Result<(), Failure> {
    let (mut to, mut send) = (None, false);
    common.options(parser, help::DOCTOR, &mut |argument, parser| {
        match argument {
            Arg::Long("send") => send = true,
            Arg::Long("to") => to = Some(value(parser)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if send && to.is_none() {
        return Err(Failure::usage("--send: to whom? --to ADDRESS"));
    }
    // Masked, because its output is shown to others who help.
    logger::start_with(common, support::masked);
    match examine(common, to.as_deref(), send)? {
        0 => Ok(()),
        // The report says it all: no line on stderr.
        code => std::process::exit(code.into()),
    }
}

/// Prints the report, and returns the exit code of a message that would fail so. If all is well and `send` is set, sends
/// a message.
pub(crate) fn examine(common: &Common, to: Option<&str>, send: bool) -> Result<u8, Failure> {
    let config = Config::load(common)?;
    let to = to.map(|to| recipient(to, &config)).transpose()?;
    let mut checks = diagnose(&config.account, to.as_deref());
    if let Some(to) = to.filter(|_| send && code(&checks) == 0) {
        checks.push(send_test(&config.account, &to));
    }
    let sendmail = sendmail::findings(&config);
    let queue = queue::doctor::findings(&config);
    let code = match (code(&checks), queue.iter().all(|finding| finding.ok)) {
        (0, false) => exit::TRY_AGAIN,
        (code, _) => code,
    };
    if common.json {
        let mut object = object(&checks, code);
        object["sendmail"] = finding::object(&sendmail);
        object["queue"] = finding::object(&queue);
        say_json(&object)?;
    } else {
        let mut report = lines::report(&checks, &config, common.verbose);
        if common.verbose && code != 0 {
            report.push_str(&support::bundle(&checks));
        }
        show(report.trim_end())?;
        let more = finding::text("sendmail", &sendmail) + &finding::text("queue", &queue);
        if !more.is_empty() {
            say(&format!("\n{}", more.trim_end()))?;
        }
    }
    Ok(code)
}

/// Resolves this recipient, as `sendmail` and `send` do.
fn recipient(written: &str, config: &Config) -> Result<String, Failure> {
    let mailboxes = list::parse(written).map_err(|what| Failure::data(format!("--to: {what}")))?;
    let here = Here::new(config);
    let specs: Vec<_> = mailboxes.into_iter().map(|mailbox| mailbox.spec).collect();
    let reached = Recipients::new(config, &here).resolve(&specs)?;
    Ok(reached.into_iter().next().unwrap_or_default())
}

/// The exit code of a message that would fail as the first check did.
fn code(checks: &[Check]) -> u8 {
    let failed = checks
        .iter()
        .find(|check| check.state() == CheckState::Failed);
    let Some(failed) = failed else { return 0 };
    failed.error().map_or(exit::UNAVAILABLE, exit::code)
}

fn object(checks: &[Check], code: u8) -> Value {
    out::object(vec![
        ("exit", code.into()),
        ("checks", checks.iter().map(check).collect()),
    ])
}

fn check(check: &Check) -> Value {
    let state = match check.state() {
        CheckState::Ok => "ok",
        CheckState::Failed => "fail",
        _ => "skip",
    };
    let milliseconds = u64::try_from(check.took().as_millis()).unwrap_or(u64::MAX);
    out::object(vec![
        ("name", check.name().into()),
        ("state", state.into()),
        ("milliseconds", milliseconds.into()),
        ("detail", check.detail().into()),
        ("error", check.error().map(error).into()),
        ("advice", check.advice().map(advice).into()),
    ])
}

fn error(error: &Error) -> Value {
    let reply = error.reply();
    out::object(vec![
        ("kind", error.kind().to_string().into()),
        ("stage", error.stage().to_string().into()),
        ("transient", error.is_transient().into()),
        ("code", reply.map(exosend::Reply::code).into()),
        ("enhanced", reply.and_then(exosend::Reply::enhanced).into()),
        ("reply", reply.map(ToString::to_string).into()),
    ])
}

fn advice(advice: &Advice) -> Value {
    let cause = |cause: &Cause| {
        let place = match cause.place() {
            Place::Configuration => "configuration",
            Place::Shell => "shell",
            Place::AzureCli => "azure-cli",
            Place::ExchangePowerShell => "exchange-powershell",
            _ => "portal",
        };
        out::object(vec![
            ("text", cause.text().into()),
            ("place", place.into()),
            ("look", cause.look().collect()),
            ("commands", cause.commands().collect()),
        ])
    };
    out::object(vec![
        ("meaning", advice.meaning().into()),
        ("causes", advice.causes().iter().map(cause).collect()),
    ])
}
