//! `exosend token`: the access token, for other programs.

use exosend::{Token, advice};
use lexopt::{Arg, Parser};

use crate::common::Common;
use crate::config::Config;
use crate::exit::Failure;
use crate::out::{Said, say_ready, tell};
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
    if claims {
        return say_ready(&advice::claims(&token).ok_or_else(opaque)?);
    }
    let (secret, left) = (token.secret(), token.expires_in().as_secs());
    let fields = [
        ("access_token", Said::Text(secret)),
        ("expires_in", Said::Number(left)),
    ];
    tell(common.json, secret, &fields)
}

fn opaque() -> Failure {
    let what = "the token is not a JWT: its claims cannot be read";
    Failure::new(exit::UNAVAILABLE, what)
}
