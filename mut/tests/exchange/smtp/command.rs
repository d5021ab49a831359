//! The arguments of MAIL and RCPT, parsed as strictly as RFC 5321 4.1.2 writes them.

/// `<address>` and the parameters behind it.
pub(super) struct Path {
    pub(super) address: String,
    pub(super) parameters: Vec<String>,
}

/// Why a command is refused, and whether the client has broken a rule with it.
pub(super) struct Refusal {
    pub(super) reply: String,
    pub(super) violation: Option<&'static str>,
}

impl Refusal {
    pub(super) fn reply(reply: &str) -> Self {
        Self {
            reply: reply.to_owned(),
            violation: None,
        }
    }

    pub(super) fn violation(reply: &str, violation: &'static str) -> Self {
        Self {
            reply: reply.to_owned(),
            violation: Some(violation),
        }
    }
}

impl Path {
    /// Parses `FROM:<a@b> SIZE=1`, `keyword` being `FROM:` or `TO:`.
    pub(super) fn parse(argument: &str, keyword: &str) -> Result<Self, Refusal> {
        let syntax = |violation| Refusal::violation("501 5.5.4 Invalid arguments", violation);
        let given = argument.get(..keyword.len()).unwrap_or_default();
        if !given.eq_ignore_ascii_case(keyword) {
            return Err(syntax(
                "MAIL without FROM: or RCPT without TO: (RFC 5321 4.1.1)",
            ));
        }
        let Some(path) = argument[keyword.len()..].strip_prefix('<') else {
            return Err(syntax("no < right behind the colon (RFC 5321 3.3)"));
        };
        let Some(end) = end_of_path(path) else {
            return Err(syntax("a path without its > (RFC 5321 4.1.2)"));
        };
        let (address, rest) = (&path[..end], &path[end + 1..]);
        let parameters = match rest.strip_prefix(' ') {
            None if rest.is_empty() => Vec::new(),
            None => {
                return Err(syntax(
                    "no space between path and parameters (RFC 5321 4.1.2)",
                ));
            }
            Some(rest) => rest.split(' ').map(str::to_owned).collect(),
        };
        if parameters.iter().any(String::is_empty) {
            return Err(syntax(
                "more than one space, or a space at the end (RFC 5321 4.1.1)",
            ));
        }
        Ok(Self {
            address: address.to_owned(),
            parameters,
        })
    }

    /// The value of a parameter: `Some("")` if it has none, `None` if it is not there.
    pub(super) fn parameter(&self, keyword: &str) -> Option<&str> {
        self.parameters.iter().find_map(|parameter| {
            let (given, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            given.eq_ignore_ascii_case(keyword).then_some(value)
        })
    }

    /// `local@domain`, without spaces or controls outside quotes.
    pub(super) fn check_address(&self) -> Result<(), Refusal> {
        let well_formed = self
            .address
            .rsplit_once('@')
            .is_some_and(|(local, domain)| {
                let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
                let odd = |text: &str| {
                    text.contains(|c: char| c.is_control() || " <>()@,;:\\\"".contains(c))
                };
                let literal = domain.starts_with('[') && domain.ends_with(']');
                !local.is_empty()
                    && (quoted || !odd(local))
                    && !domain.is_empty()
                    && (literal || !odd(domain))
            });
        if well_formed {
            Ok(())
        } else {
            Err(Refusal::reply("501 5.1.7 Invalid address"))
        }
    }
}

/// Where the `>` is, not counting one in a quoted local part.
fn end_of_path(path: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    path.char_indices().find_map(|(i, c)| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => return Some(i),
            _ => (),
        }
        None
    })
}
