//! How connections are made, for all requests of the product; and posting JSON to an address whose words are secret.

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use reqwest::{Client, Url, header};
use std::error::Error as _;
use std::fmt;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// More of an answer is not read: it only says whether the request was taken.
const MOST_OF_AN_ANSWER: usize = 16 << 10;

/// A client for the host of `url`. It follows no redirect.
pub(super) fn client(url: &Url, connect: Duration) -> reqwest::Result<Client> {
    // An error means that the process already has a provider, which works as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .connect_timeout(connect)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("signalloop/", env!("CARGO_PKG_VERSION")));
    if url.scheme() == "http" {
        // Without TLS no certificates are needed; a slim container has none.
        builder = builder.tls_certs_only([]);
    }
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder.build()
}

/// Whether an address is this machine's own. Then it is reached without a proxy, whose loopback is another machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host == "localhost" || host.starts_with("127.") || host == "[::1]")
}

/// The innermost cause; the outer errors only say that something failed.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut deepest = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        if let Some(error) = inner.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            return "connection refused".to_owned();
        }
        if inner.to_string() == "dns error" {
            return "its name could not be resolved (DNS)".to_owned();
        }
        deepest = inner.to_string();
        next = inner.source();
    }
    deepest
}

/// `Retry-After`: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    (DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc) - Utc::now()).to_std().ok()
}

/// Posts to one address. No error, and no `Debug`, has more of it than scheme, host and port: the rest may be a secret.
pub struct Poster {
    url: Url,
    client: OnceLock<std::result::Result<Client, String>>,
}

/// The answer to a post.
#[derive(Debug, Clone, PartialEq)]
pub struct Posted {
    /// The HTTP status.
    pub status: u16,
    /// How long the host asks to wait.
    pub retry_after: Option<Duration>,
    /// The beginning of its body.
    pub body: Vec<u8>,
}

/// Why there is no answer, in words without the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotPosted(pub String);

impl fmt::Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Poster({})", self.host())
    }
}

impl Poster {
    /// `None` if `url` is not an http(s) URL with a host.
    pub fn new(url: &str) -> Option<Self> {
        let url = Url::parse(url.trim()).ok()?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
        is_web.then(|| Self { url, client: OnceLock::new() })
    }

    /// Scheme, host and port.
    pub fn host(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Posts JSON and waits up to `patience` for the answer. It tries once.
    ///
    /// # Errors
    /// [`NotPosted`] without an answer. Then the host may have taken the request all the same.
    pub async fn post(
        &self,
        body: String,
        headers: &[(&str, String)],
        patience: Duration,
    ) -> std::result::Result<Posted, NotPosted> {
        let made = self.client.get_or_init(|| client(&self.url, CONNECT).map_err(|e| cause(&e.without_url())));
        let client = made.as_ref().map_err(|problem| NotPosted(format!("cannot prepare connections: {problem}")))?;
        let mut request = client.post(self.url.clone()).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = async {
            let mut response = request.body(body).send().await?;
            let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                body.extend_from_slice(&chunk);
                if body.len() >= MOST_OF_AN_ANSWER {
                    body.truncate(MOST_OF_AN_ANSWER);
                    break;
                }
            }
            Ok::<Posted, reqwest::Error>(Posted { status, retry_after, body })
        };
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok(posted)) => Ok(posted),
            Ok(Err(error)) => Err(NotPosted(cause(&error.without_url()))),
            Err(_) => Err(NotPosted(format!("no answer within {} s", patience.as_secs_f64()))),
        }
    }
}
