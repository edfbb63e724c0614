//! Entry point of the command line: `bin/signalloop.js` passes its arguments and receives the exit code.

use cli::Ending;
use napi_derive::napi;
use std::sync::LazyLock;

/// A process runs one command.
static ENDING: LazyLock<Ending> = LazyLock::new(Ending::default);

/// Runs the command line with `args` (without `node` and the script) and resolves with the exit code. `host` describes the
/// platform, for `doctor`.
#[napi(skip_typescript)]
pub async fn run_cli(args: Vec<String>, host: String) -> i32 {
    cli::run(args, &host, &ENDING).await
}

/// Asks the command to end; `false` if it does not handle that.
#[napi(skip_typescript)]
pub fn end_cli() -> bool {
    ENDING.ask()
}
