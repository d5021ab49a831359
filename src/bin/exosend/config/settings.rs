//! The keys of the command, which the library does not have.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use exosend::Account;

use crate::addressing::check_address;
use crate::date::generalized_time;
use crate::list::{self, Mailbox};
use crate::maillog::LogTo;
use crate::text::{distance, nearest};

/// The most folders of connections that a spool has.
pub(crate) const MOST_CONNECTIONS: u32 = 20;
/// The machine's queue, as packages install it.
pub(crate) const SPOOL: &str = "/var/spool/exosend";

/// The key `queue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Into the queue.
    First,
    /// Sent at once; queued if the mailbox is the reason that this fails.
    Fallback,
    Off,
}

/// What one mailbox may use. 0: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) connections: u32,
    /// Messages a minute.
    pub(crate) rate: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 3,
            rate: 30,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Settings {
    /// Replace a From that Exchange would refuse by the mailbox.
    pub(crate) rewrite_from: bool,
    /// Other addresses that the mailbox may send as.
    pub(crate) send_as: Vec<String>,
    /// The name in From, if there is none.
    pub(crate) from_name: String,
    /// Domains of this machine, beside those that it knows itself.
    pub(crate) local_domains: Vec<String>,
    /// Where mail for users of this machine goes.
    pub(crate) local_recipient: Vec<Mailbox>,
    /// Replace users in To and Cc by the addresses that get the mail.
    pub(crate) rewrite_to: bool,
    /// A file like /etc/aliases for those users.
    pub(crate) aliases: Option<PathBuf>,
    pub(crate) log: LogTo,
    /// If the outcome is in doubt, let the caller try again.
    pub(crate) retry_in_doubt: bool,
    /// Deliver to the recipients that are accepted if others are refused.
    pub(crate) partial: bool,
    /// The last second of the client secret's last day.
    pub(crate) client_secret_expires: Option<SystemTime>,
    pub(crate) queue: Option<Mode>,
    /// How long a message is tried that fails for a reason of its own.
    pub(crate) queue_lifetime: Duration,
    pub(crate) spool: Option<PathBuf>,
    pub(crate) limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rewrite_from: true,
            send_as: Vec::new(),
            from_name: "%u on %h".into(),
            local_domains: Vec::new(),
            local_recipient: Vec::new(),
            rewrite_to: false,
            aliases: None,
            log: LogTo::Usual,
            retry_in_doubt: false,
            partial: false,
            client_secret_expires: None,
            queue: None,
            queue_lifetime: Duration::from_secs(7 * 24 * 60 * 60),
            spool: None,
            limits: Limits::default(),
        }
    }
}

/// Sets a value, or returns what is wrong with it.
pub(super) type Set = fn(&mut Settings, &str) -> Result<(), String>;

pub(super) fn setter(key: &str) -> Option<Set> {
    let own = KEYS.iter().find(|(own, _)| *own == key);
    own.map(|(_, set)| *set)
}

pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(own, _)| *own)
}

/// The error about a key that neither the command nor the library has.
pub(super) fn unknown(key: &str) -> Option<String> {
    let known = || Account::keys().chain(keys());
    let known_one = known().any(|known| known == key);
    (!known_one).then(|| {
        let nearest = nearest(key, known());
        // A key that is nothing like it would mislead.
        match nearest.contains(key)
            || key.contains(nearest)
            || distance(key, nearest) * 2 <= key.len()
        {
            true => format!("unknown key, did you mean `{nearest}`?"),
            false => "unknown key; man exosend.conf has them all".into(),
        }
    })
}

const KEYS: &[(&str, Set)] = &[
    ("rewrite_from", |s, v| put(&mut s.rewrite_from, truth(v))),
    ("send_as", |s, v| put(&mut s.send_as, specs(v))),
    ("local_recipient", |s, v| {
        put(&mut s.local_recipient, addresses(v))
    }),
    ("local_domains", |s, v| {
        put(&mut s.local_domains, domains(v))
    }),
    ("from_name", |s, v| {
        let name = if v == "none" { "" } else { v };
        put(&mut s.from_name, Ok(name.to_owned()))
    }),
    ("rewrite_to", |s, v| put(&mut s.rewrite_to, truth(v))),
    ("aliases", |s, v| put(&mut s.aliases, whole("a file", v))),
    ("log", |s, v| put(&mut s.log, log(v))),
    ("in_doubt", |s, v| {
        let words = [("fail", false), ("retry", true)];
        put(&mut s.retry_in_doubt, one_of(&words, v))
    }),
    ("client_secret_expires", |s, v| {
        put(&mut s.client_secret_expires, end_of_day(v).map(Some))
    }),
    ("partial", |s, v| put(&mut s.partial, truth(v))),
    ("queue", |s, v| {
        use Mode::{Fallback, First, Off};
        let words = [("first", First), ("fallback", Fallback), ("off", Off)];
        put(&mut s.queue, one_of(&words, v).map(Some))
    }),
    ("queue_lifetime", |s, v| {
        put(&mut s.queue_lifetime, period(v))
    }),
    ("spool", |s, v| put(&mut s.spool, whole("a folder", v))),
    ("connections", |s, v| {
        put(&mut s.limits.connections, number(v, MOST_CONNECTIONS))
    }),
    ("rate", |s, v| put(&mut s.limits.rate, number(v, 1000))),
];

