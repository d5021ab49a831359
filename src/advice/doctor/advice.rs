//! What a failure means, and the commands that mend it.

/// What a failed [`Check`](crate::Check) most likely means, and what to do about it.
///
/// Advice: Microsoft changes texts and codes, so no program should decide anything by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    pub(super) meaning: String,
    pub(super) causes: Vec<Cause>,
}

/// One thing that may be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub(super) text: String,
    pub(super) place: Place,
    pub(super) commands: Vec<String>,
}

/// Where commands are to be run, or settings to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// The configuration of exosend.
    Configuration,
    /// A shell on this machine.
    Shell,
    /// A shell with the Azure CLI, signed in by `az login` as an administrator of Entra.
    AzureCli,
    /// Exchange Online PowerShell, connected as an administrator of Exchange.
    ExchangePowerShell,
    /// The Entra admin center, <https://entra.microsoft.com>.
    EntraPortal,
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

    pub(super) fn new(meaning: impl Into<String>) -> Self {
        Self {
            meaning: meaning.into(),
            causes: Vec::new(),
        }
    }

    pub(super) fn cause(
        mut self,
        text: impl Into<String>,
        place: Place,
        commands: impl IntoIterator<Item = String>,
    ) -> Self {
        self.causes.push(Cause::new(text.into(), place, commands));
        self
    }
}

impl Cause {
    pub(super) fn new(
        text: String,
        place: Place,
        commands: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            text,
            place,
            commands: commands.into_iter().collect(),
        }
    }

    /// What may be wrong.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the commands belong.
    pub fn place(&self) -> Place {
        self.place
    }

    /// What to run there, filled in for this account; settings for [`Place::Configuration`], and where to click for
    /// [`Place::EntraPortal`].
    pub fn commands(&self) -> &[String] {
        &self.commands
    }
}
