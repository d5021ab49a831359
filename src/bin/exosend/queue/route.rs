//! Whether a message is sent at once or put into a queue, and into which.
//!
//! The machine's queue sends from the machine's account, so it takes mail only from callers who configure no account of
//! their own.

use std::path::PathBuf;

use super::spool::Spool;
use crate::common::Common;
use crate::config::Config;
use crate::config::settings::{Mode, SPOOL};
use crate::exit::Failure;

pub(crate) enum Route {
    Straight(Config),
    /// Sent at once; queued if the mailbox is the reason that this fails.
    Fallback(Config, Spool),
    Queue(Spool),
}

impl Route {
    /// `wanted` is stronger than the configuration. `watched`: the caller wants to see the message sent (`-v`, `--dry-run`).
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

    /// A caller who cannot read the machine's configuration, or finds a mistake in it, uses the queue if its folder exists.
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

/// The spool of a configuration.
pub(crate) fn spool(config: &Config) -> Option<Spool> {
    match (config.machines_spool(), &config.settings.spool) {
        (Some(path), _) => Some(Spool::new(path, false)),
        // Not the spool that the machine's file names: it sends from the machine's account.
        (None, Some(path)) if !config.is_from_machine("spool") => Some(Spool::new(path, true)),
        _ => None,
    }
}

fn machines_spool() -> Spool {
    let named = std::env::var_os("EXOSEND_SPOOL").map(PathBuf::from);
    let named = named.filter(|path| path.is_absolute());
    Spool::new(named.unwrap_or_else(|| SPOOL.into()), false)
}

/// The spool that `exosend queue` is about.
pub(crate) fn managed_spool(common: &Common) -> Spool {
    match Config::load(common) {
        Ok(config) => spool(&config).unwrap_or_else(machines_spool),
        Err(_) => machines_spool(),
    }
}
