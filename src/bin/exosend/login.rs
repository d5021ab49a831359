//! `exosend login` and `exosend logout`: the login of a user, for sending without an administrator's application.

use std::ffi::OsString;
use std::path::PathBuf;

use exosend::login;
use lexopt::{Arg, Parser};
use serde_json::json;

use crate::common::{Common, text};
use crate::config::{Config, LOGIN};
use crate::exit::{self, Failure};
use crate::out::{say, say_json};
use crate::queue::spool::Spool;
use crate::queue::{self, route};
use crate::{help, logger, process};

pub(crate) fn run(parser: Parser, common: &mut Common) -> Result<(), Failure> {
    let mut tenant = None;
    common.options(parser, help::LOGIN, &mut |argument, parser| {
        match argument {
            Arg::Long("tenant") => tenant = Some(text(parser.value()?)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    logger::start(common);
    let Some(whose) = Whose::of(common, "login", tenant.as_deref())? else {
        return Ok(());
    };
    let blame = |error: exosend::Error| whose.config.blame(error.into());
    let prompt = login::start(&whose.config.account).map_err(blame)?;
    show(&prompt, common)?;
    let login = prompt.wait().map_err(blame)?;
    match common.json {
        true => say_json(json!({
            "user": login.user(),
            "login_file": whose.file,
        })),
        false => say(&format!(
            "{} is logged in: {}\n{}",
            login.user(),
            whose.file.display(),
            whose.next(login.user())
        )),
    }
}

pub(crate) fn end(parser: Parser, common: &mut Common) -> Result<(), Failure> {
    common.options(parser, help::LOGOUT, &mut |_, _| Ok(false))?;
    logger::start(common);
    let Some(whose) = Whose::of(common, "logout", None)? else {
        return Ok(());
    };
    let ended = login::end(&whose.config.account);
    let ended = ended.map_err(|error| whose.config.blame(error.into()))?;
    let file = whose.file.display();
    match (common.json, ended) {
        (true, _) => say_json(json!({ "logged_out": ended, "login_file": whose.file })),
        (false, true) => say(&format!("removed: {file}")),
        (false, false) => say(&format!("nobody was logged in: {file}")),
    }
}

/// The account that logs in, and the file of its login.
struct Whose {
    config: Config,
    file: PathBuf,
}

impl Whose {
    /// `None` if another process has done it as the queue's owner, to whom the machine's login belongs.
    fn of(common: &Common, word: &str, tenant: Option<&str>) -> Result<Option<Self>, Failure> {
        let mut config = Config::load(common)?;
        let spool = route::spool(&config).filter(|spool| !spool.own);
        let mut file = place(&config)?;
        if let Some(spool) = spool.filter(|spool| file.starts_with(spool.root())) {
            let owner = spool
                .owner()
                .map_err(|error| Failure::config(exit::file(spool.root(), error)))?;
            if process::uid() == 0 && !spool.is_mine() {
                return queue::start_as(&owner, &spool, arguments(common, word, tenant))
                    .map(|()| None);
            }
            config = of_service(common, &spool, word)?;
            file = place(&config)?;
        }
        let path = file
            .to_str()
            .ok_or_else(|| Failure::config(exit::file(&file, "not UTF-8")))?;
        config.account.set(LOGIN, path)?;
        if let Some(tenant) = tenant {
            config.account.set("tenant", tenant)?;
        }
        Ok(Some(Self { config, file }))
    }

    /// The next step, for the user who has logged in.
    fn next(&self, user: &str) -> String {
        match (self.config.credential(), self.config.account.mailbox()) {
            (Some(key), _) if key != LOGIN => {
                let origin = self.config.origin(key).unwrap_or(key);
                let file = self.file.display();
                format!("Next: {LOGIN} = {file} in the place of {key} ({origin})")
            }
            (_, "") => format!("Next: mailbox = {user} in the configuration, then exosend doctor"),
            (_, mailbox) if !mailbox.eq_ignore_ascii_case(user) => format!(
                "Mail is from {mailbox}, for which {user} needs the right to send as it. Next: exosend doctor"
            ),
            _ => "Next: exosend doctor".into(),
        }
    }
}

fn place(config: &Config) -> Result<PathBuf, Failure> {
    let named = config.named_login().map(PathBuf::from);
    named.or_else(|| config.usual_login()).ok_or_else(|| {
        Failure::config(format!(
            "a system user has no file for a login by default: name one by {LOGIN}"
        ))
    })
}

/// The machine's account with the cache of tokens that its service uses.
fn of_service(common: &Common, spool: &Spool, word: &str) -> Result<Config, Failure> {
    if !spool.may_manage() {
        let what = format!("the machine's login is its queue's: sudo exosend {word}");
        return Err(Failure::new(exit::NO_PERMISSION, what));
    }
    let failed = |error| Failure::disk(spool.root(), error);
    spool.make().map_err(failed)?;
    Config::load_with_cache(common, Some(&spool.path("state/tokens")))
}

/// The arguments of this command, run as another user.
fn arguments(common: &Common, word: &str, tenant: Option<&str>) -> Vec<OsString> {
    let mut arguments = queue::arguments(common, &[word]);
    for (set, option) in [(common.json, "--json"), (common.quiet, "--quiet")] {
        arguments.extend(set.then(|| option.into()));
    }
    if let Some(tenant) = tenant {
        arguments.extend(["--tenant".into(), tenant.into()]);
    }
    arguments
}

/// The address and the code, in words that can be read to somebody on a telephone.
fn show(prompt: &login::Prompt, common: &Common) -> Result<(), Failure> {
    let seconds = prompt.expires_in().as_secs();
    if common.json {
        return say_json(json!({
            "verification_uri": prompt.address(),
            "user_code": prompt.code(),
            "expires_in": seconds,
        }));
    }
    say(&format!(
        "Open this address on any device, and enter the code:\n\n  {}\n  {}\n\nThe code is good for {} minutes. Ctrl-C ends \
         this, and leaves an earlier login as it is.",
        prompt.address(),
        prompt.code(),
        seconds.div_ceil(60)
    ))
}
