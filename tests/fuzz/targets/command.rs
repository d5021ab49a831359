// The files of the command that targets take, where the command has them.

use exosend::command::{crypto, file, head, list, octets};

#[path = "../../../src/bin/exosend/addressing.rs"]
mod addressing;
#[path = "../../../src/bin/exosend/exit.rs"]
mod exit;
#[path = "../../../src/bin/exosend/files.rs"]
mod files;
#[path = "../../invariants/command.rs"]
mod invariants;
#[path = "../../../src/bin/exosend/process.rs"]
mod process;

#[path = "../../../src/bin/exosend/queue"]
mod queue {
    pub(crate) mod clock;
    pub(crate) mod draft;
    pub(crate) mod fault;
    pub(crate) mod file;
    pub(crate) mod spool;
}

#[path = "../../../src/bin/exosend/sendmail"]
mod sendmail {
    mod client;
    pub(crate) mod dialogue;
}
