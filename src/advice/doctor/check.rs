//! What a doctor found at one step, what it means, and the commands that mend it.

use std::time::{Duration, Instant};

use crate::error::Error;

/// One step of a [diagnosis](crate::advice::diagnose), whose example shows it: what was looked at, and what was found.
#[derive(Debug)]
pub struct Check {
    name: &'static str,
    state: CheckState,
    took: Duration,
    detail: String,
    error: Option<Error>,
    advice: Option<Advice>,
}

/// How a [`Check`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckState {
    /// All is well, or well enough: [advice](Check::advice) may still be there.
    Ok,
    /// It would keep a message from being sent.
    Failed,
    /// It was not looked at: what it needs had failed, or there is nothing to look at.
    Skipped,
}

impl Check {
    /// What was looked at, in a word or two.
    pub fn name(&self) -> &str {
        self.name
    }

    /// How it ended.
    pub fn state(&self) -> CheckState {
        self.state
    }

    /// How long it took.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// What was found, or why nothing was looked for. For a failure it is the error's text, the server's words in it.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What a message would have failed with. Its [`reply`](Error::reply) is what the server said.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// What it means and what to do.
    pub fn advice(&self) -> Option<&Advice> {
        self.advice.as_ref()
    }

    fn new(name: &'static str, state: CheckState, detail: impl Into<String>) -> Self {
        Self {
            name,
            state,
            took: Duration::ZERO,
            detail: detail.into(),
            error: None,
            advice: None,
        }
    }
}

/// What a failed [`Check`] most likely means, and what to do about it.
///
/// Advice: Microsoft changes texts and codes, so no program should decide anything by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    pub(super) meaning: String,
    pub(super) causes: Vec<Cause>,
}

/// One thing that may be wrong, of an [`Advice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    text: String,
    place: Place,
    look: Vec<String>,
    commands: Vec<String>,
}

/// Where the commands of a [`Cause`] are to be run, or settings to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// The configuration of exosend.
    Configuration,
    /// A shell on this machine.
    Shell,
    /// A shell with the Azure CLI, for an administrator of Entra.
    AzureCli,
    /// Exchange Online PowerShell, for an administrator of Exchange.
    ExchangePowerShell,
    /// A browser, for an administrator: an address, and where to click there.
    Portal,
}

impl Advice {
    /// What it means, in a sentence or two.
    pub fn meaning(&self) -> &str {
        &self.meaning
    }

    /// What may be wrong. Where that cannot be told apart there is more than one, those that are met most often first.
    pub fn causes(&self) -> &[Cause] {
        &self.causes
    }

    pub(super) fn new(meaning: impl Into<String>, causes: Vec<Cause>) -> Self {
        Self {
            meaning: meaning.into(),
            causes,
        }
    }
}

impl Cause {
    pub(super) fn new(
        text: impl Into<String>,
        place: Place,
        commands: impl IntoIterator<Item = String>,
    ) -> Self {
        let (look, commands) = commands.into_iter().partition(|c| only_shows(c));
        Self {
            text: text.into(),
            place,
            look,
            commands,
        }
    }

    pub(super) fn has_commands(&self) -> bool {
        !self.look.is_empty() || !self.commands.is_empty()
    }

    /// Inserts commands, those that sign in, before the first one.
    pub(super) fn begin_with(&mut self, commands: impl IntoIterator<Item = String>) {
        let list = match self.look.is_empty() {
            true => &mut self.commands,
            false => &mut self.look,
        };
        list.splice(0..0, commands);
    }

    /// What may be wrong.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the commands belong.
    pub fn place(&self) -> Place {
        self.place
    }

    /// What to run there to see whether it is so, filled in for this account. It changes nothing.
    pub fn look(&self) -> impl Iterator<Item = &str> {
        self.look.iter().map(String::as_str)
    }

    /// What to run there to mend it, filled in for this account; settings for [`Place::Configuration`], and where to click
    /// for [`Place::Portal`].
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        self.commands.iter().map(String::as_str)
    }
}

/// Whether a command changes nothing, by its verb or its program.
fn only_shows(command: &str) -> bool {
    const READ: &str = "Get-|Test-|cat |curl |date |exosend doctor|getent |openssl |timeout ";
    let of_az = |verb| command.starts_with("az ") && command.contains(verb);
    READ.split('|').any(|verb| command.starts_with(verb)) || of_az(" show ") || of_az(" list ")
}

/// The checks so far, and since when the next one runs.
pub(super) struct Checks {
    list: Vec<Check>,
    began: Instant,
}

impl Checks {
    pub(super) fn new() -> Self {
        Self {
            list: Vec::new(),
            began: Instant::now(),
        }
    }

    /// The next check begins now.
    pub(super) fn start(&mut self) {
        self.began = Instant::now();
    }

    pub(super) fn ok(&mut self, name: &'static str, detail: impl Into<String>) {
        self.push(Check::new(name, CheckState::Ok, detail));
    }

    pub(super) fn remark(
        &mut self,
        name: &'static str,
        detail: impl Into<String>,
        advice: Option<Advice>,
    ) {
        let check = Check::new(name, CheckState::Ok, detail);
        self.push(Check { advice, ..check });
    }

    pub(super) fn skip(&mut self, name: &'static str, why: impl Into<String>) {
        self.start();
        self.push(Check::new(name, CheckState::Skipped, why));
    }

    pub(super) fn fail(&mut self, name: &'static str, error: Error, advice: Option<Advice>) {
        let check = Check::new(name, CheckState::Failed, error.to_string());
        let error = Some(error);
        self.push(Check {
            error,
            advice,
            ..check
        });
    }

    /// Sets how long the last check took.
    pub(super) fn took(&mut self, took: Duration) {
        if let Some(last) = self.list.last_mut() {
            last.took = took;
        }
    }

    /// The last one.
    pub(super) fn into_one(mut self) -> Check {
        let none = || Check::new("", CheckState::Skipped, "");
        self.list.pop().unwrap_or_else(none)
    }

    pub(super) fn into_vec(self) -> Vec<Check> {
        self.list
    }

    fn push(&mut self, check: Check) {
        let took = self.began.elapsed();
        self.list.push(Check { took, ..check });
        self.start();
    }
}
