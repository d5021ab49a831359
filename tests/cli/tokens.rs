//! `exosend token`.

use crate::exchange::Answer;
use crate::machine::Machine;

#[test]
fn the_token_and_nothing_else() {
    let machine = Machine::new();
    let run = machine.run("token", "");
    run.exits(0).err("");
    let token = run.stdout.strip_suffix('\n').unwrap();
    assert_eq!(token.len(), 2012);
    assert!(token.bytes().all(|b| b.is_ascii_graphic()));
    // The cached one, while it is valid.
    assert_eq!(machine.run("token", "").stdout.trim(), token);
    assert_eq!(machine.exchange.token_requests().len(), 1);
}

#[test]
fn its_claims_instead() {
    let machine = Machine::new();
    let run = machine.run("token --claims", "");
    let claims: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(claims["aud"], "https://outlook.office365.com");
    assert_eq!(claims["appid"], machine.exchange.client_id());
    let token = machine.run("token", "").stdout;
    assert!(!run.stdout.contains(&token[..40]));
    let opaque = Machine::with(crate::exchange::Exchange::builder().short_token().start());
    let run = opaque.run("token --claims", "");
    run.exits(69)
        .err("exosend: the token is not a JWT: its claims cannot be read\n");
}

#[test]
fn no_token() {
    let machine = Machine::new();
    machine.exchange.token(Answer::aadsts(
        401,
        "invalid_client",
        7_000_215,
        "Invalid client secret provided.",
    ));
    let run = machine.run("token", "");
    run.exits(77).out("");
    run.err_has("AADSTS7000215");
    run.err_has("exosend: hint: ");
    let run = machine.run("token stray", "");
    run.exits(64);
}
