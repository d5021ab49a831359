//! Whether a request for a token or to Graph goes by a proxy: what the environment says, read as curl and Go read it.

use std::io;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ureq::http::Uri;
use ureq::{Proxy, ProxyProtocol};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::hint::table::Condition;
use crate::stage::{ErrorKind, Stage};
use crate::text::printable;
use crate::tls::{Stream, write_now};

/// In order of precedence. Not `HTTP_PROXY`: it is for http, and in a CGI program a visitor sets it by a header `Proxy:`.
const VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// The proxy to this host and port, and how errors show it.
pub(super) fn to(
    host: &str,
    port: u16,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<(Proxy, String)>, Error> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let exceptions = set("no_proxy").or_else(|| set("NO_PROXY"));
    if exceptions.is_some_and(|exceptions| is_excepted(host, port, &exceptions)) {
        return Ok(None);
    }
    let found = VARIABLES.iter().find_map(|name| Some((*name, set(name)?)));
    let Some((name, value)) = found else {
        return Ok(None);
    };
    let proxy = Proxy::new(&value).ok();
    let usable = |proxy: &Proxy| {
        let http = matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https);
        http && has_right_port(proxy.uri())
    };
    match proxy.filter(usable) {
        Some(proxy) => {
            let shown = format!("proxy {}:{} ({name})", proxy.host(), proxy.port());
            Ok(Some((proxy, shown)))
        }
        // Not the whole value: there may be a password in it.
        None => {
            let address = value.rsplit('@').next().unwrap_or_default();
            let what = format!("{address} cannot be used: only http://host:port can");
            let error = Error::input(Stage::Account, name, what);
            Err(error.with_condition(Condition::EntraUnreachable))
        }
    }
}

/// Whether the port is absent or a number: ureq takes 80 for anything else.
fn has_right_port(uri: &Uri) -> bool {
    let (host, authority) = (uri.host().unwrap_or_default(), uri.authority());
    uri.port_u16().is_some() || authority.is_some_and(|place| place.as_str().ends_with(host))
}

/// CONNECT (RFC 9110 9.3.6). The answer is read to its empty line and no further: what follows is the other end's.
pub(super) fn tunnel(stream: &mut Box<dyn Stream>, proxy: &Proxy, to: &str) -> Result<(), Error> {
    const MAX_HEAD: usize = 16 * 1024;
    let mut login = Zeroizing::new(String::new());
    if proxy.username().is_some() || proxy.password().is_some() {
        let (user, password) = (proxy.username(), proxy.password());
        let pair = [user.unwrap_or_default(), ":", password.unwrap_or_default()];
        let pair = Zeroizing::new(pair.concat());
        let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
        *login = ["Proxy-Authorization: Basic ", &encoded, "\r\n"].concat();
    }
    let ask = [
        "CONNECT ",
        to,
        " HTTP/1.1\r\nHost: ",
        to,
        "\r\n",
        &login,
        "\r\n",
    ];
    let ask = Zeroizing::new(ask.concat());
    let mut answer = || {
        write_now(stream, ask.as_bytes())?;
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !(head.ends_with(b"\r\n\r\n") || head.ends_with(b"\n\n")) {
            match stream.read(&mut byte)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ if head.len() > MAX_HEAD => return Err(io::ErrorKind::InvalidData.into()),
                _ => head.extend(byte),
            }
        }
        Ok(head)
    };
    let head = answer().map_err(|error| Error::io(Stage::Token, error))?;
    // `HTTP/1.1 407 Proxy Authentication Required`
    let status = head
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(2..5));
    match status {
        Some([b'2', ..]) => Ok(()),
        status => {
            let what = match status.map(String::from_utf8_lossy) {
                Some(status) => format!("the proxy says HTTP {}", printable(&status)),
                None => "the proxy does not speak HTTP".into(),
            };
            let error = Error::new(ErrorKind::Network, Stage::Token, what).transient();
            Err(error.with_condition(Condition::EntraUnreachable))
        }
    }
}

/// Whether a list of names and addresses, separated by commas or spaces, has this host in it. A name stands for its
/// subdomains, too, `10.0.0.0/8` for a network, and `host:443` or `[::1]:443` for that port alone, which Go knows and curl
/// does not.
fn is_excepted(host: &str, port: u16, exceptions: &str) -> bool {
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok();
    exceptions.split([',', ' ']).any(|exception| {
        let exception = match exception.rsplit_once(':') {
            Some((host, only)) if host.ends_with(']') || !host.contains(':') => {
                match only.parse() == Ok(port) {
                    true => host,
                    false => return false,
                }
            }
            _ => exception,
        };
        let name = exception.trim_start_matches("*.").trim_start_matches('.');
        let name = name.trim_matches(['[', ']']).to_ascii_lowercase();
        let above = host.strip_suffix(name.as_str());
        let below = above.is_some_and(|rest| rest.ends_with('.') && address.is_none());
        let within = || address.is_some_and(|address| is_within(address, &name));
        !name.is_empty() && (name == "*" || host == name || below || within())
    })
}

