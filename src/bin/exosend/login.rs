//! `exosend login` and `exosend logout`: the login of a user, for sending without an administrator's application.

use std::path::Path;

use exosend::login;
use lexopt::{Arg, Parser};

use crate::common::{Common, value};
use crate::config::{Config, LOGIN};
use crate::exit::{self, Failure};
use crate::out::{Said, tell};
use crate::queue::{self, route};
use crate::{help, logger};

pub(crate) fn run(parser: Parser, common: &mut Common) -> Result<(), Failure> {
    let mut tenant = None;
    common.options(parser, help::LOGIN, &mut |argument, parser| {
        match argument {
            Arg::Long("tenant") => tenant = Some(value(parser)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    logger::start(common);
    with_file(common, "login", tenant.as_deref(), &|config, file| {
        let prompt = login::start(&config.account)?;
        show(&prompt, common)?;
        let login = prompt.wait()?;
        let user = login.user();
        tell(
            common.json,
            &format!("{user} is logged in: {file}\n{}", next(config, file, user)),
            &[("user", Said::Text(user)), ("login_file", Said::Text(file))],
        )
    })
}

pub(crate) fn end(parser: Parser, common: &mut Common) -> Result<(), Failure> {
    common.options(parser, help::LOGOUT, &mut |_, _| Ok(false))?;
    logger::start(common);
    with_file(common, "logout", None, &|config, file| {
        let ended = login::end(&config.account)?;
        let done = match ended {
            true => "removed",
            false => "nobody was logged in",
        };
        tell(
            common.json,
            &format!("{done}: {file}"),
            &[
                ("logged_out", Said::Truth(ended)),
                ("login_file", Said::Text(file)),
            ],
        )
    })
}

/// Does the work for the account that logs in, and the file of its login. The machine's login belongs to its queue's owner, so
/// it is done as that user, and with the cache of tokens that the queue uses.
fn with_file(
    common: &Common,
    word: &str,
    tenant: Option<&str>,
    work: &dyn Fn(&Config, &str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut config = Config::load(common)?;
    let file = config
        .login_file()
        .ok_or_else(|| Failure::config("no usual place for a login here: name a login_file"))?;
    let spool = route::spool(&config)
        .filter(|spool| !spool.own && Path::new(&file).starts_with(spool.root()));
    if let Some(spool) = spool {
        let words: &[_] = match tenant {
            Some(tenant) => &[word, "--tenant", tenant],
            None => &[word],
        };
        if queue::run_as_owner(&spool, common, words)? {
            return Ok(());
        }
        if !spool.may_manage() {
            let what = format!("the machine's login is its queue's: sudo exosend {word}");
            return Err(Failure::new(exit::NO_PERMISSION, what));
        }
        let made = spool.make();
        made.map_err(|error| Failure::disk(spool.root(), error))?;
        config = Config::load_with_cache(common, Some(&spool.path("state/tokens")))?;
    }
    config.account.set(LOGIN, &file)?;
    if let Some(tenant) = tenant {
        config.account.set("tenant", tenant)?;
    }
    work(&config, &file).map_err(|failure| config.blame(failure))
}

/// The next step, for the user who has logged in.
fn next(config: &Config, file: &str, user: &str) -> String {
    match (config.credential(), config.account.mailbox()) {
        (Some(key), _) if key != LOGIN => {
            let origin = config.origin(key).unwrap_or(key);
            format!("Next: login_file = {file} in the place of {key} ({origin})")
        }
        (_, "") => format!("Next: mailbox = {user} in the configuration, then exosend doctor"),
        (_, mailbox) if !mailbox.eq_ignore_ascii_case(user) => format!(
            "Mail is from {mailbox}, for which {user} needs the right to send as it. Next: exosend doctor"
        ),
        _ => "Next: exosend doctor".into(),
    }
}

/// The address and the code, in words that can be read to somebody on a telephone.
fn show(prompt: &login::Prompt, common: &Common) -> Result<(), Failure> {
    let (address, code) = (prompt.address(), prompt.code());
    let seconds = prompt.expires_in().as_secs();
    let minutes = seconds.div_ceil(60);
    tell(
        common.json,
        &format!(
            "Open this address on any device, and enter the code:\n\n  {address}\n  {code}\n\nThe code is good for \
             {minutes} minutes. Ctrl-C ends this, and leaves an earlier login as it is."
        ),
        &[
            ("verification_uri", Said::Text(address)),
            ("user_code", Said::Text(code)),
            ("expires_in", Said::Number(seconds)),
        ],
    )
}
