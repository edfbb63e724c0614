//! Connections: TCP, TLS and the handshake of a WebSocket, and the one request that KuCoin needs before it.

use super::protocol::Said;
use reqwest::{Client, Url};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// More than ten times the longest message of trades.
const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// What may wait to be sent. Requests are a few kilobytes.
const MAX_UNSENT_BYTES: usize = 1 << 20;
const ANSWER: Duration = Duration::from_secs(10);

/// TCP, with TLS or without.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

pub(super) type Socket = WebSocketStream<Box<dyn Wire>>;

/// Opens a WebSocket. Not through a proxy.
pub(super) async fn open(url: &str) -> Said<Socket> {
    let parsed = Url::parse(url).map_err(|e| format!("its address cannot be used: {e}"))?;
    let (Some(host), Some(port)) = (parsed.host_str(), parsed.port_or_known_default()) else {
        return Err("its address has no host".to_owned());
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let tcp = TcpStream::connect((host, port)).await.map_err(|e| format!("cannot connect to {host}: {e}"))?;
    // A ping or a request is a message of its own and must not wait for more.
    tcp.set_nodelay(true).map_err(|e| format!("cannot set up the connection to {host}: {e}"))?;
    let wire: Box<dyn Wire> = match parsed.scheme() {
        "wss" => {
            let name = ServerName::try_from(host.to_owned()).map_err(|e| format!("{host} is no name for TLS: {e}"))?;
            let connector = TlsConnector::from(tls()?);
            Box::new(connector.connect(name, tcp).await.map_err(|e| format!("no TLS with {host}: {e}"))?)
        }
        _ => Box::new(tcp),
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
        .max_write_buffer_size(MAX_UNSENT_BYTES);
    let opened = client_async_with_config(url, wire, Some(config)).await;
    opened.map(|(socket, _)| socket).map_err(|e| format!("{host} opened no WebSocket: {e}"))
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

/// The JSON that answers a POST without a body.
pub(super) async fn post(url: &str) -> Said<Value> {
    // An error means that the process already has a provider, which works as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder().timeout(ANSWER).redirect(reqwest::redirect::Policy::none()).no_proxy();
    if url.starts_with("http:") {
        builder = builder.tls_certs_only([]);
    }
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let failed = |e: reqwest::Error| format!("{host} did not say where to connect: {}", e.without_url());
    let client = builder.build().map_err(failed)?;
    let mut response = client.post(url).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(format!("{host} sent more than {} MB", MAX_MESSAGE_BYTES >> 20));
        }
    }
    serde_json::from_slice(&body).map_err(|_| format!("{host} did not say where to connect: its answer is not JSON"))
}
