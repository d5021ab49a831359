//! A line from any program's log, and what it means at Exchange Online. Offline, from the table of hints.

use crate::hint::{self, CONDITIONS, REPLIES, Row};

/// What one part of a line means, and what to do about it. You get these from [`explain`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    seen: String,
    advice: &'static str,
    page: String,
}

impl Explanation {
    /// What was recognised: `535 5.7.3`, `AADSTS7000215`, or the words of a program that could not connect.
    pub fn seen(&self) -> &str {
        &self.seen
    }

    /// What it means most often, and what to do about it. Names in `<...>` are to be replaced.
    pub fn advice(&self) -> &str {
        self.advice
    }

    /// Microsoft's page about it.
    pub fn page(&self) -> &str {
        &self.page
    }
}

/// Microsoft's page about programs that send through Exchange Online, for what nothing is known about.
pub const GENERAL_PAGE: &str = "https://learn.microsoft.com/exchange/mail-flow-best-practices/how-to-set-up-a-multifunction-device-or-application-to-send-email-using-microsoft-365-or-office-365";
const REPLIES_PAGE: &str = "https://learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online/non-delivery-reports-in-exchange-online";
const LOGIN_PAGE: &str = "https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth";

/// Servers that use the same codes for other things, by what they write into their lines.
const OTHER_SERVERS: &[&str] = &[
    "gsmtp",
    "postfix",
    "amazonses",
    "sendgrid",
    "exim",
    "mailgun",
    "dovecot",
];
/// What Exchange Online writes into its lines, for those that lost their code on the way.
const EXCHANGE: &[&str] = &[
    "outlook.com",
    "office365",
    "exchangelabs",
    "STOREDRV",
    "authentication unsuccessful",
    "SendAsDenied",
];

/// Says what a line means that some program wrote when it could not send through Exchange Online: this crate's own
/// errors, those of curl, msmtp, Python, Node.js, PHP and others, replies, Entra's JSON. Nothing is looked up.
///
/// The likeliest comes first; a line that nothing is known about gives nothing.
///
/// ```
/// let line = "smtplib.SMTPAuthenticationError: (535, b'5.7.3 Authentication unsuccessful [AM0PR01CA0001]')";
/// let found = exosend::explain(line);
/// assert_eq!(found[0].seen(), "535 5.7.3");
/// assert!(found[0].advice().contains("New-ServicePrincipal"));
/// ```
pub fn explain(line: &str) -> Vec<Explanation> {
    let mut found = Vec::new();
    entra(line, &mut found);
    if !says_any(line, OTHER_SERVERS) {
        replies(line, &mut found);
    }
    conditions(line, &mut found);
    // A line may say the same twice, by its text and by a field.
    let mut told: Vec<&str> = Vec::new();
    found.retain(|explanation: &Explanation| {
        let new = !told.contains(&explanation.advice);
        told.push(explanation.advice);
        new
    });
    found
}

fn says_any(line: &str, words: &[&str]) -> bool {
    words.iter().any(|word| hint::contains(line, word))
}

/// `AADSTS7000215`, and the numbers in `"error_codes":[7000215]`.
fn entra(line: &str, found: &mut Vec<Explanation>) {
    let field = line.split("error_codes").skip(1).flat_map(|rest| {
        let list = rest.split(']').next().unwrap_or_default();
        list.split(|c: char| !c.is_ascii_digit())
    });
    for text in line.split("AADSTS").skip(1).chain(field) {
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let code = text.get(..digits).and_then(|digits| digits.parse().ok());
        if let Some((code, advice)) = code.and_then(|code| Some((code, hint::entra_code(code)?))) {
            found.push(Explanation {
                seen: format!("AADSTS{code}"),
                advice,
                page: format!("https://login.microsoftonline.com/error?code={code}"),
            });
        }
    }
}

/// `535 5.7.3 ...`, `535-5.7.3`, `(535, b'5.7.3 ...')`, `#5.7.3 smtp;535 5.7.3`, and without the first code what can only
/// be Exchange's.
fn replies(line: &str, found: &mut Vec<Explanation>) {
    let words = || {
        line.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_')))
            .map(|word| word.trim_matches('.'))
    };
    let codes: Vec<u16> = words().filter_map(smtp_code).collect();
    let nameless = codes.is_empty() && says_any(line, EXCHANGE);
    let mut enhanced: Vec<&str> = words().filter(|word| is_enhanced(word)).collect();
    enhanced.push(""); // for what is known by its code and text alone
    enhanced.dedup();
    for enhanced in enhanced {
        let row = REPLIES.iter().find(|Row(code, pattern, fragment, _)| {
            (codes.contains(code) || (nameless && !enhanced.is_empty()))
                && hint::fits(enhanced, pattern)
                && hint::contains(line, fragment)
        });
        if let Some(Row(code, _, _, advice)) = row {
            let page = match code {
                530 | 535 => LOGIN_PAGE,
                _ => REPLIES_PAGE,
            };
            found.push(Explanation {
                seen: format!("{code} {enhanced}").trim_end().to_owned(),
                advice,
                page: page.to_owned(),
            });
        }
    }
}

/// 4yz or 5yz (RFC 5321 4.2.1).
fn smtp_code(word: &str) -> Option<u16> {
    let code = word.parse().ok()?;
    (word.len() == 3 && (400..600).contains(&code)).then_some(code)
}

/// `5.7.139` (RFC 3463).
fn is_enhanced(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    let digits =
        |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    parts.len() == 3 && parts.iter().all(digits) && word.starts_with(['4', '5'])
}

fn conditions(line: &str, found: &mut Vec<Explanation>) {
    for (words, advice) in CONDITIONS {
        if let Some(word) = words.iter().find(|word| hint::contains(line, word)) {
            found.push(Explanation {
                seen: (*word).to_owned(),
                advice,
                page: GENERAL_PAGE.to_owned(),
            });
        }
    }
}
