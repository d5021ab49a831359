//! The names and domains of this machine. Exchange cannot deliver mail for them; the configuration says where it goes.

use std::net::IpAddr;

use crate::config::Config;
use crate::process;

/// The names of every machine for itself: RFC 6761 6.3, and what distributions write into /etc/hosts.
const LOCALHOST: &[&str] = &[
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost4.localdomain4",
    "localhost6",
    "localhost6.localdomain6",
    "ip6-localhost",
    "ip6-loopback",
];

/// The domains of this machine.
pub(crate) struct Here {
    /// The first label of its name.
    host: String,
    domains: Vec<String>,
    /// The mailbox's domain, which is Exchange's even if the machine is called so.
    elsewhere: Option<String>,
}

impl Here {
    pub(crate) fn new(config: &Config) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let (name, mailname) = (read("/proc/sys/kernel/hostname"), read("/etc/mailname"));
        let more = &config.settings.local_domains;
        let mailbox = config.account.mailbox();
        Self::of(&name, &read("/etc/hosts"), &mailname, mailbox, more)
    }

    fn of(name: &str, hosts: &str, mailname: &str, mailbox: &str, more: &[String]) -> Self {
        let name = name.trim().to_ascii_lowercase();
        let host = name.split('.').next().unwrap_or_default().to_owned();
        let mut domains = Vec::new();
        if !host.is_empty() {
            let own = ["", ".localdomain", ".local"].map(|end| format!("{host}{end}"));
            domains.extend(own);
            domains.push(name.clone());
            // The first name of the line with our name is the full one, as for `hostname --fqdn`.
            let lines = hosts.lines().filter_map(|line| line.split('#').next());
            let names = lines.map(|line| line.split_whitespace().skip(1));
            let full = names.filter(|names| names.clone().any(|n| n.eq_ignore_ascii_case(&name)));
            domains.extend(full.filter_map(|mut names| names.next().map(str::to_ascii_lowercase)));
            // Not if it is the company's domain, as often: its people do not get their mail on this machine.
            let mailname = mailname.trim().to_ascii_lowercase();
            domains.extend(Some(mailname).filter(|name| name.split('.').next() == Some(&host)));
        }
        let elsewhere = mailbox
            .rsplit_once('@')
            .map(|(_, domain)| domain.to_ascii_lowercase());
        domains.retain(|domain| Some(domain) != elsewhere.as_ref());
        let more = more.iter().map(|domain| domain.trim_end_matches('.'));
        domains.extend(more.map(str::to_ascii_lowercase));
        Self {
            host,
            domains,
            elsewhere,
        }
    }

    /// The user's name, if the address is a user's of this machine.
    pub(crate) fn user<'a>(&self, address: &'a str) -> Option<&'a str> {
        match address.rsplit_once('@') {
            None => Some(address),
            // In quotes it is the same user (RFC 5321 4.1.2).
            Some((user, domain)) => self.is_local(domain).then_some(user.trim_matches('"')),
        }
    }

    fn is_local(&self, domain: &str) -> bool {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        let address = domain.trim_matches(['[', ']']);
        let address = address.strip_prefix("ipv6:").unwrap_or(address);
        address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            || LOCALHOST.contains(&&*domain)
            || domain.ends_with(".localhost")
            || self.domains.contains(&domain)
    }

    /// Whether no answer can reach an address in this domain. Beside the local domains these are domains that only a network
    /// knows (RFC 6762, RFC 8375, ICANN's `internal`), and the host's name in any domain: programs that ask the resolver
    /// find `web1.contoso.com` for `web1`.
    pub(crate) fn is_unreachable(&self, domain: &str) -> bool {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        let private = [".local", ".localdomain", ".internal", ".home.arpa"];
        let rest = domain
            .strip_prefix(&self.host)
            .and_then(|rest| rest.strip_prefix('.'));
        self.is_local(&domain)
            || private.iter().any(|end| domain.ends_with(end))
            || !self.host.is_empty()
                && rest.is_some_and(|rest| rest.contains('.'))
                && Some(&domain) != self.elsewhere.as_ref()
    }

    /// `root on web1` for `%u on %h`. An empty `user` is the caller.
    pub(crate) fn name(&self, template: &str, user: &str) -> String {
        let user = match user {
            "" => &process::user().unwrap_or_else(user_of_environment),
            user => user,
        };
        template.replace("%h", &self.host).replace("%u", user)
    }
}

/// For a caller who is not in the password file.
fn user_of_environment() -> String {
    let mut names = ["LOGNAME", "USER"].iter();
    let name = names.find_map(|name| std::env::var(name).ok());
    name.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_local() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1\tweb1.contoso.com web1 # us\n10.0.0.9 nas.contoso.com nas\n";
        let more = ["Office.Example.".to_owned()];
        let here = Here::of(
            "web1\n",
            hosts,
            "web1.example.org\n",
            "robot@contoso.com",
            &more,
        );
        for domain in [
            "localhost",
            "LOCALHOST.localdomain",
            "localhost6",
            "ip6-localhost",
            "x.localhost",
            "[127.0.0.1]",
            "127.0.1.1",
            "[IPv6:::1]",
            "[::1]",
            "web1",
            "Web1.localdomain",
            "web1.contoso.com",
            "web1.contoso.com.",
            "web1.example.org",
            "office.example",
        ] {
            assert!(
                here.is_local(domain) && here.is_unreachable(domain),
                "{domain}"
            );
        }
        for domain in [
            "contoso.com",
            "example.org",
            "nas.contoso.com",
            "nas",
            "127.example.com",
            "[192.0.2.1]",
            "web10",
            "xweb1.contoso.com",
        ] {
            assert!(!here.is_local(domain), "{domain}");
        }
        for (domain, expected) in [
            ("web1.example.net", true),
            ("nas.local", true),
            ("vm.internal", true),
            ("contoso.com", false),
            ("web1.de", false),
            ("example.org", false),
        ] {
            assert_eq!(here.is_unreachable(domain), expected, "{domain}");
        }
        assert_eq!(here.name("%u on %h", "root"), "root on web1");
    }

    /// Even if the machine is called like the company.
    #[test]
    fn the_mailboxes_domain_is_local_only_if_the_configuration_says_so() {
        let of = |more: &[String]| {
            Here::of(
                "contoso.com",
                "1.2.3.4 contoso.com",
                "contoso.com",
                "robot@Contoso.com",
                more,
            )
        };
        assert!(!of(&[]).is_local("contoso.com") && !of(&[]).is_unreachable("contoso.com"));
        assert!(of(&[]).is_local("contoso"));
        assert!(of(&["contoso.com".into()]).is_local("contoso.com"));
    }
}