fn put<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

fn one_of<T: Copy>(words: &[(&str, T)], value: &str) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == value);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let (last, first) = words.split_last().unwrap_or((&"", &[]));
        format!("takes {} or {last}", first.join(", "))
    })
}

/// A relative path would be another file in each folder that a job runs in.
fn whole(what: &str, path: &str) -> Result<Option<PathBuf>, String> {
    match path.starts_with('/') {
        true => Ok(Some(path.into())),
        false => Err(format!("takes {what} with its whole path")),
    }
}

fn log(value: &str) -> Result<LogTo, String> {
    Ok(match value {
        "syslog" => LogTo::Syslog,
        "none" => LogTo::Nowhere,
        path if path.starts_with('/') => LogTo::File(path.into()),
        _ => return Err("takes syslog, none, or a file with its whole path".into()),
    })
}

fn specs(value: &str) -> Result<Vec<String>, String> {
    let all = addresses(&words(value).collect::<Vec<_>>().join(","))?;
    // As a From names it, without the root's dot.
    let spec = |mailbox: Mailbox| mailbox.spec.trim_end_matches('.').to_owned();
    Ok(all.into_iter().map(spec).collect())
}

fn domains(value: &str) -> Result<Vec<String>, String> {
    let is_none = |domain: &&str| addresses(&format!("x@{domain}")).is_err();
    match words(value).find(is_none) {
        Some(other) => Err(format!("`{other}` is no domain")),
        None => Ok(words(value).map(str::to_owned).collect()),
    }
}

fn end_of_day(day: &str) -> Result<SystemTime, String> {
    let parts: Vec<_> = day.split('-').collect();
    let shaped = parts.iter().map(|part| part.len()).eq([4, 2, 2]);
    let end = format!("{}235959Z", parts.concat());
    let end = generalized_time(end.as_bytes()).filter(|_| shaped);
    end.ok_or_else(|| "takes a day, such as 2027-05-01".into())
}

pub(super) fn truth(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("takes true or false".into()),
    }
}

/// `90`, `90s`, `15m`, `36h`, `7d`.
pub(crate) fn period(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, text.chars().next_back()),
        None => (text, None),
    };
    let seconds = match unit {
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        _ => 1,
    };
    let number: Option<u64> = number.parse().ok();
    let period = number
        .and_then(|number| number.checked_mul(seconds))
        .filter(|period| *period > 0);
    period
        .map(Duration::from_secs)
        .ok_or_else(|| "takes a time as 90s, 15m, 36h or 7d".into())
}

fn number(value: &str, most: u32) -> Result<u32, String> {
    let number = value.parse().ok().filter(|number| *number <= most);
    number.ok_or_else(|| format!("takes a number from 0 to {most}"))
}

/// Mailboxes with addresses that Exchange could reach.
fn addresses(value: &str) -> Result<Vec<Mailbox>, String> {
    let mailboxes = list::parse(value)?;
    for Mailbox { spec, .. } in &mailboxes {
        if !spec.contains('@') {
            return Err(format!("`{spec}` needs a domain"));
        }
        check_address(spec).map_err(|error| error.to_string())?;
    }
    Ok(mailboxes)
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value
        .split([',', ' ', '\t'])
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_tells_each_key() {
        let manual = include_str!("../share/exosend.conf.5");
        let (_, text) = manual.split_once(".Ss Keys of the command\n").unwrap();
        let text = text.split("\n.S").next().unwrap().lines();
        let items = text.filter_map(|line| line.strip_prefix(".It Li "));
        let mut told: Vec<_> = items.flat_map(|line| line.split(" , ")).collect();
        let mut keys: Vec<_> = keys().collect();
        told.sort_unstable();
        keys.sort_unstable();
        assert_eq!(told, keys);
    }

    #[test]
    fn an_address_of_send_as_loses_its_final_dot() {
        assert_eq!(specs("a@x.org., b@x.org").unwrap(), ["a@x.org", "b@x.org"]);
    }
}
