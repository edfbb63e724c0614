//! Tests of the loop of a home, as callers use it. One binary, so that it is linked once.
#![allow(clippy::unwrap_used)]

mod alerts;
mod alerts_postgres;
mod assess_open;
mod assess_start;
mod check_cost;
mod checks_over_time;
mod full_disk;
mod live;
mod live_results;
mod outcomes;
mod price_stream;
mod scheduler;
mod scheduler_postgres;
mod sessions_live;
mod shapes;
mod watch;
mod watch_silent;
