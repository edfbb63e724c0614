//! The command line.

/// Runs the command line; returns the exit code.
pub async fn run(_args: Vec<String>) -> i32 {
    1
}
