//! Microsoft's clouds, and what is where in each.

/// One of Microsoft's clouds: its submission server, its authority, and the scope of its Exchange Online.
///
/// ```
/// use exosend::{Account, Cloud};
///
/// let account = Account::new("robot@contoso.us").cloud(Cloud::GccHigh);
/// assert_eq!(account.host(), "smtp.office365.us");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cloud {
    /// The public cloud and GCC.
    #[default]
    Worldwide,
    /// Microsoft 365 GCC High.
    GccHigh,
    /// Microsoft 365 DoD.
    Dod,
    /// Microsoft 365 operated by 21Vianet.
    China,
}

/// facts.md, "Clouds".
impl Cloud {
    /// The values of the key `cloud`.
    pub(super) const NAMES: [(&'static str, Cloud); 4] = [
        ("worldwide", Cloud::Worldwide),
        ("gcc-high", Cloud::GccHigh),
        ("dod", Cloud::Dod),
        ("china", Cloud::China),
    ];

    pub(crate) fn host(self) -> &'static str {
        match self {
            Cloud::Worldwide => "smtp.office365.com",
            Cloud::GccHigh => "smtp.office365.us",
            Cloud::Dod => "outlook-dod.office365.us",
            Cloud::China => "smtp.partner.outlook.cn",
        }
    }

    pub(super) fn authority(self) -> &'static str {
        match self {
            Cloud::Worldwide => "https://login.microsoftonline.com",
            Cloud::GccHigh | Cloud::Dod => "https://login.microsoftonline.us",
            Cloud::China => "https://login.partner.microsoftonline.cn",
        }
    }

    /// What a token is for: an application's is all that it may do, a user's is to send (facts.md, "A user's login").
    pub(super) fn scope(self, users: bool) -> &'static str {
        match (self, users) {
            (Cloud::Worldwide, false) => "https://outlook.office365.com/.default",
            (Cloud::Worldwide, true) => "https://outlook.office.com/SMTP.Send",
            (Cloud::GccHigh | Cloud::Dod, false) => "https://outlook.office365.us/.default",
            (Cloud::GccHigh | Cloud::Dod, true) => "https://outlook.office365.us/SMTP.Send",
            (Cloud::China, false) => "https://partner.outlook.cn/.default",
            (Cloud::China, true) => "https://partner.outlook.cn/SMTP.Send",
        }
    }

    #[cfg(feature = "graph")]
    pub(super) fn graph(self) -> &'static str {
        let scope = self.graph_scope(false);
        scope.strip_suffix("/.default").unwrap_or(scope)
    }

    /// The same by Graph.
    #[cfg(feature = "graph")]
    pub(super) fn graph_scope(self, users: bool) -> &'static str {
        match (self, users) {
            (Cloud::Worldwide, false) => "https://graph.microsoft.com/.default",
            (Cloud::Worldwide, true) => "https://graph.microsoft.com/Mail.Send",
            (Cloud::GccHigh, false) => "https://graph.microsoft.us/.default",
            (Cloud::GccHigh, true) => "https://graph.microsoft.us/Mail.Send",
            (Cloud::Dod, false) => "https://dod-graph.microsoft.us/.default",
            (Cloud::Dod, true) => "https://dod-graph.microsoft.us/Mail.Send",
            (Cloud::China, false) => "https://microsoftgraph.chinacloudapi.cn/.default",
            (Cloud::China, true) => "https://microsoftgraph.chinacloudapi.cn/Mail.Send",
        }
    }
}

/// The URL with its scheme, https where none is written, and without trailing slashes.
pub(super) fn with_scheme(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let scheme = match url.contains("://") {
        true => "",
        false => "https://",
    };
    format!("{scheme}{url}")
}
