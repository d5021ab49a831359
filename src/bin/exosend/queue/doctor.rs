//! What the doctor says of the queue: the folder, who looks after it, and the configuration as the service sees it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::list;
use super::spool::{DROP, FAILED, Spool};
use super::way;
use crate::config::Config;
use crate::config::settings::Mode;
use crate::file as settings;
use crate::wrap::wrap;

/// One thing that is as it should be, or the commands that mend it.
pub(crate) struct Finding {
    pub(crate) ok: bool,
    detail: String,
    commands: Vec<String>,
}

/// Nothing where no queue takes this account's mail.
pub(crate) fn findings(config: &Config) -> Vec<Finding> {
    let Some(spool) = way::spool(config) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let mut say = |ok: bool, detail: String, commands: &[&str]| {
        let commands = commands.iter().map(|command| (*command).to_owned());
        findings.push(Finding {
            ok,
            detail,
            commands: commands.collect(),
        });
    };
    let place = spool.root().display();
    let (Ok(owner), Ok(drop)) = (spool.owner(), std::fs::metadata(spool.path(DROP))) else {
        if !spool.own {
            say(
                false,
                format!("{place} is not there"),
                &["systemd-tmpfiles --create exosend.conf"],
            );
        }
        return findings;
    };
    let right = spool.own
        || drop.mode() & 0o7777 == 0o3733
            && owner.uid() != 0
            && (drop.uid(), drop.gid()) == (owner.uid(), owner.gid());
    match right {
        true => say(true, format!("{place}, of uid {}", owner.uid()), &[]),
        false => say(
            false,
            format!("{place}: owner or modes of the folders are wrong"),
            &[&spool.mend()],
        ),
    }
    if config.settings.queue == Some(Mode::Off) && !spool.own {
        let what = "off, but who cannot read the configuration goes by the folder";
        say(
            false,
            what.into(),
            &[&format!("rmdir {}", spool.path(DROP).display())],
        );
    }
    if spool.is_in_memory() {
        say(
            false,
            format!("{place} is gone when the machine is switched off: `spool` names another"),
            &[],
        );
    }
    if spool.is_remote() {
        say(
            false,
            format!("{place} is on a network: locks do not hold there; `spool` names another"),
            &[],
        );
    }
    if spool.is_deserted() {
        let enable = "systemctl enable --now exosend.path exosend.timer";
        say(
            false,
            "nobody has looked after it for a day".into(),
            &[enable],
        );
    }
    for folder in folders(&spool) {
        say(
            false,
            "a folder in drop, which nothing of ours is".into(),
            &[&format!("rm -r {folder:?}")],
        );
    }
    let given_up = spool
        .names(&spool.path(FAILED))
        .map_or(0, |names| names.len());
    if given_up > 0 {
        say(
            true,
            format!(
                "{given_up} given up, kept in {}",
                spool.path(FAILED).display()
            ),
            &["exosend queue"],
        );
    }
    if let Some(age) = list::oldest(&spool).filter(|age| *age > Duration::from_secs(60 * 60)) {
        let hours = age.as_secs() / 3600;
        say(
            false,
            format!("the oldest message has waited for {hours} h"),
            &["exosend queue"],
        );
    }
    if !spool.own {
        for (what, command) in unreadable(&owner, &spool) {
            say(false, what, &[&command]);
        }
    }
    findings
}

fn folders(spool: &Spool) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(spool.path(DROP))
        .into_iter()
        .flatten()
        .flatten();
    let folders = entries.filter(|entry| entry.metadata().is_ok_and(|found| found.is_dir()));
    folders.map(|entry| entry.path()).take(5).collect()
}

/// What the machine's configuration names and the service cannot read or write: another user than the one who asks, in a
/// unit that sees neither homes nor, but for its own folder, a disk it may write.
fn unreadable(owner: &Metadata, spool: &Spool) -> Vec<(String, String)> {
    const MACHINES: &str = "/etc/exosend.conf";
    const READ: [&str; 5] = [
        "client_secret_file",
        "client_certificate_file",
        "federated_token_file",
        "ca_file",
        "aliases",
    ];
    let judge = |key: &str, path: &str| unread(owner, key, path);
    let mut wrong: Vec<_> = judge("configuration", MACHINES).into_iter().collect();
    let text = std::fs::read(MACHINES).unwrap_or_default();
    for entry in settings::parse(&text).unwrap_or_default() {
        let value = entry.value.as_str();
        let ours = Path::new(value).starts_with(spool.root());
        match entry.key.as_str() {
            key if READ.contains(&key) => wrong.extend(judge(key, value)),
            key @ ("log" | "token_cache" | "login_file") if value.starts_with('/') && !ours => {
                let folder = Path::new(value).parent().unwrap_or(Path::new("/"));
                let command = format!(
                    "systemctl edit exosend.service    # [Service] ReadWritePaths={}",
                    folder.display()
                );
                wrong.push((
                    format!("{key}: {value} is for the service to read only"),
                    command,
                ));
            }
            _ => {}
        }
    }
    wrong
}

/// A file that the service has to read, and why it does not.
fn unread(owner: &Metadata, key: &str, path: &str) -> Option<(String, String)> {
    let homes = ["/home/", "/root/", "/run/user/"];
    if homes.iter().any(|home| path.starts_with(home)) {
        let what = format!("{key}: {path} is out of the service's sight (ProtectHome)");
        return Some((what, format!("mv {path} /etc/")));
    }
    let found = std::fs::metadata(path).ok()?;
    if may_read(owner, &found) {
        return None;
    }
    let what = format!("{key}: {path} cannot be read by the service");
    Some((
        what,
        format!("chgrp {} {path} && chmod g+r {path}", owner.gid()),
    ))
}

fn may_read(owner: &Metadata, file: &Metadata) -> bool {
    let mode = file.mode();
    match (file.uid() == owner.uid(), file.gid() == owner.gid()) {
        (true, _) => mode & 0o400 != 0,
        (false, true) => mode & 0o040 != 0,
        (false, false) => mode & 0o004 != 0,
    }
}

/// For people, below the steps of sending.
pub(crate) fn text(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let word = if finding.ok { "ok  " } else { "FAIL" };
        wrap(
            &mut out,
            &finding.detail,
            &format!("{word}  queue                   "),
            &" ".repeat(30),
        );
        for command in &finding.commands {
            out.push_str(&format!("   {command}\n"));
        }
    }
    out
}

pub(crate) fn object(findings: &[Finding]) -> Value {
    let object = |finding: &Finding| {
        json!({
            "ok": finding.ok,
            "detail": finding.detail,
            "commands": finding.commands,
        })
    };
    findings.iter().map(object).collect()
}
