//! What goes into PowerShell, read by its grammar.

use tree_sitter::{Node, Parser};

/// Every line is commands, `Verb-Noun` with parameters, and every value a literal.
///
/// PowerShell takes U+2018 to U+201B for `'`, the grammar does not: each stands for what PowerShell sees.
#[track_caller]
pub(crate) fn assert_commands(script: &str) -> Vec<String> {
    let seen = script.replace(['\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}'], "'");
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_powershell::LANGUAGE.into())
        .unwrap();
    let tree = parser.parse(&seen, None).unwrap();
    assert!(
        !tree.root_node().has_error(),
        "{script}\n{}",
        tree.root_node().to_sexp()
    );
    let mut commands = Vec::new();
    walk(tree.root_node(), &seen, &mut commands);
    commands
}

#[track_caller]
fn walk(node: Node<'_>, text: &str, commands: &mut Vec<String>) {
    let its = &text[node.byte_range()];
    match node.kind() {
        "command_name" => {
            let (verb, noun) = its
                .split_once('-')
                .unwrap_or_else(|| panic!("{its} in {text}"));
            let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphabetic());
            assert!(word(verb) && word(noun), "{its} in {text}");
            commands.push(its.to_owned());
        }
        "variable" => assert!(
            ["$true", "$false", "$null"].contains(&its),
            "{its} in {text}"
        ),
        kind => {
            let acts = [
                "script_block",
                "sub_expression",
                "expandable",
                "invok",
                "redirect",
                "assign",
            ];
            assert!(
                !acts.iter().any(|act| kind.contains(act)),
                "{kind} {its} in {text}"
            );
        }
    }
    let mut cursor = node.walk();
    for child in node.named_children(&mut cursor) {
        walk(child, text, commands);
    }
}
