//! The only code that knows Node: it reads arguments and returns promises and plain objects. It contains no rule of trading or
//! learning.

mod arrays;
mod bulk;
mod callbacks;
mod cli;
mod environment;
mod errors;
mod predictor;
mod promises;
mod scheduler;
mod shared;
mod signal_loop;
mod signals;
mod stretches;
mod thrown;
mod tracker;
mod types;
mod values;
