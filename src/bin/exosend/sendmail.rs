//! `exosend [sendmail flags] [recipient...]`: a message on stdin.

use std::ffi::OsString;

use crate::common::Common;
use crate::exit::Failure;

pub(crate) fn run(
    _name: &str,
    _arguments: &[OsString],
    _common: &mut Common,
) -> Result<(), Failure> {
    Err(Failure::usage("not there yet"))
}
