//! The README's troubleshooting section is made from the table of hints and stays in step with it.
//! `EXOSEND_GOLDEN=write cargo test --test readme` writes it anew.
#![cfg(feature = "advice")]

use std::path::Path;

use exosend::{explain, general_page};

/// The lines that people search for.
const SECTIONS: &[(&str, &[&str])] = &[
    (
        "No token",
        &[
            "AADSTS7000215: Invalid client secret provided.",
            "AADSTS7000222: The provided client secret keys for app '...' are expired.",
            "AADSTS700016: Application with identifier '...' was not found in the directory '...'.",
            "AADSTS7000229: The client application ... is missing service principal in the tenant ...",
            "AADSTS90002: Tenant '...' not found.",
            "AADSTS900382: Confidential Client is not supported in Cross Cloud request.",
            "AADSTS1002012: The provided value for scope ... is not valid.",
            "AADSTS500011: The resource principal named ... was not found in the tenant named ...",
            "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered",
            "AADSTS700024: Client assertion is not within its valid time range.",
            "AADSTS700213: No matching federated identity record found for presented assertion subject '...'.",
            "AADSTS53003: Access has been blocked by Conditional Access policies.",
        ],
    ),
    (
        "No login",
        &[
            "535 5.7.3 Authentication unsuccessful",
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
            "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
            "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully.",
            "530 5.7.57 Client not authenticated to send mail.",
            "504 5.7.4 Unrecognized authentication type",
        ],
    ),
    (
        "Not sent",
        &[
            "430 4.2.0 STOREDRV; mailbox logon failure; ... MapiExceptionLogonFailed",
            "554 5.2.252 SendAsDenied; ... not allowed to send as ...",
            "550 5.2.252 Sender throttled due to continuous send as denied errors.",
            "432 4.3.2 Concurrent connections limit exceeded.",
            "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
            "554 5.2.0 ... SubmissionQuotaExceededException",
            "552 5.3.4 Message size exceeds fixed maximum message size",
            "550 5.1.8 Access denied, bad outbound sender",
            "accept: the server closed the connection",
        ],
    ),
    (
        "No connection",
        &[
            "connect smtp.office365.com:587: timed out",
            "SSL routines::wrong version number (smtp)",
            "certificate verify failed: unable to get local issuer certificate",
        ],
    ),
];

#[test]
fn the_troubleshooting_section_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once("test readme -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let made = format!("{before}test readme -->\n{}<!-- end -->{after}", section());
    if std::env::var_os("EXOSEND_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let readme = std::fs::read_to_string(&path).unwrap();
    assert!(
        readme == made,
        "README.md is not what the table says; EXOSEND_GOLDEN=write makes it so"
    );
}

fn section() -> String {
    let mut out = String::new();
    for (heading, lines) in SECTIONS {
        out += &format!("\n### {heading}\n\n");
        for line in *lines {
            let found = explain(line);
            assert_eq!(found.len(), 1, "{line}");
            let entry = format!(
                "- **`{line}`** {}. {}.",
                markdown(found[0].meaning()),
                markdown(found[0].advice())
            );
            out += &wrapped(&entry);
        }
    }
    let page = general_page("");
    out + &format!(
        "\nAny other number of Entra: `https://login.microsoftonline.com/error?code=<number>`. Any other reply:\n[Microsoft \
         about SMTP AUTH].\n\n[Microsoft about SMTP AUTH]: {page}\n\n"
    )
}

/// A hint as a sentence, with commands and addresses as code.
fn markdown(hint: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut all = hint.split(' ').peekable();
    while let Some(word) = all.next() {
        let next = all.peek().copied().unwrap_or("");
        let cmdlet = word.starts_with(|c: char| c.is_ascii_uppercase()) && word.contains('-');
        if (cmdlet && next.starts_with('<')) || word == "az" {
            let mut command = word.to_owned();
            let goes_on = |command: &str, next: &str| {
                let last = command.rsplit(' ').next().unwrap();
                let of_az = command.starts_with("az") && !last.starts_with('<');
                !last.ends_with([',', ';'])
                    && (next.starts_with(['<', '-', '$']) || last.starts_with('-') || of_az)
            };
            while let Some(next) = all.next_if(|next| goes_on(&command, next)) {
                command = format!("{command} {next}");
            }
            words.push(code(&command));
        } else if word.starts_with("https://") || (word.starts_with('<') && word.ends_with('>')) {
            words.push(code(word));
        } else {
            words.push(word.to_owned());
        }
    }
    let text = words.join(" ");
    // A command or a name of code keeps its letters.
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => text,
    }
}

/// In backticks, but for what ends the clause.
fn code(text: &str) -> String {
    let bare = text.trim_end_matches([',', ';', ')']);
    format!("`{bare}`{}", &text[bare.len()..])
}

/// Lines of at most 120 letters, as in the rest of the file; a line within backticks is not parted.
fn wrapped(entry: &str) -> String {
    let (mut out, mut width, mut within) = (String::new(), 0, false);
    for word in entry.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > 120 && !within && word != ">" {
            out += "\n  ";
            width = 2;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out += word;
        width += length;
        within ^= word.matches('`').count() % 2 == 1;
    }
    out + "\n"
}
