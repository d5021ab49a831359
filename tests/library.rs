//! The library against the stand-in, a file for each subject. One program: it is compiled once, and its tests share the
//! cores. What watches the whole process (its memory, its log, its threads) is a program of its own beside it.

mod exchange;
#[path = "credentials/verifier.rs"]
mod verifier;

mod chroot;
mod credentials;
mod deadlines;
mod examples;
mod faults;
#[cfg(feature = "graph")]
mod graph;
mod injection;
#[cfg(feature = "login")]
mod login;
mod map;
mod messages;
mod real;
mod round_trips;
mod send;
mod stand_in;
mod surface;
mod tls;
mod token;
