//! All that knows Node: arguments in, promises and plain objects out. No rule of trading or learning lives here.

mod arrays;
mod bulk;
mod callbacks;
mod cli;
mod decision;
mod environment;
mod errors;
mod mcp;
mod own;
mod predictor;
mod promises;
mod readers;
mod replay;
mod scheduler;
mod shared;
mod signal_loop;
mod signals;
mod stretches;
mod thrown;
mod tracker;
mod types;
mod values;
