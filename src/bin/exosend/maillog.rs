//! Writes the log line of each message. A log that cannot be written stops no mail, and is not waited for.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::date::rfc3339;
use crate::files::WITHOUT_WAITING;
use crate::process;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogTo {
    /// Syslog, if there is one.
    #[default]
    Usual,
    Nowhere,
    Syslog,
    File(PathBuf),
}

const SYSLOG: &str = "/dev/log";

pub(crate) fn write(log: &LogTo, line: &str, failed: bool) {
    let to_syslog = || syslog(Path::new(SYSLOG), line, failed);
    let written = match log {
        LogTo::Nowhere => return,
        LogTo::Usual => return to_syslog().unwrap_or_else(|e| log::debug!("{SYSLOG}: {e}")),
        LogTo::Syslog => to_syslog().map_err(|error| format!("syslog: {error}")),
        LogTo::File(path) => append(path, line).map_err(|error| {
            // As when the user who wrote first has made the file, and this is another.
            let instead = to_syslog().map_or("", |()| "; written to syslog instead");
            format!("{}: {error}{instead}", path.display())
        }),
    };
    if let Err(what) = written {
        log::warn!("log: {what}");
    }
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let line = format!("{} {line}\n", rfc3339(SystemTime::now()));
    let mut options = OpenOptions::new();
    // Only its owner may read who writes to whom.
    options.append(true).create(true).mode(0o600);
    let mut file = options.custom_flags(WITHOUT_WAITING).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() && !found.file_type().is_char_device() {
        return Err(io::Error::other("neither a file nor a terminal"));
    }
    if found.is_file() && found.len() + line.len() as u64 > process::longest_file() {
        return Err(io::Error::other("longer than this process may make a file"));
    }
    // One write, so that the lines of two processes do not mix.
    file.write_all(line.as_bytes())
}

/// RFC 3164 without the time, which syslogd adds. Facility mail, severity notice or err. Not info: `LogLevelMax=notice` in
/// exosend.service would keep the lines of the queue's runs out of the journal.
fn syslog(socket: &Path, line: &str, failed: bool) -> io::Result<()> {
    let priority = 2 * 8 + if failed { 3 } else { 5 };
    let message = format!("<{priority}>exosend[{}]: {line}", std::process::id());
    let log = UnixDatagram::unbound()?;
    log.set_write_timeout(Some(Duration::from_secs(1)))?;
    log.send_to(message.as_bytes(), socket).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_syslog_is_one_datagram_with_its_priority() {
        let path = std::env::temp_dir().join(format!("exosend-log-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        syslog(&path, "exit=0", false).unwrap();
        syslog(&path, "exit=75", true).unwrap();
        let mut buffer = [0; 100];
        for expected in ["<21>", "<19>"] {
            let length = socket.recv(&mut buffer).unwrap();
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            let id = std::process::id();
            let exit = if expected == "<21>" { 0 } else { 75 };
            assert_eq!(text, format!("{expected}exosend[{id}]: exit={exit}"));
        }
        std::fs::remove_file(path).unwrap();
        // <21> is mail.notice: the unit must not hold it back.
        assert!(include_str!("share/exosend.service").contains("\nLogLevelMax=notice\n"));
    }
}
