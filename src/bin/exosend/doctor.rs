//! `exosend doctor`: walks every step of sending except the message, and says what to do about the one that fails.

mod lines;
mod past;
mod sendmail;
mod support;

use exosend::Error;
use exosend::advice::{Advice, Cause, Check, CheckState, Place, diagnose, send_test};
use lexopt::{Arg, Parser};
use serde_json::{Value, json};

use crate::common::{Common, value};
use crate::config::Config;
use crate::exit::{self, Failure};
use crate::finding;
use crate::local::Here;
use crate::out::{say, say_json, show};
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
        say_json(object)?;
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
    json!({
        "exit": code,
        "checks": checks.iter().map(check).collect::<Vec<_>>(),
    })
}

fn check(check: &Check) -> Value {
    let state = match check.state() {
        CheckState::Ok => "ok",
        CheckState::Failed => "fail",
        _ => "skip",
    };
    json!({
        "name": check.name(),
        "state": state,
        "milliseconds": u64::try_from(check.took().as_millis()).unwrap_or(u64::MAX),
        "detail": check.detail(),
        "error": check.error().map(error),
        "advice": check.advice().map(advice),
    })
}

fn error(error: &Error) -> Value {
    json!({
        "kind": error.kind().to_string(),
        "stage": error.stage().to_string(),
        "transient": error.is_transient(),
        "code": error.reply().map(exosend::Reply::code),
        "enhanced": error.reply().and_then(exosend::Reply::enhanced),
        "reply": error.reply().map(ToString::to_string),
    })
}

fn advice(advice: &Advice) -> Value {
    let cause = |cause: &Cause| {
        json!({
            "text": cause.text(),
            "place": match cause.place() {
                Place::Configuration => "configuration",
                Place::Shell => "shell",
                Place::AzureCli => "azure-cli",
                Place::ExchangePowerShell => "exchange-powershell",
                _ => "portal",
            },
            "look": cause.look().collect::<Vec<_>>(),
            "commands": cause.commands().collect::<Vec<_>>(),
        })
    };
    json!({
        "meaning": advice.meaning(),
        "causes": advice.causes().iter().map(cause).collect::<Vec<_>>(),
    })
}
