//! The queue: every message that was taken is delivered or given up, whatever happens in between.

mod clock;
mod drop;
mod graph;
mod harness;
mod manage;
mod pace;
mod retry;
mod route;
mod shared;
mod smtp;
mod soak;
mod submit;
