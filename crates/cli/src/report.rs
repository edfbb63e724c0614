//! `signalloop report` and `signalloop dashboard`.

use super::args;
use super::output::Output;
use super::{Ending, FAILURE, PARTIAL, SUCCESS};
use domain::error::Result;
use engine::SignalLoop;
use report::{self, Dashboard, Server};
use serde_json::json;
use std::ffi::OsStr;
use std::sync::Arc;

/// Writes the report, and opens it if requested.
pub async fn report(core: &Arc<SignalLoop>, asked: &args::Report, output: &Output) -> Result<i32> {
    let written = report::write(core, asked.out.as_deref()).await?;
    written.problems.iter().for_each(|problem| output.warning(problem));
    let opened = !asked.open || opened(written.path.as_os_str(), output);
    output.line(format!(
        "The report of {} closed signals and {} models is in {} ({} KB)",
        written.closed,
        written.models,
        written.path.display(),
        written.bytes.div_ceil(1024)
    ));
    output.document(&json!({
        "path": written.path, "bytes": written.bytes, "closedSignals": written.closed, "activeSignals": written.open,
        "models": written.models, "problems": written.problems,
    }));
    Ok(if opened && written.problems.is_empty() { SUCCESS } else { PARTIAL })
}

/// Serves the live view until the process is asked to stop.
pub async fn dashboard(
    core: &Arc<SignalLoop>,
    asked: &args::Dashboard,
    output: &Output,
    ending: &Ending,
) -> Result<i32> {
    let dashboard = Arc::new(Dashboard::new(core.clone()));
    let server = Server::listen(dashboard, asked.host, asked.port).await?;
    if !asked.host.is_loopback() {
        output.warning(format!("anyone who can reach {} can read everything: there is no password", server.url()));
    }
    output.document(&json!({ "url": server.url() }));
    output.line(format!("{} is shown at {}", core.settings().home().display(), server.url()));
    output.news("End it with Ctrl-C or SIGTERM");
    if output.arrived().is_err() {
        // The caller needs the printed address: without it the server is of no use, so it ends.
        return Ok(FAILURE);
    }
    if asked.open {
        opened(OsStr::new(&server.url()), output);
    }
    let ending = ending.clone();
    server.serve(async move { ending.asked().await }).await?;
    Ok(SUCCESS)
}

/// Opens a file or an address in the browser; returns whether a browser was started.
fn opened(what: &OsStr, output: &Output) -> bool {
    match open::that_detached(what) {
        Ok(()) => true,
        Err(problem) => {
            output.warning(format!("no browser could be opened ({problem}); open {} yourself", what.display()));
            false
        }
    }
}
