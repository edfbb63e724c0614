//! The arguments of the report and of servers.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Where to write the report.
#[derive(Debug, clap::Args)]
pub struct Report {
    /// The file [default: report.html in the home]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Open it in the browser
    #[arg(long)]
    pub open: bool,
}

/// Where to serve the live view.
#[derive(Debug, clap::Args)]
pub struct Dashboard {
    /// The port; 0 is any free one
    #[arg(long, default_value_t = 4600)]
    pub port: u16,
    /// The address to listen on; with any other than this machine's own, others have access without a password
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub host: IpAddr,
    /// Open it in the browser
    #[arg(long)]
    pub open: bool,
}

/// How to serve agents.
#[derive(Debug, clap::Args)]
pub struct Mcp {
    /// Also offer tools that record, close and change signals [default: tools that only read]
    #[arg(long)]
    pub write: bool,
    /// Serve over HTTP here instead of standard input and output; port 0 is any free one
    #[arg(long, value_name = "[HOST:]PORT", value_parser = address)]
    pub http: Option<SocketAddr>,
    /// What clients over HTTP must send as a bearer token; others can see an argument, not the variable [default:
    /// $SIGNALLOOP_MCP_TOKEN]
    #[arg(long, value_name = "TOKEN", requires = "http")]
    pub token: Option<String>,
    /// A host name under which to answer over HTTP, besides addresses and localhost; may be given several times
    #[arg(long = "allowed-host", value_name = "NAME", requires = "http")]
    pub allowed_hosts: Vec<String>,
}

/// A port of this machine's own address, or an address and a port.
fn address(text: &str) -> Result<SocketAddr, &'static str> {
    const ALLOWED: &str = "must be a port such as 4601, or an address and a port such as 127.0.0.1:4601 or [::1]:4601";
    let (host, port) = text.rsplit_once(':').unwrap_or(("127.0.0.1", text));
    let host = if host == "localhost" { "127.0.0.1" } else { host };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok(SocketAddr::new(host.parse().map_err(|_| ALLOWED)?, port.parse().map_err(|_| ALLOWED)?))
}
