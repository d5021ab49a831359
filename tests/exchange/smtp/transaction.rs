//! One mail transaction: who sends what to whom, and whether Exchange lets it pass.

use super::super::config::Config;
use super::super::random;
use super::super::record::{Delivered, header};
use super::super::shared::Shared;
use super::body::Taken;
use super::command::{Path, Refusal};

const MAILBOX_HOST: &str = "AM0PR01MB0001.eurprd01.prod.exchangelabs.com";
const TOO_BIG: &str = "552 5.3.4 Message size exceeds fixed maximum message size";
const UNKNOWN_PARAMETER: &str = "555 5.5.4 Unsupported option";

pub(super) struct Transaction {
    mail: Path,
    pub(super) to: Vec<String>,
}

impl Transaction {
    /// Judges the argument of MAIL.
    pub(super) fn begin(argument: &str, config: &Config) -> Result<Self, Refusal> {
        let mail = Path::parse(argument, "FROM:")?;
        for parameter in &mail.parameters {
            let (keyword, value) = parameter
                .split_once('=')
                .map_or((&**parameter, None), |(k, v)| (k, Some(v)));
            let known = match (keyword.to_ascii_uppercase().as_str(), value) {
                ("SIZE", Some(size)) => {
                    !size.is_empty() && size.bytes().all(|b| b.is_ascii_digit())
                }
                ("BODY", Some(body)) => ["7BIT", "8BITMIME"]
                    .iter()
                    .any(|known| body.eq_ignore_ascii_case(known)),
                ("SMTPUTF8", None) => true,
                _ => false,
            };
            let extension = if keyword.eq_ignore_ascii_case("BODY") {
                "8BITMIME"
            } else {
                keyword
            };
            if !known || !config.offers(extension) {
                let violation = "an unknown or not offered parameter of MAIL (RFC 5321 4.1.1.11)";
                return Err(Refusal::violation(UNKNOWN_PARAMETER, violation));
            }
        }
        // The null path is the one address without an @.
        if !mail.address.is_empty() {
            mail.check_address()?;
        }
        check_charset(&mail, &mail)?;
        let size = mail
            .parameter("SIZE")
            .map_or(0, |size| size.parse().unwrap_or(u64::MAX));
        if size > config.max_size() {
            return Err(Refusal::reply(TOO_BIG));
        }
        Ok(Self {
            mail,
            to: Vec::new(),
        })
    }

    /// Judges the argument of RCPT.
    pub(super) fn recipient(&self, argument: &str, shared: &Shared) -> Result<Path, Refusal> {
        let rcpt = Path::parse(argument, "TO:")?;
        if !rcpt.parameters.is_empty() {
            let violation = "an unknown parameter of RCPT (RFC 5321 4.1.1.11)";
            return Err(Refusal::violation(UNKNOWN_PARAMETER, violation));
        }
        rcpt.check_address()?;
        check_charset(&rcpt, &self.mail)?;
        match shared.refusal_of(&rcpt.address) {
            Some(reply) => Err(Refusal::reply(&reply)),
            None => Ok(rcpt),
        }
    }

    /// The reply after the final dot.
    pub(super) fn verdict(&self, message: &Taken, config: &Config) -> String {
        if message.length > config.max_size() {
            return TOO_BIG.to_owned();
        }
        let from = header(&message.data, "From");
        let from = from.as_deref().map(|from| {
            from.rsplit('<')
                .next()
                .unwrap_or(from)
                .trim_end_matches('>')
        });
        let senders = [Some(self.mail.address.as_str()), from];
        let denied = senders
            .into_iter()
            .flatten()
            .find(|sender| !config.may_send_as(sender));
        match denied {
            Some(sender) => send_as_denied(&config.mailbox, sender),
            None => {
                let id = header(&message.data, "Message-ID")
                    .unwrap_or_else(|| format!("<{}@{MAILBOX_HOST}>", random::hex(16)));
                format!("250 2.0.0 OK {id} [Hostname={MAILBOX_HOST}]")
            }
        }
    }

    /// RFC 6152 3: octets over 127 are announced with BODY=8BITMIME.
    pub(super) fn check_body(&self, message: &Taken) -> Option<&'static str> {
        let announced = self
            .mail
            .parameter("BODY")
            .is_some_and(|body| body.eq_ignore_ascii_case("8BITMIME"));
        let silent = !message.only_ascii && !announced;
        silent.then_some("8-bit octets in a message without BODY=8BITMIME (RFC 6152 3)")
    }

    pub(super) fn delivered(self, message: Taken) -> Delivered {
        let Path {
            address: from,
            parameters,
        } = self.mail;
        let Taken {
            data,
            length,
            sha256,
            ..
        } = message;
        Delivered {
            from,
            to: self.to,
            parameters,
            data,
            length,
            sha256,
        }
    }
}

/// RFC 6531 3.4: an address beyond ASCII needs SMTPUTF8 at MAIL.
fn check_charset(path: &Path, mail: &Path) -> Result<(), Refusal> {
    if path.address.is_ascii() || mail.parameter("SMTPUTF8").is_some() {
        return Ok(());
    }
    let violation = "an address beyond ASCII without SMTPUTF8 (RFC 6531 3.4)";
    Err(Refusal::violation(
        "550 5.6.7 Address contains characters that need SMTPUTF8",
        violation,
    ))
}

/// Exchange's refusal is one line of over 1,500 octets (facts.md, "After DATA").
fn send_as_denied(mailbox: &str, sender: &str) -> String {
    let diagnostics: String = (0..90)
        .map(|i| format!("0.{}:", 35_180 + 4_096 * (i % 9)))
        .collect();
    format!(
        "554 5.2.252 SendAsDenied; {mailbox} not allowed to send as {sender}; \
         STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; \
         Failed to process message due to a permanent exception with message [BeginDiagnosticData]\
         Cannot submit message. {diagnostics}1750:{mailbox}, {diagnostics}[EndDiagnosticData] \
         [Hostname={MAILBOX_HOST}]"
    )
}
