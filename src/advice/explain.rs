//! A line from any program's log, and what it means: the table of hints, read offline. Pure.
//!
//! `hint.rs` knows what to do; this module only recognises the same reply in the many ways that programs write it.

mod conditions;
mod reply;

#[cfg(feature = "graph")]
use crate::hint;
use crate::hint::table::{self, Condition};

/// What one pasted line means, from [`explain`].
///
/// ```
/// let line = "smtplib.SMTPAuthenticationError: (535, b'5.7.3 Authentication unsuccessful [AM0PR01CA0001]')";
/// let found = &exosend::advice::explain(line)[0];
/// assert_eq!(found.recognised(), "535 5.7.3");
/// assert!(found.advice().contains("New-ServicePrincipal"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    recognised: String,
    condition: Condition,
    documented: String,
}

impl Explanation {
    /// The part of the line that it rests on: `AADSTS7000215`, `535 5.7.3`, or the words.
    pub fn recognised(&self) -> &str {
        &self.recognised
    }

    /// What it most often means, for programs.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// What it most often means.
    pub fn meaning(&self) -> &str {
        table::parts(self.condition).0
    }

    /// What to do, with the step in PowerShell or the portal. Names in `<...>` are yours.
    pub fn advice(&self) -> &str {
        table::parts(self.condition).1
    }

    /// Meaning and advice as [`Error::hint`](crate::Error::hint) gives them for the same reply.
    pub fn hint(&self) -> &str {
        table::words(self.condition)
    }

    /// The page about it, a URL.
    pub fn documented(&self) -> &str {
        &self.documented
    }
}

/// What a line (or some lines) of any program's log means, the likeliest first. Needs no network.
///
/// It knows Entra's AADSTS numbers, the replies of Exchange Online and of High Volume Email, the codes of Microsoft Graph
/// (with feature `graph`), and failures of TLS and of the network in the words of exosend, curl, msmtp, Postfix, OpenSSL,
/// Python, Node, Java, Go and .NET. What it does not know gives nothing: see [`general_page`]. It is advice, as
/// [`Error::hint`](crate::Error::hint) is.
///
/// ```
/// for found in exosend::advice::explain("Invalid login: 535 5.7.3 Authentication unsuccessful") {
///     println!("{}: {}\n  {}\n  {}", found.recognised(), found.meaning(), found.advice(), found.documented());
/// }
/// assert!(exosend::advice::explain("queue file write error").is_empty());
/// ```
pub fn explain(line: &str) -> Vec<Explanation> {
    let text = line.to_ascii_lowercase();
    let codes = codes(&text);
    let mut found = Found::default();
    // These words occur where a user logs in, never where an application does.
    let users = [
        "invalid_grant",
        "device_code",
        "device code",
        "exosend login",
    ];
    let users = users.iter().any(|words| text.contains(words));
    for &code in &codes {
        let known = table::of_entra(code);
        let of_user = known.and_then(table::of_user);
        let (first, second) = match users {
            true => (of_user, known),
            false => (known, of_user),
        };
        for condition in first.iter().chain(&second) {
            found.add(format!("AADSTS{code}"), *condition, page_of_code(code));
        }
    }
    #[cfg(feature = "graph")]
    for word in line.split(|c: char| !c.is_ascii_alphanumeric()) {
        if let Some(condition) = hint::graph::of_code(word) {
            found.add_all(vec![(word.to_owned(), condition)]);
        }
    }
    found.add_all(reply::explain(&text));
    // A reply proves that the network works, even `421 4.4.1 Connection timed out`.
    if found.0.is_empty() && codes.is_empty() {
        found.add_all(conditions::explain(&text));
    }
    found.0
}

#[derive(Default)]
struct Found(Vec<Explanation>);

impl Found {
    /// Adds what a line means by these words of it, once for each condition.
    fn add(&mut self, recognised: String, condition: Condition, documented: String) {
        if self.0.iter().all(|known| known.condition != condition) {
            self.0.push(Explanation {
                recognised,
                condition,
                documented,
            });
        }
    }

    fn add_all(&mut self, all: Vec<(String, Condition)>) {
        for (recognised, condition) in all {
            self.add(recognised, condition, page(condition).into());
        }
    }
}

/// Where to look a line up that [`explain`] does not know: Entra's page about the AADSTS number in it, else Microsoft's
/// page about SMTP AUTH.
///
/// ```
/// assert_eq!(exosend::advice::general_page("AADSTS1234567: news"), "https://login.microsoftonline.com/error?code=1234567");
/// ```
pub fn general_page(line: &str) -> String {
    match codes(&line.to_ascii_lowercase()).first() {
        Some(code) => page_of_code(*code),
        None => SMTP_AUTH.into(),
    }
}

/// The one page that Entra promises to keep: facts.md, "AADSTS codes".
pub(crate) fn page_of_code(code: u64) -> String {
    format!("https://login.microsoftonline.com/error?code={code}")
}

const SMTP_AUTH: &str = "https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/authenticated-client-smtp-submission";

/// The page about a condition.
fn page(condition: Condition) -> &'static str {
    use Condition::*;
    match condition {
        SmtpAuthOff => "https://aka.ms/smtp_auth_disabled",
        RepeatedFailure => {
            "https://learn.microsoft.com/exchange/mail-flow-best-practices/continuous-error-throttling-smtp-auth-submissions"
        }
        TokenAtItsEnd | HighVolumePermission | HighVolumeAccount | HighVolumeLogin
        | HighVolumeExternal => {
            "https://learn.microsoft.com/exchange/mail-flow-best-practices/oauth-high-volume-mails-m365"
        }
        LoginRefused | NoMailboxAccess | SendAsDenied => {
            "https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth"
        }
        TooManyConnections | TooFast | Idle | TooManyRecipients | TooLarge | DailyQuota => {
            "https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits"
        }
        SenderRestricted | RecipientUnknown | TenantRefused | SharedDomain | BlockList
        | UnregisteredDomain => {
            "https://learn.microsoft.com/exchange/troubleshoot/email-delivery/ndr/non-delivery-reports-in-exchange-online"
        }
        #[cfg(feature = "graph")]
        GraphAccess | GraphMailbox | GraphToken | NotGraph | GraphUnreachable | GraphTooLarge => {
            "https://learn.microsoft.com/graph/errors"
        }
        #[cfg(feature = "graph")]
        GraphThrottled => "https://learn.microsoft.com/graph/throttling-limits",
        // About nothing but the lost reply to the final dot.
        InDoubt => "https://www.rfc-editor.org/rfc/rfc1047",
        _ => SMTP_AUTH,
    }
}

/// AADSTS numbers, in order: in words, in `error_codes` of the JSON answer, in its `error_uri`.
fn codes(text: &str) -> Vec<u64> {
    let mut codes = Vec::new();
    for mark in ["aadsts", "error_codes", "microsoftonline.com/error?code="] {
        for (at, _) in text.match_indices(mark) {
            let rest = text.get(at + mark.len()..).unwrap_or("");
            // `"error_codes":[7000215,70011]`, `error_codes: [ 7000215 ]`, and escaped once more
            let (rest, between) = match mark {
                "error_codes" => {
                    let before = ['"', '\'', '\\', ':', ' ', '[', '\n', '='];
                    (rest.trim_start_matches(before), ", ")
                }
                _ => (rest, ""),
            };
            let ends = |c: char| !c.is_ascii_digit() && !between.contains(c);
            let list = rest.split(ends).next().unwrap_or("");
            codes.extend(list.split([',', ' ']).filter_map(|n| n.parse::<u64>().ok()));
        }
    }
    codes
}
