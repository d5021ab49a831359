//! `exosend queue`: which messages wait, since when, and why.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::clock::Moment;
use super::file::{self, Head};
use super::governor::{Governor, Mailbox};
use super::log::shown;
use super::spool::{DROP, FAILED, HELD, Name, QUEUE, Spool};
use super::state::{State, States};
use crate::config::settings::MOST_CONNECTIONS;
use crate::exit::Failure;
use crate::out::{self, say};

/// One message of the list.
struct Line {
    name: Name,
    place: &'static str,
    uid: u32,
    size: u64,
    age: Option<Duration>,
    to: Vec<String>,
    state: State,
}

/// Exits with 1 if the oldest message that is to be sent is older than `max_age`.
pub(super) fn list(spool: &Spool, as_json: bool, max_age: Option<Duration>) -> Result<(), Failure> {
    let now = Moment::now();
    let mut lines = lines(spool, &now).map_err(|error| Failure::disk(spool.root(), error))?;
    lines.sort_by_key(|line| std::cmp::Reverse(line.age));
    let mailbox = Governor::last_known(spool);
    match as_json {
        true => out::say_json(&object(&lines, &mailbox, &now))?,
        false => say(text(&lines, &mailbox, &now).trim_end())?,
    }
    match age_of(&lines).zip(max_age) {
        Some((oldest, most)) if oldest > most => std::process::exit(1),
        _ => Ok(()),
    }
}

/// The age of the oldest message that is to be sent. `None` also for a user who may not look.
pub(super) fn oldest(spool: &Spool) -> Option<Duration> {
    age_of(&lines(spool, &Moment::now()).ok()?)
}

fn age_of(lines: &[Line]) -> Option<Duration> {
    let moving = lines
        .iter()
        .filter(|line| ![HELD, FAILED].contains(&line.place));
    moving.filter_map(|line| line.age).max()
}

fn lines(spool: &Spool, now: &Moment) -> std::io::Result<Vec<Line>> {
    let fixed = [
        (DROP, "new"),
        (QUEUE, "waiting"),
        (HELD, HELD),
        (FAILED, FAILED),
    ];
    let fixed = fixed.map(|(folder, place)| (spool.path(folder), place));
    let work = (1..=MOST_CONNECTIONS).map(|n| (spool.work(n), "sending"));
    let mut found = Vec::new();
    for (folder, place) in fixed.into_iter().chain(work) {
        let names = spool.names(&folder)?.into_iter();
        found.extend(names.map(|name| (folder.join(name.to_string()), place, name)));
    }
    let states = States::read(spool)?;
    let lines = found.into_iter();
    Ok(lines
        .filter_map(|(path, place, name)| line(&path, place, name, &states, now))
        .collect())
}

/// `None` if the message has moved meanwhile, or is not complete.
fn line(
    path: &Path,
    place: &'static str,
    name: Name,
    states: &States<'_>,
    now: &Moment,
) -> Option<Line> {
    let metadata = path.symlink_metadata().ok()?;
    if !metadata.is_file() || !file::is_committed(metadata.mode()) {
        return None;
    }
    let state = states.of(&name.id);
    let head = Head::of(path);
    let age = head.as_ref().and_then(|head| now.since(&head.created));
    let all = head.map(|head| head.addressing.to).unwrap_or_default();
    Some(Line {
        name,
        place,
        uid: metadata.uid(),
        size: metadata.len(),
        age,
        to: state.recipients(all),
        state,
    })
}

fn text(lines: &[Line], mailbox: &Mailbox, now: &Moment) -> String {
    let mut out = String::new();
    for line in lines {
        let age = line.age.map_or("?".into(), period);
        let next = match line.state.left_to_wait(now) {
            Duration::ZERO => String::new(),
            left => format!(", next in {}", period(left)),
        };
        let attempts = match line.state.attempts {
            0 => String::new(),
            n => format!(", attempts {n}"),
        };
        let to = shown(&line.to);
        out.push_str(&format!(
            "{}  {}  {age}  {} bytes  uid {}{attempts}{next}\n    to {to}\n",
            line.name.id, line.place, line.size, line.uid
        ));
        if !line.state.words.is_empty() {
            out.push_str(&format!("    {}\n", line.state.words));
        }
    }
    if lines.is_empty() {
        out.push_str("Mail queue is empty\n");
    }
    if let Some((wait, trouble)) = mailbox.wait.as_ref().zip(mailbox.trouble) {
        let left = match wait.left(now) {
            Duration::ZERO => "until the next run".into(),
            left => format!("for {} (sudo exosend queue run --now)", period(left)),
        };
        out.push_str(&format!(
            "all wait {left}, {}: {}\n",
            trouble.name(),
            mailbox.words
        ));
    }
    out
}

fn period(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn object(lines: &[Line], mailbox: &Mailbox, now: &Moment) -> Value {
    let messages = lines.iter().map(|line| {
        let error = Some(line.state.words.as_str()).filter(|words| !words.is_empty());
        out::object(vec![
            ("id", line.name.id.as_str().into()),
            ("state", line.place.into()),
            ("uid", line.uid.into()),
            ("size", line.size.into()),
            ("age", line.age.map(|age| age.as_secs()).into()),
            ("to", line.to.as_slice().into()),
            ("attempts", line.state.attempts.into()),
            ("next", line.state.left_to_wait(now).as_secs().into()),
            ("in_doubt", line.name.doubts.into()),
            ("error", error.into()),
        ])
    });
    let wait = mailbox.wait.as_ref().map(|wait| wait.left(now).as_secs());
    let trouble = mailbox.trouble.map(|trouble| {
        out::object(vec![
            ("trouble", trouble.name().into()),
            ("wait", wait.into()),
            ("error", mailbox.words.as_str().into()),
        ])
    });
    out::object(vec![
        ("messages", messages.collect()),
        ("mailbox", trouble.into()),
    ])
}
