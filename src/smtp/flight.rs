//! The commands that ask for an envelope, and what the replies to them mean together. Pure: no I/O.

use std::fmt;

use crate::error::Error;
use crate::message::envelope::Route;
use crate::receipt::Refusal;
use crate::reply::Reply;
use crate::stage::{ErrorKind, Stage};

/// A command that may leave together with others (RFC 2920).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command<'e> {
    /// `MAIL FROM:<robot@contoso.com> SIZE=1234`
    Mail(&'e str),
    Rcpt(&'e str),
    Data,
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Mail(line) => f.write_str(line),
            Command::Rcpt(address) => write!(f, "RCPT TO:<{address}>"),
            Command::Data => f.write_str("DATA"),
        }
    }
}

impl Command<'_> {
    pub(crate) fn stage(&self) -> Stage {
        match self {
            Command::Mail(_) => Stage::Sender,
            Command::Rcpt(_) => Stage::Recipient,
            Command::Data => Stage::Data,
        }
    }

    /// The reply, be it yes or no. A 421, or a reply that does not answer the command, is an error that ends the session.
    pub(crate) fn answered(&self, reply: Reply) -> Result<Reply, Error> {
        match (self, reply.class()) {
            (Command::Mail(_) | Command::Rcpt(_), 3) => Err(Error::reply_to(self.stage(), reply)),
            _ if reply.code() == 421 => Err(Error::reply_to(self.stage(), reply)),
            _ => Ok(reply),
        }
    }

    pub(crate) fn named_in(&self, error: Error) -> Error {
        match self {
            Command::Rcpt(address) => error.about(&format!("<{address}>")),
            Command::Mail(_) | Command::Data => error,
        }
    }
}

/// The server takes the message for some or all of the recipients.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Those who get nothing.
    pub(crate) refused: Vec<Refusal>,
    /// DATA went along, and the server waits for the message.
    pub(crate) go_ahead: bool,
}

/// Why a message is not sent, and what has to be done before the next one.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) why: Error,
    pub(crate) next: Next,
}

/// What is done before the next message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The server took the message and with it forgot the envelope.
    Nothing,
    Reset,
    /// No recipient was accepted, and the server waits for a message all the same (RFC 2920 3.1). It gets an empty one, which
    /// it may refuse with 554. Whatever it says, nobody gets anything.
    LoneDot,
    /// There is no next message.
    End(Over),
}

/// Why a session can take no further message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) stage: Stage,
    pub(crate) text: String,
}

impl From<&Error> for Over {
    fn from(why: &Error) -> Self {
        Self {
            stage: why.stage(),
            text: why.to_string(),
        }
    }
}

impl Stop {
    /// Nothing more can be said, not even RSET.
    pub(crate) fn for_good(why: Error) -> Self {
        let next = Next::End(Over::from(&why));
        Self { why, next }
    }
}

/// Goes on after a mere refusal: the server said no, and did not say that it hangs up.
impl From<Error> for Stop {
    fn from(why: Error) -> Self {
        let said_no = matches!(why.kind(), ErrorKind::Refused | ErrorKind::Deferred);
        if said_no && why.reply().is_some_and(|reply| reply.code() != 421) {
            let next = Next::Reset;
            Self { why, next }
        } else {
            Self::for_good(why)
        }
    }
}

