//! The path by Microsoft Graph. It ends before the request: Graph cannot be asked without sending a message.

use crate::advice::doctor::causes;
use crate::advice::doctor::check::Checks;
use crate::advice::doctor::context::Context;
use crate::error::Error;
use crate::graph;
use crate::hint::table::Condition;
use crate::stage::{ErrorKind, Stage};
use crate::timeouts::Deadline;

const GRAPH: &str = "graph";
const PERMISSION: &str = "permission";

pub(super) fn check(checks: &mut Checks, context: &Context<'_>, is_right: bool, total: Deadline) {
    match is_right {
        true => reach(checks, context, total),
        false => checks.skip(GRAPH, "the configuration has to be right first"),
    }
    checks.skip(
        PERMISSION,
        "Graph has no dry run: exosend doctor --send --to ADDRESS sends a message",
    );
}

/// Whether it can be reached, and whether the token is for it.
fn reach(checks: &mut Checks, context: &Context<'_>, total: Deadline) {
    checks.start();
    let reached = graph::reach(context.account, total).and_then(|way| match context.claims {
        Some(claims) if !causes::is_for_graph(claims) => {
            let what = format!("the token is for {}, not for Microsoft Graph", claims.aud);
            let error = Error::new(ErrorKind::Auth, Stage::Graph, what);
            Err(error.with_condition(Condition::GraphToken))
        }
        _ => Ok(way),
    });
    match reached {
        Ok(way) => checks.ok(
            GRAPH,
            format!("{way} answers, and its certificate is right"),
        ),
        Err(error) => causes::fail(checks, context, GRAPH, error),
    }
}
