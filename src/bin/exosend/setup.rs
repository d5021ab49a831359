//! `exosend setup`: the PowerShell that lets this application send as this mailbox. It is printed, not run.

use exosend::Token;
use exosend::advice::Setup;
use lexopt::{Arg, Parser};

use crate::common::{Common, value};
use crate::config::Config;
use crate::exit::Failure;
use crate::out::{Said, tell};
use crate::{help, logger};

pub(crate) fn run(parser: Parser, common: &mut Common) -> Result<(), Failure> {
    let (mut classic, mut graph, mut undo, mut object_id) = (false, false, false, None);
    common.options(parser, help::SETUP, &mut |argument, parser| {
        match argument {
            Arg::Long("classic") => classic = true,
            Arg::Long("graph") => graph = true,
            Arg::Long("undo") => undo = true,
            Arg::Long("object-id") => object_id = Some(value(parser)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    logger::start(common);
    let config = Config::load(common)?;
    if classic && graph {
        return Err(Failure::usage(
            "--classic and --graph: Graph's way is App RBAC",
        ));
    }
    let setup = Setup::new(&config.account).classic(classic).graph(graph);
    let script = script(&config, setup.undo(undo), object_id.as_deref())?;
    let fields = [("script", Said::Text(&script))];
    tell(common.json, script.trim_end(), &fields)
}

/// Completes the script with the Object ID that the account's token tells.
pub(crate) fn script(
    config: &Config,
    mut setup: Setup<'_>,
    object_id: Option<&str>,
) -> Result<String, Failure> {
    if let Some(id) = object_id {
        setup = setup.object_id(id);
    }
    // Stronger than `--object-id`: an application has two such ids, and people copy the wrong one.
    match Token::get(&config.account) {
        Ok(token) => setup = setup.token(&token),
        Err(error) if object_id.is_none() => {
            log::warn!("no token, so the Object ID is not known: {error}");
        }
        Err(error) => log::info!("no token: {error}"),
    }
    setup.script().map_err(|error| config.blame(error.into()))
}