/// `heard` are the replies to MAIL, to each RCPT and, where it went along, to DATA, in this order and as far as they came.
/// `lost` is what came instead of the next one.
pub(crate) fn judge(
    route: &Route,
    heard: Vec<Reply>,
    lost: Option<Error>,
) -> Result<Accepted, Stop> {
    let mut heard = heard.into_iter();
    let sender = heard.next().filter(|reply| reply.class() != 2);
    let refused: Vec<Refusal> = route
        .to
        .iter()
        .zip(heard.by_ref())
        .filter(|(_, reply)| reply.class() != 2)
        .map(|(address, reply)| Refusal {
            address: address.clone(),
            reply,
        })
        .collect();
    let data = heard.next();
    let any_accepted = refused.len() < route.to.len();
    let too_many = !any_accepted || !(refused.is_empty() || route.partial);
    let no = match sender {
        // The replies to RCPT follow from the refusal of the sender, and are not told.
        Some(reply) => Some(Error::reply_to(Stage::Sender, reply)),
        None if too_many => Error::recipients(refused.clone()),
        None => None,
    };
    if let Some(why) = no {
        let next = match (lost, data) {
            (Some(lost), _) => Next::End(Over::from(&lost)),
            // The server has refused the sender, and still waits for a message to those it has accepted.
            (None, Some(go_ahead)) if go_ahead.class() == 3 && any_accepted => {
                Next::End(Over::from(&why))
            }
            (None, Some(go_ahead)) if go_ahead.class() == 3 => Next::LoneDot,
            (None, _) => Next::Reset,
        };
        return Err(Stop { why, next });
    }
    if let Some(lost) = lost {
        return Err(lost.into());
    }
    let go_ahead = data.map(|reply| reply.expect(Stage::Data, 3)).transpose()?;
    Ok(Accepted {
        refused,
        go_ahead: go_ahead.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Parser;

    /// Every sequence of up to five replies, for one to three recipients, all or some of whom have to be accepted, DATA
    /// along or not. The expected outcome is computed in another, simpler way.
    #[test]
    fn every_sequence_of_replies_has_its_outcome() {
        let mut cases = 0;
        for (recipients, partial, data) in [
            (1, false, false),
            (1, false, true),
            (2, false, false),
            (3, false, false),
            (1, true, true),
            (2, true, true),
            (3, true, true),
            (3, true, false),
        ] {
            let length = 1 + recipients + u32::from(data);
            for n in 0..6_usize.pow(length) {
                let codes = [250, 354, 450, 421, 550, 0];
                let said: Vec<u16> = (0..length).map(|i| codes[n / 6_usize.pow(i) % 6]).collect();
                one(&said, recipients as usize, partial);
                cases += 1;
            }
        }
        assert_eq!(cases, 12_348);
    }

    /// A code of 0 is a connection that ends.
    fn one(said: &[u16], recipients: usize, partial: bool) {
        let to = (0..recipients).map(|n| Ok(format!("{n}@example.com")));
        let route = Route::new("robot@contoso.com".into(), to, partial).unwrap();
        let commands: Vec<_> = std::iter::once(Command::Mail("MAIL"))
            .chain(route.to.iter().map(|address| Command::Rcpt(address)))
            .chain([Command::Data])
            .collect();
        let (mut heard, mut lost) = (Vec::new(), None);
        for (command, &code) in commands.iter().zip(said) {
            let answer = match code {
                0 => Err(Error::protocol(command.stage(), "lost")),
                _ => command.answered(reply(code)),
            };
            match answer {
                Ok(reply) => heard.push(reply),
                Err(error) => {
                    lost = Some(command.named_in(error));
                    break;
                }
            }
        }
        let ended = lost.is_some();
        let result = judge(&route, heard, lost);

        // Where it ends: nothing, a 421, or a 354 to what is not DATA.
        let ends = said.iter().enumerate().position(|(n, code)| match code {
            0 | 421 => true,
            354 => n <= recipients,
            _ => false,
        });
        assert_eq!(ends.is_some(), ended, "{said:?}");
        let answers = &said[..ends.unwrap_or(said.len())];
        let to = answers.get(1..).unwrap_or_default();
        let to = &to[..to.len().min(recipients)];
        let no: Vec<u16> = to.iter().copied().filter(|&code| code != 250).collect();
        let data = answers.get(1 + recipients).copied();
        // Refusals in hand decide, even if the connection is lost before the other recipients have theirs.
        let enough = match partial {
            true => no.len() < recipients,
            false => no.is_empty(),
        };
        let sender = answers.first().copied();
        let deciding = match sender {
            Some(code) if code != 250 => Some(code),
            _ if !enough => no.iter().copied().max(),
            _ => None,
        };
        let what = format!("{said:?} {recipients} {partial}: {result:?}");
        match result {
            Ok(accepted) => {
                assert!(ends.is_none() && sender == Some(250) && enough, "{what}");
                assert_eq!(accepted.refused.len(), no.len(), "{what}");
                assert_eq!(accepted.go_ahead.then_some(354), data, "{what}");
            }
            Err(Stop { why, next }) => {
                let waits = data == Some(354);
                assert!(ends.is_some() || deciding.is_some() || !waits, "{what}");
                let nonsense = deciding.is_none() && data == Some(250);
                let reached = no.len() < recipients;
                match next {
                    Next::End(_) => {
                        assert!(ends.is_some() || nonsense || waits && reached, "{what}");
                    }
                    Next::LoneDot => assert!(ends.is_none() && waits && !reached, "{what}"),
                    Next::Reset => assert!(ends.is_none() && !waits && !nonsense, "{what}"),
                    Next::Nothing => panic!("{what}"),
                }
                match deciding {
                    Some(code) => {
                        assert_eq!(why.reply().unwrap().code(), code, "{what}");
                        let listed = if sender == Some(250) { no.len() } else { 0 };
                        assert_eq!(why.refused().len(), listed, "{what}");
                    }
                    None => assert!(ends.is_some() || data.is_some(), "{what}"),
                }
                assert!(!why.in_doubt(), "{what}");
            }
        }
    }

    fn reply(code: u16) -> Reply {
        let line = code.to_string();
        Parser::default()
            .push(line.as_bytes(), false)
            .unwrap()
            .unwrap()
    }
}
