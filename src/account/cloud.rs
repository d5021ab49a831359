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

    /// The scope for a user (facts.md, "A user's login").
    #[cfg(feature = "login")]
    pub(super) fn users_scope(self) -> &'static str {
        match self {
            Cloud::Worldwide => "https://outlook.office.com/SMTP.Send",
            Cloud::GccHigh | Cloud::Dod => "https://outlook.office365.us/SMTP.Send",
            Cloud::China => "https://partner.outlook.cn/SMTP.Send",
        }
    }

    /// The same by Graph.
    #[cfg(all(feature = "graph", feature = "login"))]
    pub(super) fn users_graph_scope(self) -> &'static str {
        match self {
            Cloud::Worldwide => "https://graph.microsoft.com/Mail.Send",
            Cloud::GccHigh => "https://graph.microsoft.us/Mail.Send",
            Cloud::Dod => "https://dod-graph.microsoft.us/Mail.Send",
            Cloud::China => "https://microsoftgraph.chinacloudapi.cn/Mail.Send",
        }
    }

    pub(crate) fn scope(self) -> &'static str {
        match self {
            Cloud::Worldwide => "https://outlook.office365.com/.default",
            Cloud::GccHigh | Cloud::Dod => "https://outlook.office365.us/.default",
            Cloud::China => "https://partner.outlook.cn/.default",
        }
    }

    #[cfg(feature = "graph")]
    pub(super) fn graph(self) -> &'static str {
        let scope = self.graph_scope();
        scope.strip_suffix("/.default").unwrap_or(scope)
    }

    #[cfg(feature = "graph")]
    pub(super) fn graph_scope(self) -> &'static str {
        match self {
            Cloud::Worldwide => "https://graph.microsoft.com/.default",
            Cloud::GccHigh => "https://graph.microsoft.us/.default",
            Cloud::Dod => "https://dod-graph.microsoft.us/.default",
            Cloud::China => "https://microsoftgraph.chinacloudapi.cn/.default",
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
