//! The queue: what is taken is delivered, whatever happens in between. The program as it is, and the stand-in as judge.

mod clock;
mod drop;
mod graph;
mod manage;
mod office;
mod pace;
mod retry;
mod route;
mod shared;
mod smtp;
mod soak;
mod submit;
