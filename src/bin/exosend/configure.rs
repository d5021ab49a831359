//! `exosend configure`: writes the configuration from answers, and tests whether it works.

mod ask;
mod edit;
mod write;

use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use exosend::advice::Setup;
use lexopt::{Arg, Parser};
use zeroize::Zeroizing;

use crate::common::{Common, value};
use crate::config::settings::SPOOL;
use crate::config::{CREDENTIALS, Config, check};
use crate::exit::{self, Failure};
use crate::out::say;
use crate::{doctor, files, help, logger, send, setup};
use ask::ask;
use edit::Edit;
use write::{remove_left_behind, write};

/// Asked for at a terminal: the key, its flag, and the question.
const QUESTIONS: [(&str, &str, &str); 4] = [
    ("mailbox", "mailbox", "The mailbox that sends"),
    ("tenant", "tenant", "The tenant, its domain or id"),
    ("client_id", "client-id", "The application's id"),
    (
        "local_recipient",
        "local-recipient",
        "Where mail for root and other users of this machine goes; Enter for nowhere",
    ),
];

const SECRET: &str = "The client secret, its Value and not its ID; it is not shown";

#[derive(Debug, Default)]
struct Options {
    /// `-` is stdin.
    secret_file: Option<PathBuf>,
    /// The recipient of a test message.
    test: Option<String>,
    /// Ask for what is set already, too, and replace it.
    force: bool,
    no_doctor: bool,
}

pub(crate) fn run(parser: Parser, common: &mut Common) -> Result<(), Failure> {
    let options = Options::parse(parser, common)?;
    logger::start(common);
    let path = check::file_to_write(common)?;
    let terminal = io::stdin().is_terminal();
    let changed = configure(&path, &options, common, terminal)?;
    say(&format!("{}: {changed}", path.display()))?;
    common.config = Some(path);
    common.set.clear();
    if options.no_doctor {
        return Ok(());
    }
    match doctor::examine(common, options.test.as_deref(), false)? {
        0 => {}
        code => {
            if code == exit::NO_PERMISSION {
                say("\nIf nobody has let the application into the mailbox yet, this does:\n")?;
                let config = Config::load(common)?;
                let script = setup::script(&config, Setup::new(&config.account), None)?;
                say(script.trim_end())?;
                say("\nTo answer otherwise, such as with another secret: the same with --force.")?;
            }
            // The report says it all: no line on stderr.
            std::process::exit(code.into());
        }
    }
    let to = match options.test {
        Some(to) => to,
        // The file is written: Ctrl-D means Enter, and no error.
        None if terminal => ask("\nSend a test message to; Enter for nobody", None, true)
            .map(|to| to.to_string())
            .or_else(|failure| match failure.code() {
                exit::NO_INPUT => Ok(String::new()),
                _ => Err(failure),
            })?,
        None => return Ok(()),
    };
    match to.as_str() {
        "" => Ok(()),
        to => send::run(
            Parser::from_args([
                "--to",
                to,
                "--subject",
                "A test from exosend",
                "--text",
                "Mail from this machine arrives.\n",
            ]),
            common,
        ),
    }
}

