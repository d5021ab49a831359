//! This process: its program, its rights and limits, and its user.

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{self, Resource, Rlimit};

use crate::exit::Failure;

/// This program under its own name, whatever its file is called: a file `sendmail` would take subcommands for recipients, and
/// a run that is started with a message would be a message, which starts a run.
pub(crate) fn this_program() -> Command {
    let program = match std::env::current_exe() {
        // An upgrade has removed the file. The link still leads to it, whatever it says (proc_pid_exe(5)).
        Ok(path) if !path.exists() => "/proc/self/exe".into(),
        Ok(path) => path,
        Err(_) => "exosend".into(),
    };
    let mut command = Command::new(program);
    command.arg0("exosend");
    command
}

/// Refuses to run with rights that the caller does not have, and keeps secrets out of core dumps. Called before anything is
/// read.
///
/// Installed set-user-id, set-group-id or with file capabilities, it would hand secret and token to any local user, whose
/// environment and files say where both are sent.
pub(crate) fn guard() -> Result<(), Failure> {
    let user = process::getuid() == process::geteuid();
    let refused = |what: &str, mend: &str| {
        let program = std::env::current_exe().unwrap_or_else(|_| "exosend".into());
        let hint = format!("{mend} {}", program.display());
        Failure::config(format!("{what}: refused")).with_hint(hint)
    };
    if !user || process::getgid() != process::getegid() {
        return Err(refused("set-user-id or set-group-id", "chmod u-s,g-s"));
    }
    #[cfg(target_os = "linux")]
    if has_file_capabilities() {
        return Err(refused("capabilities of its own", "setcap -r"));
    }
    // For cores that are piped to a program, which have no limit (core(5)). It hides memory and environment in /proc, too.
    #[cfg(target_os = "linux")]
    let _ = process::set_dumpable_behavior(process::DumpableBehavior::NotDumpable);
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = process::setrlimit(Resource::Core, none);
    let limit = process::getrlimit(Resource::Fsize);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let _ = process::setrlimit(Resource::Fsize, raised);
    Ok(())
}

/// Whether the file has capabilities: those that a caller passes on are ambient (capabilities(7)).
#[cfg(target_os = "linux")]
fn has_file_capabilities() -> bool {
    use rustix::thread::{capabilities, capability_is_in_ambient_set};
    let effective = capabilities(None).map(|sets| sets.effective);
    let mut effective = effective.into_iter().flat_map(|set| set.iter());
    uid() != 0 && effective.any(|one| !capability_is_in_ambient_set(one).unwrap_or(true))
}

/// How long a file may become (`ulimit -f`). Writing more would kill the process (SIGXFSZ), after a delivery perhaps, and
/// the caller would send the message again.
pub(crate) fn longest_file() -> u64 {
    let limit = process::getrlimit(Resource::Fsize).current;
    limit.unwrap_or(u64::MAX)
}

pub(crate) fn uid() -> u32 {
    process::geteuid().as_raw()
}

/// The user's name, by passwd(5).
pub(crate) fn user() -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    name_in(&users, &uid().to_string()).map(str::to_owned)
}

fn name_in<'u>(users: &'u str, uid: &str) -> Option<&'u str> {
    let mut users = users.lines().map(|line| line.split(':'));
    users.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1) == Some(uid)).then_some(name)
    })
}

/// Whether this is a user like www-data, as whom nobody logs in: a web server may show its home, or visitors upload to it.
pub(crate) fn is_system_user() -> bool {
    let defs = || std::fs::read_to_string("/etc/login.defs").unwrap_or_default();
    match uid() {
        0 => false,
        NOBODY => true,
        uid => uid < uid_min(&defs()),
    }
}

/// A system user, too, in spite of its number (overflowuid in proc_sys_kernel(5)).
const NOBODY: u32 = 65_534;

/// `UID_MIN` of login.defs(5).
fn uid_min(defs: &str) -> u32 {
    let mut words = defs.lines().map(str::split_whitespace);
    let value = words.find_map(|mut line| match line.next() {
        Some("UID_MIN") => line.next()?.parse().ok(),
        _ => None,
    });
    value.unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_has_its_users_name() {
        let users = "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\n";
        for (uid, name) in [("0", Some("root")), ("33", Some("www-data")), ("3", None)] {
            assert_eq!(name_in(users, uid), name);
        }
    }

    #[test]
    fn uid_min_is_read_from_login_defs() {
        assert_eq!(uid_min(""), 1000);
        assert_eq!(uid_min("# UID_MIN 7\nUID_MAX 9\nUID_MIN\t\t  500\n"), 500);
        assert_eq!(uid_min("UID_MIN many\n"), 1000);
    }
}
