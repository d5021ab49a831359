//! What this process is and what it may leave behind. Judged before anything is read.

use rustix::process::{self, Resource, Rlimit};

use crate::exit::Failure;

/// Refuses to run with rights that its caller has not, and keeps secrets out of a core.
///
/// Installed set-user-id or set-group-id, as Debian had msmtp for three years, or with capabilities of its file, it would
/// hand secret and token to any local user: their environment and their files say where both go.
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
    if has_capabilities_of_its_file() {
        return Err(refused("capabilities of its own", "setcap -r"));
    }
    // A program that takes cores through a pipe minds no limit. This hides memory and environment in /proc, too.
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

/// What a user who is not root can do and has from no caller, who would have made it ambient (capabilities(7)).
#[cfg(target_os = "linux")]
fn has_capabilities_of_its_file() -> bool {
    use rustix::thread::{capabilities, capability_is_in_ambient_set};
    let effective = capabilities(None).map(|sets| sets.effective);
    let mut effective = effective.into_iter().flat_map(|set| set.iter());
    uid() != 0 && effective.any(|one| !capability_is_in_ambient_set(one).unwrap_or(true))
}

/// How long a file may become. Whoever writes more is killed by SIGXFSZ, and a message that has been delivered would be
/// sent again.
pub(crate) fn longest_file() -> u64 {
    let limit = process::getrlimit(Resource::Fsize).current;
    limit.unwrap_or(u64::MAX)
}

/// Who runs this.
pub(crate) fn uid() -> u32 {
    process::geteuid().as_raw()
}

/// The name of who runs this, by passwd(5).
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

/// Whether nobody logs in as this user: www-data and its like, whose home may be what a web server shows or what a
/// visitor may upload to.
pub(crate) fn is_system_user() -> bool {
    let defs = || std::fs::read_to_string("/etc/login.defs").unwrap_or_default();
    match uid() {
        0 => false,
        NOBODY => true,
        uid => uid < least_login(&defs()),
    }
}

/// No small number, and nobody logs in as this one either: the kernel's own (overflowuid in proc_sys_kernel(5)).
const NOBODY: u32 = 65_534;

/// `UID_MIN` of login.defs(5).
fn least_login(defs: &str) -> u32 {
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
    fn users_by_their_numbers() {
        let users = "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\n";
        for (uid, name) in [("0", Some("root")), ("33", Some("www-data")), ("3", None)] {
            assert_eq!(name_in(users, uid), name);
        }
    }

    #[test]
    fn where_people_begin() {
        assert_eq!(least_login(""), 1000);
        assert_eq!(
            least_login("# UID_MIN 7\nUID_MAX 9\nUID_MIN\t\t  500\n"),
            500
        );
        assert_eq!(least_login("UID_MIN many\n"), 1000);
    }
}
