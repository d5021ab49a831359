//! The report of the checks: a line for each, then what is wrong, in 80 columns.

use std::io::IsTerminal;

use exosend::advice::{Advice, Cause, Check, CheckState, Place};

use crate::config::{Config, MACHINES};
use crate::doctor::past;
use crate::text::printable;
use crate::wrap::wrap;

/// Where details begin.
const DETAIL: usize = 30;

/// On a terminal, unless NO_COLOR is set (<https://no-color.org>).
fn colour() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !unwanted
}

pub(super) fn report(checks: &[Check], config: &Config, verbose: bool) -> String {
    let mut out = String::new();
    let colour = colour();
    let (failed, others): (Vec<_>, Vec<_>) = checks
        .iter()
        .partition(|check| check.state() == CheckState::Failed);
    for check in checks {
        // If one has failed, the others are shortened to one line.
        let whole = verbose || failed.is_empty() || check.state() == CheckState::Failed;
        line(&mut out, check, colour, whole);
    }
    let Some(first) = failed.first() else {
        let sent = checks.iter().any(|check| check.name() == "message");
        all_is_well(&mut out, config, sent);
        notes(&mut out, &others, config);
        return out;
    };
    if matches!(first.name(), "token" | "login") {
        if let Some(past) = past::worked_until(&config.settings.log) {
            out.push('\n');
            wrap(&mut out, &past, "", "");
        }
    }
    let mut told: Vec<Option<&Advice>> = Vec::new();
    for check in &failed {
        let advice = check.advice();
        if advice.is_some() && told.contains(&advice) {
            continue;
        }
        told.push(advice);
        // Several that failed for the same reason are explained once.
        let same = failed.iter().filter(|other| {
            other.name() == check.name() || advice.is_some() && other.advice() == advice
        });
        let names: Vec<_> = same.map(|check| check.name()).collect();
        out.push('\n');
        match advice {
            Some(advice) => explain(&mut out, &names.join(", "), advice, config),
            None => {
                let text = "no more is known than what is said above.";
                wrap(&mut out, &format!("{}: {text}", check.name()), "", "");
            }
        }
    }
    notes(&mut out, &others, config);
    if let Some([likely, _, ..]) = first.advice().map(Advice::causes) {
        out.push('\n');
        out.push_str(&summary(first.name(), likely.text()));
    }
    out
}

fn all_is_well(out: &mut String, config: &Config, sent: bool) {
    let mailbox = printable(config.account.mailbox());
    if sent {
        return out.push_str(&format!("\nAll is well: mail from {mailbox} is sent.\n"));
    }
    if config.by_graph {
        let text = format!(
            "All is well as far as can be seen: whether {mailbox} may send, Microsoft Graph says with a message only. \
             Nothing was sent."
        );
        out.push('\n');
        return wrap(out, &text, "", "");
    }
    out.push_str(&format!(
        "\nAll is well: mail from {mailbox} can be sent. Nothing was sent.\n"
    ));
    let untested = "Not tested, since Exchange judges it with the message: another From, size, quota. To test them, too: \
                    exosend send --to ADDRESS --subject test --text test";
    wrap(out, untested, "", "");
}

fn notes(out: &mut String, checks: &[&Check], config: &Config) {
    for check in checks {
        if let Some(advice) = check.advice() {
            out.push('\n');
            explain(out, &format!("note on {}", check.name()), advice, config);
        }
    }
}

/// The likeliest cause again, in one line, because on a small screen the first lines have scrolled away.
fn summary(name: &str, likely: &str) -> String {
    shortened(&printable(&format!("Most likely ({name}): {likely}"))) + "\n"
}

/// One line of 80 columns, cut between words.
fn shortened(line: &str) -> String {
    match line.char_indices().nth(80) {
        Some(_) => {
            let room = line.char_indices().nth(76).map_or(0, |(at, _)| at);
            let cut = line.get(..=room).unwrap_or_default();
            let (words, _) = cut.rsplit_once(' ').unwrap_or((cut, ""));
            format!("{words} ...")
        }
        None => line.to_owned(),
    }
}

/// A check in full, or in one line.
fn line(out: &mut String, check: &Check, colour: bool, whole: bool) {
    let (word, code) = match check.state() {
        CheckState::Ok => ("ok", "32"),
        CheckState::Failed => ("FAIL", "1;31"),
        _ => ("skip", "33"),
    };
    let time = match (check.state(), check.took().as_millis()) {
        (CheckState::Skipped, _) => String::new(),
        (_, ms) if ms < 10_000 => format!("{ms} ms"),
        (_, ms) => format!("{} s", ms / 1000),
    };
    let head = format!("{word:<4}  {:<13} {time:>8}  ", check.name());
    let mut text = String::new();
    match whole {
        true => wrap(&mut text, check.detail(), &head, &" ".repeat(DETAIL)),
        false => text = shortened(&format!("{head}{}", check.detail())) + "\n",
    }
    match text.strip_prefix(word) {
        Some(rest) if colour => out.push_str(&format!("\x1b[{code}m{word}\x1b[0m{rest}")),
        _ => out.push_str(&text),
    }
}

fn explain(out: &mut String, name: &str, advice: &Advice, config: &Config) {
    wrap(out, &format!("{name}: {}", advice.meaning()), "", "");
    let several = advice.causes().len() > 1;
    if several {
        look(out, advice.causes());
    }
    for (n, cause) in advice.causes().iter().enumerate() {
        out.push('\n');
        match several {
            true => wrap(out, cause.text(), &format!("{}. ", n + 1), "   "),
            false => wrap(out, cause.text(), "-> ", "   "),
        }
        let look = cause.look().filter(|_| !several);
        let commands: Vec<_> = look.chain(cause.commands()).collect();
        if let Some(place) = heading(cause, &commands, config) {
            out.push_str(&format!("   {place}:\n"));
        }
        for command in commands {
            match cause.place() {
                Place::Portal => wrap(out, command, "   ", "   "),
                _ => out.push_str(&format!("   {}\n", printable(command))),
            }
        }
    }
}

/// The commands that only look, before any that change something; those of one tool together.
fn look(out: &mut String, causes: &[Cause]) {
    let mut places: Vec<Place> = Vec::new();
    for cause in causes {
        if cause.look().next().is_some() && !places.contains(&cause.place()) {
            places.push(cause.place());
        }
    }
    for place in places {
        out.push_str(&format!(
            "\nTo look, which changes nothing. {}:\n",
            tool(place)
        ));
        for cause in causes.iter().filter(|cause| cause.place() == place) {
            for command in cause.look() {
                out.push_str(&format!("   {}\n", printable(command)));
            }
        }
    }
}

/// Where commands are to be entered. For a setting that exists, its file and line.
fn heading(cause: &Cause, commands: &[&str], config: &Config) -> Option<String> {
    let first = commands.iter().find(|command| !command.starts_with('#'))?;
    let key = first.split(' ').next().unwrap_or_default();
    Some(match cause.place() {
        Place::Configuration => {
            let place = config.origin(key).unwrap_or(MACHINES);
            format!("In the configuration ({place})")
        }
        place => tool(place).to_owned(),
    })
}

fn tool(place: Place) -> &'static str {
    match place {
        Place::AzureCli => "In a shell with the Azure CLI",
        Place::ExchangePowerShell => "In Exchange Online PowerShell",
        Place::Portal => "In a browser",
        _ => "In a shell on this machine",
    }
}
