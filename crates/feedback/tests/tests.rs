//! The feedback store under crashes, concurrent processes and damaged files; most tests also run on PostgreSQL. One binary, so
//! that linking happens once.
#![allow(clippy::unwrap_used)]

mod excursions;
mod managed;
mod managed_crash;
mod managed_import;
mod managed_moves;
mod market_feed;
mod store_costs;
mod store_crash;
mod store_entries;
mod store_filters;
mod store_fuzz;
mod store_import;
mod store_life;
mod store_limits;
mod store_locks;
mod store_maintenance;
mod store_obstacles;
mod store_processes;
mod store_recovery;
mod store_rotation;
mod store_snapshot;
