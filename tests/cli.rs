//! The command: its output, exit code and delivered bytes, by command line and message.

#[path = "cli/attacks.rs"]
mod attacks;
#[path = "cli/completions.rs"]
mod completions;
#[path = "cli/configuration.rs"]
mod configuration;
#[path = "cli/configure.rs"]
mod configure;
#[path = "cli/exit_codes.rs"]
mod exit_codes;
#[path = "cli/explain.rs"]
mod explain;
#[path = "cli/graph.rs"]
mod graph;
#[path = "cli/manual.rs"]
mod manual;
#[path = "cli/recipients.rs"]
mod recipients;
#[path = "cli/report.rs"]
mod report;
#[path = "cli/rewriting.rs"]
mod rewriting;
#[path = "cli/send.rs"]
mod send;
#[path = "cli/sendmail.rs"]
mod sendmail;
#[path = "cli/tokens.rs"]
mod tokens;
