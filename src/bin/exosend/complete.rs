//! Completes the header of a message when it is sent: adds what is missing, and makes From one that Exchange takes.

use std::time::SystemTime;

use crate::addressing::Addressing;
use crate::config::Config;
use crate::head::{Author, Head};
use crate::list::Mailbox;
use crate::local::Here;
use crate::recipients::Recipients;
use crate::{crypto, date};

/// Returns the address of the old From, if it was replaced.
pub(crate) fn complete(
    head: &mut Head,
    addressing: &Addressing,
    config: &Config,
    here: &Here,
    recipients: &mut Recipients<'_>,
) -> Option<String> {
    let (mailbox, settings) = (config.account.mailbox(), &config.settings);
    // Graph takes the recipients from the header, and can send to no user of this machine.
    if settings.rewrite_to || config.by_graph {
        head.rewrite_recipients(&mut |mailbox| {
            let user = here.user(&mailbox.spec)?;
            let specs = recipients
                .resolve(std::slice::from_ref(&mailbox.spec))
                .ok()?;
            let of = |spec| match mailbox.name.as_str() {
                "" => Mailbox::new(user, spec),
                name => Mailbox {
                    name: name.to_owned(),
                    spec,
                },
            };
            Some(specs.into_iter().map(of).collect()).filter(|to: &Vec<_>| !to.is_empty())
        });
    }
    let name = |user: &str| here.name(&settings.from_name, user);
    match (head.get("From"), &addressing.sender) {
        (Some(_), Some(sender)) => log::debug!("-f {sender}: ignored, the message has a From"),
        (Some(_), None) => {}
        (None, sender) => {
            let spec = sender.as_deref().unwrap_or(mailbox);
            let from = match (&addressing.full_name, sender) {
                (Some(name), _) => Mailbox::new(name, spec),
                (None, Some(_)) => Mailbox::new("", spec),
                (None, None) => Mailbox::new(&name(""), spec),
            };
            head.remove("From");
            head.add("From", &from.written());
        }
    }
    let domain = mailbox.rsplit('@').next().unwrap_or_default();
    identify(head, &format!("{}@{domain}", crypto::random::<16>()));
    if !settings.rewrite_from {
        return None;
    }
    let author = Author {
        mailbox,
        send_as: &settings.send_as,
        is_unreachable: &|domain| here.is_unreachable(domain),
        name: &name,
    };
    let was = head.rewrite_from(&author)?;
    log::info!("From {was}: not the mailbox, sent as {mailbox}");
    Some(was)
}

/// Adds Date and Message-ID if they are missing.
pub(crate) fn identify(head: &mut Head, id: &str) {
    head.add_missing("Date", &date::rfc5322(SystemTime::now()));
    head.add_missing("Message-ID", &format!("<{id}>"));
}
