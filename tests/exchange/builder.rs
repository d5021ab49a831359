//! How a stand-in is set up before it starts.

use std::ops::RangeInclusive;

use super::Exchange;
use super::certificates::Certificate;
use super::client_certificate::ClientCertificate;
use super::config::{Config, keyword};
use super::entra::Answer;
use super::fault::{Fault, Step};
use super::shared::Orders;

/// Builds an [`Exchange`].
#[must_use]
#[derive(Clone, Default)]
pub struct Builder {
    pub(super) config: Config,
    pub(super) orders: Orders,
}

/// Who the account is.
impl Builder {
    /// The mailbox that may send: `robot@contoso.com`.
    pub fn mailbox(self, mailbox: &str) -> Self {
        self.with(|config| config.mailbox = mailbox.into())
    }

    /// The secret's value. The default holds `&`, `+`, `=` and `%`, which a form has to encode.
    pub fn client_secret(self, secret: &str) -> Self {
        self.with(|config| config.client_secret = secret.into())
    }

    /// A certificate with whose key the application may sign an assertion. Several may be registered.
    pub fn certificate(self, certificate: &ClientCertificate) -> Self {
        let certificate = certificate.clone();
        self.with(|config| config.certificates.push(certificate))
    }

    /// A federated token that proves the application, usually a [`FederatedToken`](super::FederatedToken)'s text.
    /// Others are refused from now on.
    pub fn federated_token(mut self, text: impl Into<String>) -> Self {
        self.orders.federated.add(text.into());
        self
    }

    /// The machine has this user-assigned identity too.
    pub fn user_assigned(self, client_id: &str) -> Self {
        self.with(|config| config.user_assigned.push(client_id.into()))
    }

    /// Another address that the mailbox has `SendAs` rights for. Without them Exchange refuses a message
    /// from any other address, in MAIL or in the From field, after its body (facts.md, "After DATA").
    pub fn send_as(self, address: &str) -> Self {
        self.with(|config| config.send_as.push(address.into()))
    }

    /// Tokens carry no `roles`, as by App RBAC (facts.md, "Tokens").
    pub fn without_roles(self) -> Self {
        self.with(|config| config.roles = false)
    }

    /// Tokens of 43 octets that are no JWT.
    pub fn short_token(self) -> Self {
        self.with(|config| config.token_length = 43)
    }

    /// The user who logs in, if that is not the mailbox's own.
    pub fn logs_in(self, user: &str) -> Self {
        self.with(|config| config.login_user = Some(user.into()))
    }

    /// What users let the application do: `SMTP.Send`.
    pub fn login_scp(self, scp: &str) -> Self {
        self.with(|config| config.login_scp = scp.into())
    }

    /// How often the application has to ask before the user has entered the code, and how many seconds apart: once, 0.
    pub fn login_after(self, polls: usize, interval: u64) -> Self {
        self.with(|config| (config.login_polls, config.login_interval) = (polls, interval))
    }

    /// What Entra says in `expires_in`: 3599.
    pub fn expires_in(self, seconds: u64) -> Self {
        self.with(|config| config.expires_in = seconds)
    }
}

/// What the servers are like.
impl Builder {
    /// EHLO offers this too, or instead of the line with the same keyword: `SIZE 1000`.
    pub fn extension(self, line: &str) -> Self {
        self.with(|config| {
            let offered = &mut config.extensions;
            match offered
                .iter_mut()
                .find(|offered| keyword(offered) == keyword(line))
            {
                Some(offered) => *offered = line.into(),
                None => offered.push(line.into()),
            }
        })
    }

    /// EHLO does not offer this, and the server does not know it.
    pub fn without(self, extension: &str) -> Self {
        let stays = |offered: &String| keyword(offered) != extension;
        self.with(|config| config.extensions.retain(stays))
    }

    /// The mechanisms that EHLO offers after TLS: `LOGIN XOAUTH2`.
    pub fn auth(self, mechanisms: &str) -> Self {
        self.extension(&format!("AUTH {mechanisms}"))
    }

    /// Of messages only the length, the hash and the first 256 KiB are kept.
    pub fn discard_bodies(self) -> Self {
        self.with(|config| config.discard_bodies = true)
    }

    /// The certificate of the SMTP side.
    pub fn smtp_certificate(self, certificate: Certificate) -> Self {
        self.with(|config| config.smtp_certificate = certificate)
    }

    /// The certificate of the token side.
    pub fn entra_certificate(self, certificate: Certificate) -> Self {
        self.with(|config| config.entra_certificate = certificate)
    }

    /// No TLS 1.3.
    pub fn only_tls12(self) -> Self {
        self.with(|config| config.tls_versions = vec![&rustls::version::TLS12])
    }

    /// SMTP listens on `::1` too, on the same port. Panics at start where there is no IPv6.
    pub fn ipv6(self) -> Self {
        self.with(|config| config.ipv6 = true)
    }

    /// The token side accepts connections and never says a byte, not even for TLS.
    pub fn entra_is_deaf(self) -> Self {
        self.with(|config| config.entra_is_deaf = true)
    }
}

/// What goes wrong. The same can be told to a running stand-in.
impl Builder {
    /// At this step, every time.
    pub fn on(mut self, step: Step, fault: Fault) -> Self {
        self.orders.faults.tell(step, 1..=usize::MAX, fault);
        self
    }

    /// The same for a reply, as a line: `Accept 451 4.7.500 Server busy`.
    pub fn says(self, row: &str) -> Self {
        let (step, fault) = Step::says(row);
        self.on(step, fault)
    }

    /// At the `n`th occurrence of this step, counted from 1 over the stand-in's life.
    pub fn on_nth(mut self, step: Step, n: usize, fault: Fault) -> Self {
        self.orders.faults.tell(step, n..=n, fault);
        self
    }

    /// RCPT refuses this address with this reply.
    pub fn refuse(mut self, address: &str, reply: &str) -> Self {
        self.orders.refused.push((address.into(), reply.into()));
        self
    }

    /// The token endpoint's answer to every request.
    pub fn token(mut self, answer: Answer) -> Self {
        self.orders.answers.tell(1..=usize::MAX, answer);
        self
    }

    /// The token endpoint's answer to the `n`th request, counted from 1.
    pub fn nth_token(mut self, n: usize, answer: Answer) -> Self {
        self.orders.answers.tell(n..=n, answer);
        self
    }

    /// The answer of the managed identity's endpoint, whichever is asked, to these requests, counted from 1.
    pub fn identity(mut self, requests: RangeInclusive<usize>, answer: Answer) -> Self {
        self.orders.identity_answers.tell(requests, answer);
        self
    }

    /// All octets of TCP that clients of the SMTP side send are kept: what is in the clear is seen in them.
    pub fn tapped(self) -> Self {
        self.with(|config| config.tapped = true)
    }

    /// Starts it.
    pub fn start(self) -> Exchange {
        Exchange::launch(self)
    }

    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }
}