fn is_within(address: IpAddr, network: &str) -> bool {
    let (base, bits) = network.split_once('/').unwrap_or_default();
    let bits: u32 = bits.parse().unwrap_or(u32::MAX);
    match (base.parse(), address) {
        (Ok(IpAddr::V4(base)), IpAddr::V4(v4)) if bits <= 32 => {
            let other = u32::from(base) ^ u32::from(v4);
            other.checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (Ok(IpAddr::V6(base)), IpAddr::V6(v6)) if bits <= 128 => {
            let other = u128::from(base) ^ u128::from(v6);
            other.checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_login(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        match to("login.example.com", 443, &get) {
            Ok(proxy) => Ok(proxy.map(|(_, shown)| shown)),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_proxy_is_https_proxy_else_all_proxy() {
        let by = |text: &str| Ok(Some(text.to_owned()));
        let all = ("ALL_PROXY", "http://u:p@all:1");
        let https = ("HTTPS_PROXY", "https:3128");
        assert_eq!(to_login(&[]), Ok(None));
        assert_eq!(to_login(&[all]), by("proxy all:1 (ALL_PROXY)"));
        assert_eq!(
            to_login(&[all, https]),
            by("proxy https:3128 (HTTPS_PROXY)")
        );
        assert_eq!(
            to_login(&[https, ("https_proxy", "x:1")]),
            by("proxy x:1 (https_proxy)")
        );
        assert_eq!(
            to_login(&[https, ("https_proxy", "")]),
            by("proxy https:3128 (HTTPS_PROXY)")
        );
        for http in ["HTTP_PROXY", "http_proxy"] {
            assert_eq!(to_login(&[(http, "http://visitor")]), Ok(None), "{http}");
        }
    }

    #[test]
    fn an_unusable_proxy_is_named_without_its_password() {
        for value in [
            "socks5h://u:hush@tor:9050",
            "socks4://u:hush@tor:9050",
            "ftp://u:hush@tor:9050",
            "http://u:hush@tor:90500",
            "http://u:hush@tor:x",
        ] {
            let error = to_login(&[("ALL_PROXY", value)]).unwrap_err();
            let address = value.split('@').next_back().unwrap();
            assert_eq!(
                error,
                format!("account ALL_PROXY: {address} cannot be used: only http://host:port can")
            );
        }
    }

    #[test]
    fn no_proxy_excepts_domains_addresses_and_networks() {
        for all in [
            "*",
            "example.com",
            ".example.com",
            "*.example.com",
            "LOGIN.example.com",
            "a, login.example.com",
            "a example.com",
            "example.com:443",
        ] {
            let variables = [("https_proxy", "p:1"), ("NO_PROXY", all)];
            assert_eq!(to_login(&variables), Ok(None), "{all}");
        }
        for none in [
            "",
            "ample.com",
            "com.example",
            "in.login.example.com",
            ",",
            "login.example.com:80",
            "login.example.com:",
            ":443",
        ] {
            let variables = [("https_proxy", "p:1"), ("no_proxy", none)];
            assert!(to_login(&variables).unwrap().is_some(), "{none}");
        }
        for (address, network, within) in [
            ("[::1]", "::1", true),
            ("[::1]", "[::1]:443", true),
            ("[::1]", "[::1]:80", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.7:443", true),
            ("192.0.2.7", "192.0.2.7:80", false),
            ("192.0.2.7", "2.7", false),
            ("192.0.2.7", "192.0.2.0/24", true),
            ("192.0.3.7", "192.0.2.0/24", false),
            ("192.0.2.7", "0.0.0.0/0", true),
            ("192.0.2.7", "192.0.2.7/32", true),
            ("192.0.2.7", "192.0.2.0/33", false),
            ("192.0.2.7", "192.0.2.0/", false),
            ("192.0.2.7", "::/0", false),
            ("[2001:db8::1]", "2001:db8::/32", true),
            ("[2001:db9::1]", "2001:db8::/32", false),
            ("example.com", "0.0.0.0/0", false),
        ] {
            let found = is_excepted(address, 443, network);
            assert_eq!(found, within, "{address} {network}");
        }
    }
}
