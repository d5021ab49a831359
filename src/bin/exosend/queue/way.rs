//! Whether a message goes straight to Exchange or into a queue, and into which.
//!
//! The machine's queue sends from the machine's account, so it takes mail from those who name no other: whoever has an
//! account of his own never sends from the machine's.

use std::path::PathBuf;

use super::spool::Spool;
use crate::common::Common;
use crate::config::Config;
use crate::config::settings::{Mode, SPOOL};
use crate::exit::Failure;

pub(crate) enum Way {
    Straight(Config),
    Fallback(Config, Spool),
    Queue(Spool),
}

impl Way {
    /// `wanted`: what the caller asks for, before the configuration. `watched`: somebody wants to see it sent.
    pub(crate) fn of(
        common: &Common,
        wanted: Option<Mode>,
        watched: bool,
    ) -> Result<Self, Failure> {
        let config = match Config::load(common) {
            Ok(config) => config,
            Err(failure) => return Self::without_configuration(common, failure, watched),
        };
        let Some(spool) = spool(&config) else {
            return Ok(Self::Straight(config));
        };
        Ok(
            match wanted.or(config.settings.queue).unwrap_or(Mode::First) {
                Mode::First if watched => Self::Straight(config),
                Mode::First if spool.is_in_memory() => {
                    let place = spool.root().display();
                    log::warn!(
                        "{place}: not on a disk: sent first, and queued only where that fails"
                    );
                    Self::Fallback(config, spool)
                }
                Mode::First => Self::Queue(spool),
                Mode::Fallback => Self::Fallback(config, spool),
                Mode::Off => Self::Straight(config),
            },
        )
    }

    /// The machine's configuration is not for everybody to read, and mail is not lost for a mistake in it: the folder is
    /// what such callers go by.
    fn without_configuration(
        common: &Common,
        failure: Failure,
        watched: bool,
    ) -> Result<Self, Failure> {
        let spool = machines_spool();
        if !spool.is_there() || common.dry_run || Config::names_an_account(common) {
            return Err(failure);
        }
        if watched {
            log::warn!("queued, not sent straight: {}", failure.what());
        }
        Ok(Self::Queue(spool))
    }
}

/// The spool that a configuration's mail goes to, if there is one.
pub(crate) fn spool(config: &Config) -> Option<Spool> {
    let named = config.settings.spool.as_ref();
    match (config.is_machines(), named) {
        (true, Some(path)) => Some(Spool::new(path, false)),
        (true, None) => Some(machines_spool()).filter(Spool::is_there),
        // One that the machine's file names takes nothing from another account.
        (false, Some(path)) if !config.is_from_machine("spool") => Some(Spool::new(path, true)),
        (false, _) => None,
    }
}

/// For those who cannot read the configuration.
fn machines_spool() -> Spool {
    let named = std::env::var_os("EXOSEND_SPOOL").map(PathBuf::from);
    let named = named.filter(|path| path.is_absolute());
    Spool::new(named.unwrap_or_else(|| SPOOL.into()), false)
}

/// The spool that `exosend queue` is about.
pub(crate) fn steered(common: &Common) -> Spool {
    match Config::load(common) {
        Ok(config) => spool(&config).unwrap_or_else(machines_spool),
        Err(_) => machines_spool(),
    }
}
