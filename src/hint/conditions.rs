//! What fails before anybody has said a word: names, connections, handshakes.

pub(super) const CLOCK: &str = "check this machine's clock first (date -u)";
pub(super) const ISSUER: &str = "something on the way shows its own certificate (a proxy, a virus scanner), or `server` is a private \
    one: give its root with `ca_file`";
pub(super) const NAME: &str =
    "the certificate is for another name: use the name it was made for in `server`";
pub(super) const FIREWALL: &str =
    "most often a firewall: outgoing TCP to smtp.office365.com port 587 must be allowed";
pub(super) const REFUSED: &str =
    "nothing listens there: check the server's name and the port (587), then the firewall";
pub(super) const UNREACHABLE: &str =
    "there is no way there: check the network (ip route), and IPv6 if the address is one";
pub(super) const RESOLVER: &str = "check the spelling of `server`, and /etc/resolv.conf";
pub(super) const IMPLICIT_TLS: &str =
    "Exchange Online has no port with TLS from the first byte (465): use port 587 with STARTTLS";

/// The words of other programs for what fails before anybody has said a word.
pub(crate) const CONDITIONS: &[(&[&str], &str)] = &[
    (
        &[
            "certificate has expired",
            "certificate expired",
            "certificate is not yet valid",
            "certificate not valid yet",
            "NotValidYet",
        ],
        CLOCK,
    ),
    (
        &[
            "hostname mismatch",
            "certificate not valid for name",
            "NotValidForName",
            "does not match certificate",
            "does not match target host name",
            "doesn't match",
            "certificate's altnames",
        ],
        NAME,
    ),
    (
        &[
            "UnknownIssuer",
            "unable to get local issuer",
            "self-signed certificate",
            "self signed certificate",
            "unable to verify the first certificate",
            "certificate verify failed",
            "issuer is unknown",
        ],
        ISSUER,
    ),
    (
        &[
            "wrong version number",
            "wrong_version_number",
            "packet length too long",
        ],
        IMPLICIT_TLS,
    ),
    (
        &[
            "name or service not known",
            "temporary failure in name resolution",
            "could not resolve host",
            "cannot resolve",
            "getaddrinfo",
            "no address associated with hostname",
            "name was not found",
        ],
        RESOLVER,
    ),
    (
        &[
            "connection timed out",
            "connection timeout",
            "(timeout `connect`)",
            "etimedout",
        ],
        FIREWALL,
    ),
    (&["connection refused", "econnrefused"], REFUSED),
    (
        &[
            "network is unreachable",
            "no route to host",
            "enetunreach",
            "ehostunreach",
        ],
        UNREACHABLE,
    ),
];
