//! Whether the sendmail that other programs call is this program.

use std::path::Path;

use crate::config::Config;
use crate::finding::Finding;

/// Its paths by Debian policy 11.6 and the Filesystem Hierarchy Standard.
const NAMES: [&str; 2] = ["/usr/sbin/sendmail", "/usr/lib/sendmail"];

/// None for a user's own account, who cannot change the machine's programs.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    match std::env::current_exe() {
        Ok(ours) if config.is_machines() => {
            let found = NAMES.map(|name| finding(Path::new(name), &ours));
            found.into()
        }
        _ => Vec::new(),
    }
}

fn finding(name: &Path, ours: &Path) -> Finding {
    let (at, here) = (name.display(), ours.display());
    let link = format!("ln -s {here} {at}");
    match name.canonicalize() {
        Ok(program) if program == ours => Finding::ok(format!("{at} is this program")),
        Ok(program) => {
            let what = format!(
                "{at} is {}: its callers do not send through {here}",
                program.display()
            );
            Finding::ok(what).with(displace(name, &link))
        }
        // A dangling link, which has to be moved for another.
        Err(_) if name.is_symlink() => {
            Finding::ok(format!("{at} leads to nothing")).with(displace(name, &link))
        }
        Err(_) => Finding::ok(format!("{at} is not there, for programs that call it")).with(link),
    }
}

/// The command that replaces another program by this one.
fn displace(name: &Path, link: &str) -> String {
    let at = name.display();
    let first = name.read_link().unwrap_or_default();
    if first.starts_with("/etc/alternatives") {
        return "alternatives --config mta".into();
    }
    match Path::new("/usr/bin/dpkg-divert").exists() {
        true => format!("dpkg-divert --local --rename --add {at} && {link}"),
        false => format!("mv {at} {at}.off && {link}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_target_of_sendmail_is_reported() {
        let folder = std::env::temp_dir().join(format!("exosend-names-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let folder = folder.canonicalize().unwrap();
        let [ours, other, name] = ["exosend", "msmtp", "sendmail"].map(|name| folder.join(name));
        for program in [&ours, &other] {
            std::fs::write(program, "").unwrap();
        }
        let told = || crate::finding::text("sendmail", &[finding(&name, &ours)]);
        let flat = || told().split_whitespace().collect::<Vec<_>>().join(" ");
        let link = format!("ln -s {} {}", ours.display(), name.display());
        assert!(flat().starts_with("note sendmail ") && flat().ends_with(&link));
        for (to, word, says) in [
            (&ours, "ok", "is this program".to_owned()),
            (&other, "note", format!("is {}: its", other.display())),
            (&folder.join("gone"), "note", "leads to nothing".into()),
        ] {
            symlink(to, &name).unwrap();
            assert!(
                flat().starts_with(word) && flat().contains(&says),
                "{}",
                flat()
            );
            assert_eq!(flat().ends_with(&link), word == "note", "{}", flat());
            std::fs::remove_file(&name).unwrap();
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
