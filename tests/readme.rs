//! Documents agree with the code: hints, the commands of the set-up, keys, fields, exit codes, cited facts, the guards of
//! promises. `EXOSEND_GOLDEN=write cargo test --all-features readme` writes the first two anew.

use std::path::Path;

use exosend::Account;
use exosend::advice::{Setup, conditions, explain, general_page};

/// Stands above the generated hints.
const HINTS: &str = "--all-features readme -->\n";

#[test]
fn generated_parts_of_documents_are_up_to_date() {
    assert_generated("src/advice/troubleshooting.md", |text| {
        between(text, HINTS, "<!-- end -->", &hints(text))
    });
    assert_generated("README.md", |text| {
        between(text, "```powershell\n", "```", &commands())
    });
}

fn assert_generated(name: &str, make: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let made = make(&std::fs::read_to_string(&path).unwrap());
    if std::env::var_os("EXOSEND_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let is = std::fs::read_to_string(&path).unwrap();
    assert!(is == made, "{name}: EXOSEND_GOLDEN=write makes it so");
}

/// A text with another piece between these two.
fn between(text: &str, before: &str, after: &str, piece: &str) -> String {
    let (start, rest) = text.split_once(before).unwrap();
    let (_, end) = rest.split_once(after).unwrap();
    format!("{start}{before}{piece}{after}{end}")
}

/// What `exosend setup` prints, but for its comments.
fn commands() -> String {
    let account =
        Account::new("robot@contoso.com").client_id("6731de76-14a6-49ae-97bc-6eba6914391e");
    let setup = Setup::new(&account).object_id("8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55");
    let script = setup.script().unwrap();
    let commands = script
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    commands.map(|line| format!("{line}\n")).collect()
}

/// Below each line that people search for, its meaning and its advice.
fn hints(page: &str) -> String {
    let mut out = String::from("\n");
    let (_, text) = page.split_once(HINTS).unwrap();
    for line in text.split("<!-- end").next().unwrap().lines() {
        if line.starts_with("## ") {
            out += &format!("{}{line}\n\n", if out.len() > 1 { "\n" } else { "" });
        } else if let Some(entry) = line.strip_prefix("- **`") {
            let (line, _) = entry.split_once("`**").unwrap();
            let found = explain(line);
            let told = found.iter().map(|found| {
                let (meaning, advice) = (markdown(found.meaning()), markdown(found.advice()));
                format!("{meaning}. {advice}.")
            });
            // The same number means something else where a user logs in.
            let told = told.collect::<Vec<_>>().join(" Or: ");
            assert!((1..=2).contains(&found.len()), "{line}");
            out += &wrapped(&format!("- **`{line}`** {told}"));
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
    // A command in backticks keeps its first letter.
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

#[test]
fn keys_are_the_same_in_code_table_and_manual() {
    let (_, table) = include_str!("../src/account/keys.md")
        .split_once("|---|")
        .unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented = rows.map(|row| row.split('`').next().unwrap());
    assert!(Account::keys().eq(documented));
    let manual = include_str!("../src/bin/exosend/share/exosend.conf.5");
    let keys: Vec<_> = Account::keys().collect();
    assert_eq!(items(manual, ".Ss Keys of the account\n"), sorted(keys));
}

/// The words of a section's items in the manual.
fn items<'a>(manual: &'a str, section: &str) -> Vec<&'a str> {
    let (_, text) = manual.split_once(section).unwrap();
    let text = text.split("\n.S").next().unwrap().lines();
    let items = text.filter_map(|line| line.strip_prefix(".It Li "));
    sorted(items.flat_map(|line| line.split(" , ")).collect())
}

fn sorted<T: Ord>(mut words: Vec<T>) -> Vec<T> {
    words.sort_unstable();
    words
}

fn run(arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_exosend"));
    let output = command.args(arguments).env_clear().output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn fields_of_json_are_the_same_in_the_manual() {
    let object = run(&["send", "--json", "--config", "/dev/null"]);
    let object: serde_json::Value = serde_json::from_str(&object).unwrap();
    let fields: Vec<_> = object.as_object().unwrap().keys().collect();
    let manual = include_str!("../src/bin/exosend/share/exosend.1");
    assert_eq!(items(manual, ".Ss The result of a message\n"), fields);
}

#[test]
fn exit_codes_are_the_same_in_help_and_manual() {
    let codes = |text: &str| {
        let numbers = text.split(|c: char| !c.is_ascii_digit());
        let mut codes: Vec<u8> = numbers.filter_map(|number| number.parse().ok()).collect();
        codes.sort_unstable();
        codes
    };
    let help = run(&["--help"]);
    let manual = include_str!("../src/bin/exosend/share/exosend.1");
    let (_, status) = manual.split_once("\n.It 0\n").unwrap();
    let status = status.split(".El").next().unwrap();
    let items: String = status
        .lines()
        .filter(|line| line.starts_with(".It "))
        .collect();
    assert_eq!(codes(help.split("exit:").nth(1).unwrap()), codes(&items));
}

/// A comment cites a section of facts.md by its heading, and a hint rests on what stands there.
#[test]
fn every_heading_of_facts_md_that_is_cited_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let facts = include_str!("../src/advice/facts.md");
    for code in conditions().flat_map(|(_, codes)| codes) {
        assert!(facts.contains(&code.to_string()), "{code}");
    }
    let mut cited = 0;
    let mut folders: Vec<_> = ["src", "tests", "examples"]
        .map(|folder| root.join(folder))
        .into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.extend((!path.ends_with("target")).then_some(path));
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                // A comment may go on in the next line.
                let text = text
                    .replace("\n", " ")
                    .replace("//!", " ")
                    .replace("///", " ")
                    .replace("//", " ");
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                for place in text.split("facts.md, \"").skip(1) {
                    let heading = place.split('"').next().unwrap();
                    assert!(
                        facts.contains(&format!("\n## {heading}\n")),
                        "{heading}: {}",
                        path.display()
                    );
                    cited += 1;
                }
            }
        }
    }
    assert!(cited > 30, "{cited}");
}

#[test]
fn every_guard_in_security_md_exists() {
    let security = include_str!("../SECURITY.md");
    let (_, table) = security.split_once("| guarded by |\n|---|---|\n").unwrap();
    for row in table.split("\n\n").next().unwrap().lines() {
        let (_, guards) = row.rsplit_once(" | ").unwrap();
        let guards: Vec<_> = guards.split('`').skip(1).step_by(2).collect();
        assert!(!guards.is_empty(), "{row}");
        for guard in guards {
            let (suite, modules) = guard.split_once(" -- ").unwrap_or((guard, ""));
            let folder = if suite == "--lib" { "src" } else { "tests" };
            let file = Path::new("tests").join(suite).with_extension("rs");
            assert!(suite == "--lib" || file.exists(), "{guard}");
            for module in modules.split_whitespace() {
                assert!(declares(Path::new(folder), module), "{guard}");
            }
        }
    }
}

/// Whether a file in this folder, however deep, has the module.
fn declares(folder: &Path, module: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        let declared = |text: String| text.contains(&format!("mod {module};"));
        match path.is_dir() {
            true => declares(&path, module),
            false => std::fs::read_to_string(&path).is_ok_and(declared),
        }
    })
}
