//! Tests of the feedback store under crashes, with other processes and damaged files; most of them also run on
//! PostgreSQL. One binary, so that it is linked once.
#![allow(clippy::unwrap_used)]

mod store_crash;
mod store_fuzz;
mod store_import;
mod store_life;
mod store_limits;
mod store_locks;
mod store_obstacles;
mod store_processes;
mod store_recovery;
mod store_rotation;
mod store_snapshot;
mod store_upkeep;
