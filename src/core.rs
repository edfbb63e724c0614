//! What signalloop does for every signal, price and row, and what that is made of: the modules of the crate `signalloop` that are
//! compiled for speed. See there.

pub mod barrier;
pub mod cancel;
pub mod config;
pub mod error;
pub mod features;
pub mod feedback;
pub mod files;
pub mod learning;
pub mod market;
pub mod model;
pub mod order;
pub mod signal;
pub mod symbol;
pub mod threads;
pub mod time;
