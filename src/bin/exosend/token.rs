//! `exosend token`: the access token, for other programs.

use exosend::{Token, advice};
use lexopt::{Arg, Parser};
use serde_json::json;

use crate::common::Common;
use crate::config::Config;
use crate::exit::Failure;
use crate::out::{say, say_json};
use crate::{exit, help, logger};

pub(crate) fn run(parser: Parser, common: &mut Common) -> Result<(), Failure> {
    let mut claims = false;
    common.options(parser, help::TOKEN, &mut |argument, _| {
        match argument {
            Arg::Long("claims") => claims = true,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    common.doctor_helps = true;
    logger::start(common);
    let config = Config::load(common)?;
    let token = Token::get(&config.account).map_err(|error| config.blame(error.into()))?;
    common.doctor_helps = false;
    match claims {
        false if common.json => say_json(json!({
            "access_token": token.secret(),
            "expires_in": token.expires_in().as_secs(),
        })),
        true => say_json(advice::claims(&token).ok_or_else(opaque)?),
        false => say(token.secret()),
    }
}

fn opaque() -> Failure {
    let what = "the token is not a JWT: its claims cannot be read";
    Failure::new(exit::UNAVAILABLE, what)
}
