//! `signalloop mcp`.

use super::args::{self, Args};
use super::doctor::{document, examine};
use super::output::Output;
use super::{Ending, FAILURE, Host, SUCCESS};
use ::mcp::{Http, HttpOptions, Server, Setup, Token, stdio};
use domain::error::{Error, Result};
use engine::{Options, SignalLoop};
use report::Hosts;
use serde_json::json;
use std::io::IsTerminal;
use std::sync::Arc;

/// Serves agents until the client leaves, or until the process is asked to stop.
pub async fn mcp(
    core: &Arc<SignalLoop>,
    asked: &args::Mcp,
    args: &Args,
    host: Host,
    output: &Output,
    ending: &Ending,
) -> Result<i32> {
    let shapes = host.shapes.ok_or_else(|| Error::argument("mcp", "needs Node.js to run", "nothing"))?;
    let (home, store, description) = (args.home.clone(), args.store.clone(), host.description);
    let doctor = move || -> domain::answer::Work<_> {
        let (options, host) =
            (Options { home: home.clone(), store: store.clone(), ..Options::default() }, description.clone());
        Box::pin(async move { document(&examine(options).await, &host) })
    };
    let server = Server::new(Setup { core: core.clone(), shapes, doctor: Arc::new(doctor), write: asked.write });
    if let Err(problem) = server.check_home() {
        output.warning(problem);
    }
    let end = {
        let ending = ending.clone();
        async move { ending.asked().await }
    };
    let Some(address) = asked.http else {
        if std::io::stdin().is_terminal() {
            output.warning(
                "this waits for a client of the Model Context Protocol; an agent starts it, see docs/agents.md",
            );
        }
        stdio(server, end).await?;
        return Ok(SUCCESS);
    };
    let token = Token::given_or_from_environment(asked.token.as_deref())?;
    let options = HttpOptions { address, hosts: Hosts::new(asked.allowed_hosts.clone())?, token };
    let http = Http::listen(server, options).await?;
    output.document(&json!({ "url": http.url(), "write": asked.write }));
    output.line(format!("Agents are served at {}", http.url()));
    output.news("End it with Ctrl-C or SIGTERM");
    if output.arrived().is_err() {
        // The caller needs the printed address: without it the server is of no use, so it ends.
        return Ok(FAILURE);
    }
    http.serve(end).await?;
    Ok(SUCCESS)
}