impl Options {
    fn parse(parser: Parser, common: &mut Common) -> Result<Self, Failure> {
        let mut options = Options::default();
        let mut answers = Vec::new();
        common.options(parser, help::CONFIGURE, &mut |argument, parser| {
            match argument {
                // A file is written, and there are questions.
                Arg::Long(name @ ("dry-run" | "json")) => {
                    return Err(Arg::Long(name).unexpected().into());
                }
                Arg::Long("secret-file") => options.secret_file = Some(parser.value()?.into()),
                Arg::Long("test") => options.test = Some(value(parser)?),
                Arg::Long("force") => options.force = true,
                Arg::Long("no-doctor") => options.no_doctor = true,
                Arg::Long(name) => match QUESTIONS.iter().find(|(_, flag, _)| flag == name) {
                    Some((key, ..)) => {
                        let value = value(parser)?;
                        answers.push(((*key).to_owned(), value.trim().to_owned()));
                    }
                    None => return Ok(false),
                },
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        common.set.extend(answers);
        Ok(options)
    }
}

/// Writes the answers into the file. Returns what has changed.
fn configure(
    path: &Path,
    options: &Options,
    common: &Common,
    terminal: bool,
) -> Result<String, Failure> {
    let old = match files::read_trusted(path) {
        Ok((text, _)) => text,
        Err(_) if path.symlink_metadata().is_err() => Zeroizing::default(),
        Err(why) => return Err(Failure::config(exit::file(path, why.what))),
    };
    let mut edit = Edit::new(path, &old, options.force)?;
    for (key, value) in check::arguments(common)? {
        if let Some(what) = check::wrong(&key, &value) {
            return Err(Failure::config(format!("{key}: {what}")));
        }
        edit.set(&key, &value)?;
    }
    if let Some(file) = &options.secret_file {
        edit.set("client_secret", &secret(file)?)?;
    }
    if terminal {
        question(&mut edit, options.force)?;
    }
    let missing = missing(&edit);
    if !missing.is_empty() {
        let what = format!(
            "no terminal to ask at, and not given: {}",
            missing.join(", ")
        );
        return Err(Failure::usage(what).with_hint("exosend configure --help"));
    }
    let new = edit.text();
    check::file(path, new.as_bytes())?;
    if new.as_bytes() == old.as_slice() {
        remove_left_behind(path);
        return Ok("says so already".into());
    }
    let spool = edit.get("spool");
    let spool = Path::new(spool.as_ref().map_or(SPOOL, |spool| spool.as_str()));
    write(path, new.as_bytes(), spool).map_err(|error| Failure::config(exit::file(path, error)))?;
    Ok(format!("written: {}", edit.changed().join(", ")))
}

/// The flags of what is needed and not set.
fn missing(edit: &Edit<'_>) -> Vec<String> {
    let needed = |(key, flag, _): &(&str, _, _)| {
        let needed = is_needed(edit, key) && edit.get(key).is_none();
        needed.then(|| format!("--{flag}"))
    };
    let mut missing: Vec<_> = QUESTIONS.iter().filter_map(needed).collect();
    if !edit.has_one_of(&CREDENTIALS) {
        missing.push("--secret-file".into());
    }
    missing
}

/// Whether there is no mail without this key.
fn is_needed(edit: &Edit<'_>, key: &str) -> bool {
    match key {
        "mailbox" => true,
        "tenant" => !edit.has_one_of(&["access_token", "managed_identity", "login_file"]),
        "client_id" => !edit.has_one_of(&["access_token", "managed_identity"]),
        _ => false,
    }
}

/// Asks for what is not set; with `force` also for what is, and Enter keeps it.
fn question(edit: &mut Edit<'_>, force: bool) -> Result<(), Failure> {
    let is_new = !missing(edit).is_empty();
    for (key, _, question) in QUESTIONS {
        let known = edit.get(key);
        let needed = is_needed(edit, key);
        let asked = match known {
            Some(_) => force,
            None => needed || is_new || force,
        };
        if !asked || edit.is_given(key) {
            continue;
        }
        loop {
            let answer = ask(question, known.as_ref().map(|known| known.as_str()), true)?;
            match check::wrong(key, &answer) {
                _ if answer.is_empty() && !needed => break,
                None if !answer.is_empty() => {
                    edit.set(key, &answer)?;
                    break;
                }
                None => {}
                Some(what) => say(&format!("{key}: {what}"))?,
            }
        }
    }
    let known = edit.get("client_secret").is_some();
    let asked = if known {
        force
    } else {
        !edit.has_one_of(&CREDENTIALS)
    };
    if !asked || edit.is_given("client_secret") {
        return Ok(());
    }
    let keep = if known {
        "; Enter keeps the old one"
    } else {
        ""
    };
    loop {
        let answer = ask(&format!("{SECRET}{keep}"), None, false)?;
        match answer.as_str() {
            "" if known => return Ok(()),
            "" => {}
            secret => return edit.set("client_secret", secret),
        }
    }
}

/// Entra's have some 40 characters.
const LONGEST_SECRET: u64 = 4096;

fn secret(path: &Path) -> Result<Zeroizing<String>, Failure> {
    // With room for all of it: a string that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * LONGEST_SECRET as usize));
    let file = match path == Path::new("-") {
        true => files::stdin(),
        false => files::open(path).map(|(file, _)| file),
    };
    let read = file.and_then(|file| (&file).take(LONGEST_SECRET + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 > LONGEST_SECRET => {
            Err(format!("longer than {LONGEST_SECRET} bytes: no secret"))
        }
        Ok(_) if text.trim().is_empty() => Err("no secret in it".to_owned()),
        Ok(_) => Ok(text.trim().to_owned().into()),
        Err(error) => Err(error.to_string()),
    }
    .map_err(|what| Failure::new(exit::NO_INPUT, exit::file(path, what)))
}
