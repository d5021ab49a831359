//! What the doctor says about the queue: its folders, its service, its messages, and what the service cannot read.

use std::fs::{DirEntry, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::list;
use super::route;
use super::spool::{DROP, FAILED, Spool};
use crate::config::settings::Mode;
use crate::config::{Config, MACHINES};
use crate::file as settings;
use crate::finding::Finding;

/// None for an account without a queue.
pub(crate) fn findings(config: &Config) -> Vec<Finding> {
    let Some(spool) = route::spool(config) else {
        return Vec::new();
    };
    let (Ok(owner), Ok(drop)) = (spool.owner(), std::fs::metadata(spool.path(DROP))) else {
        let gone = format!("{} is not there", spool.root().display());
        let gone = Finding::wrong(gone).with("systemd-tmpfiles --create exosend.conf");
        // A user's own spool is made by the first message.
        return Some(gone).filter(|_| !spool.own).into_iter().collect();
    };
    let mut findings = vec![folders(&spool, &owner, &drop)];
    findings.extend(service(&spool, config));
    findings.extend(messages(&spool));
    if !spool.own {
        findings.extend(unreadable(&owner, &spool));
    }
    findings
}

fn folders(spool: &Spool, owner: &Metadata, drop: &Metadata) -> Finding {
    let place = spool.root().display();
    let right = drop.mode() & 0o7777 == 0o3733
        && owner.uid() != 0
        && (drop.uid(), drop.gid()) == (owner.uid(), owner.gid());
    match spool.own || right {
        true => Finding::ok(format!("{place}, of uid {}", owner.uid())),
        false => Finding::wrong(format!("{place}: owner or modes of the folders are wrong"))
            .with(spool.mend()),
    }
}

fn service(spool: &Spool, config: &Config) -> Vec<Finding> {
    let place = spool.root().display();
    let mut findings = Vec::new();
    if config.settings.queue == Some(Mode::Off) && !spool.own {
        let what =
            "off, but users who cannot read the configuration use it while its folder exists";
        let remove = format!("rmdir {}", spool.path(DROP).display());
        findings.push(Finding::wrong(what).with(remove));
    }
    if spool.is_in_memory() {
        findings.push(Finding::wrong(format!(
            "{place} is gone when the machine is switched off: `spool` names another"
        )));
    }
    if spool.is_remote() {
        findings.push(Finding::wrong(format!(
            "{place} is on a network: locks do not hold there; `spool` names another"
        )));
    }
    if spool.is_deserted() {
        findings.push(
            Finding::wrong("no run for a day")
                .with("systemctl enable --now exosend.path exosend.timer"),
        );
    }
    findings
}

fn messages(spool: &Spool) -> Vec<Finding> {
    let mut findings: Vec<_> = foreign(spool)
        .map(|folder| {
            Finding::wrong("a folder in drop, where exosend makes none")
                .with(format!("rm -r {folder:?}"))
        })
        .collect();
    let failed = spool.path(FAILED);
    let given_up = spool.names(&failed).map_or(0, |names| names.len());
    if given_up > 0 {
        let what = format!("{given_up} given up, kept in {}", failed.display());
        findings.push(Finding::ok(what).with("exosend queue"));
    }
    if let Some(age) = list::oldest(spool).filter(|age| *age > Duration::from_secs(60 * 60)) {
        let hours = age.as_secs() / 3600;
        let what = format!("the oldest message has waited for {hours} h");
        findings.push(Finding::wrong(what).with("exosend queue"));
    }
    findings
}

/// The first folders in `drop`.
fn foreign(spool: &Spool) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(spool.path(DROP)).into_iter().flatten();
    let is_folder = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let folders = entries.flatten().filter(is_folder);
    folders.map(|entry| entry.path()).take(5)
}

/// The files of the machine's configuration that the service cannot read or write. It is another user than the doctor's,
/// and its unit sees no homes and may write to its own folder only.
fn unreadable(owner: &Metadata, spool: &Spool) -> Vec<Finding> {
    const READ: [&str; 5] = [
        "client_secret_file",
        "client_certificate_file",
        "federated_token_file",
        "ca_file",
        "aliases",
    ];
    let mut wrong = Vec::from_iter(unread(owner, "configuration", MACHINES));
    let text = std::fs::read(MACHINES).unwrap_or_default();
    for entry in settings::parse(&text).unwrap_or_default() {
        let value = entry.value.as_str();
        let ours = Path::new(value).starts_with(spool.root());
        match entry.key.as_str() {
            key if READ.contains(&key) => wrong.extend(unread(owner, key, value)),
            key @ ("log" | "token_cache" | "login_file") if value.starts_with('/') && !ours => {
                let folder = Path::new(value).parent().unwrap_or(Path::new("/"));
                let allow = format!(
                    "systemctl edit exosend.service    # [Service] ReadWritePaths={}",
                    folder.display()
                );
                let what = format!("{key}: {value} cannot be written by the service");
                wrong.push(Finding::wrong(what).with(allow));
            }
            _ => {}
        }
    }
    wrong
}

/// Why the service cannot read a file.
fn unread(owner: &Metadata, key: &str, path: &str) -> Option<Finding> {
    let homes = ["/home/", "/root/", "/run/user/"];
    if homes.iter().any(|home| path.starts_with(home)) {
        let what = format!("{key}: {path} is out of the service's sight (ProtectHome)");
        return Some(Finding::wrong(what).with(format!("mv {path} /etc/")));
    }
    let found = std::fs::metadata(path).ok()?;
    let wrong = || {
        let what = format!("{key}: {path} cannot be read by the service");
        let give = format!("chgrp {} {path} && chmod g+r {path}", owner.gid());
        Finding::wrong(what).with(give)
    };
    (!may_read(owner, &found)).then(wrong)
}

fn may_read(owner: &Metadata, file: &Metadata) -> bool {
    let mode = file.mode();
    match (file.uid() == owner.uid(), file.gid() == owner.gid()) {
        (true, _) => mode & 0o400 != 0,
        (false, true) => mode & 0o040 != 0,
        (false, false) => mode & 0o004 != 0,
    }
}
