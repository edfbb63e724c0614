//! The door of the command line: `bin/signalloop.js` passes its arguments and takes the exit code.

use napi_derive::napi;

/// Runs the command line with `args` (without `node` and the script) and resolves with the exit code.
#[napi(skip_typescript)]
pub async fn run_cli(args: Vec<String>) -> i32 {
    crate::cli::run(args).await
}
