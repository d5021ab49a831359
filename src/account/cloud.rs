//! Microsoft's clouds, and what is where in each.

/// One of Microsoft's clouds: its submission server, its authority, and the scope of its Exchange Online.
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
    /// The word for it, in the order of the variants.
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

    pub(crate) fn scope(self) -> &'static str {
        match self {
            Cloud::Worldwide => "https://outlook.office365.com/.default",
            Cloud::GccHigh | Cloud::Dod => "https://outlook.office365.us/.default",
            Cloud::China => "https://partner.outlook.cn/.default",
        }
    }
}
