//! Connections: TCP, or a tunnel through a proxy, then TLS and the handshake of a WebSocket.

use super::protocol::Said;
use super::proxy::Proxy;
use reqwest::Url;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// More than ten times the longest message of trades.
const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// What may wait to be sent. Requests are a few kilobytes.
const MAX_UNSENT_BYTES: usize = 1 << 20;

/// TCP, with TLS or without.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

pub(super) type Socket = WebSocketStream<Box<dyn Wire>>;

/// Opens a WebSocket, through the proxy that the environment names for it.
pub(super) async fn open(url: &str) -> Said<Socket> {
    let parsed = Url::parse(url).map_err(|e| format!("its address cannot be used: {e}"))?;
    let (Some(host), Some(port)) = (parsed.host_str(), parsed.port_or_known_default()) else {
        return Err("its address has no host".to_owned());
    };
    let wire = match Proxy::of(&parsed)? {
        Some(proxy) => proxy.tunnel(host, port).await?,
        None => Box::new(tcp(host, port).await?),
    };
    let wire = if parsed.scheme() == "wss" { encrypted(host, wire).await? } else { wire };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
        .max_write_buffer_size(MAX_UNSENT_BYTES);
    let opened = client_async_with_config(url, wire, Some(config)).await;
    opened.map(|(socket, _)| socket).map_err(|e| format!("{host} opened no WebSocket: {e}"))
}

/// A TCP connection. An IPv6 address may be in brackets.
pub(super) async fn tcp(host: &str, port: u16) -> Said<TcpStream> {
    let tcp = TcpStream::connect((bare(host), port)).await.map_err(|e| format!("cannot connect to {host}: {e}"))?;
    // A ping or a request is a message of its own and must not wait for more.
    tcp.set_nodelay(true).map_err(|e| format!("cannot set up the connection to {host}: {e}"))?;
    Ok(tcp)
}

/// TLS with a host over a connection to it.
pub(super) async fn encrypted(host: &str, wire: Box<dyn Wire>) -> Said<Box<dyn Wire>> {
    let name = ServerName::try_from(bare(host).to_owned()).map_err(|e| format!("{host} is no name for TLS: {e}"))?;
    let connected = TlsConnector::from(tls()?).connect(name, wire).await;
    Ok(Box::new(connected.map_err(|e| format!("no TLS with {host}: {e}"))?))
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Made once, since it loads the system's certificates.
fn tls() -> Said<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Said<Arc<ClientConfig>>> = OnceLock::new();
    let make = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let unusable = |e: rustls::Error| format!("TLS cannot be used: {e} (are the system's certificates installed?)");
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(unusable)?.with_platform_verifier().map_err(unusable)?;
        Ok(Arc::new(builder.with_no_client_auth()))
    };
    CONFIG.get_or_init(make).clone()
}
