//! Replays on the simulated market: what they may know, what they must decide, and what they refuse.
#![allow(clippy::unwrap_used)]

mod adopted;
mod faults;
mod future;
mod live;
mod market;
mod threads;
