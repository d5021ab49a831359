//! `exosend token`: the access token, for other programs.

use lexopt::Parser;

use crate::common::{Common, Shared};
use crate::config::Config;
use crate::exit::Failure;
use crate::logger;

pub(crate) fn run(mut parser: Parser, common: &mut Common) -> Result<(), Failure> {
    while let Some(argument) = parser.next()? {
        match Shared::of(&argument) {
            Some(shared) => common.take(shared, &mut parser)?,
            None => return Err(argument.unexpected().into()),
        }
    }
    logger::start(common);
    let config = Config::load(common)?;
    println!("{}", exosend::Token::fetch(&config.account)?.secret());
    Ok(())
}
