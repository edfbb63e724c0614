//! A tunnel through the proxy that the environment names, by the rules of HTTP requests: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`,
//! `NO_PROXY`.
//!
//! Source of the handshake: RFC 9110, section 9.3.6 (CONNECT).

use super::connect::{Wire, encrypted, tcp};
use super::protocol::Said;
use crate::post::is_loopback;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};

/// More than any proxy's answer.
const MOST_OF_AN_ANSWER: usize = 16 << 10;

/// A proxy that is asked with CONNECT.
pub(super) struct Proxy {
    host: String,
    port: u16,
    /// Whether it is spoken to over TLS.
    encrypted: bool,
    /// The value of `Proxy-Authorization`.
    credentials: Option<HeaderValue>,
}

impl Proxy {
    /// The proxy for a WebSocket's address. `None` if it is reached directly, as this machine always is.
    pub(super) fn of(url: &Url) -> Said<Option<Self>> {
        Self::by(&Matcher::from_system(), url)
    }

    fn by(rules: &Matcher, url: &Url) -> Said<Option<Self>> {
        if is_loopback(url) {
            return Ok(None);
        }
        // The rules are about the addresses of HTTP: `HTTPS_PROXY` is for what is encrypted.
        let scheme = if url.scheme() == "wss" { "https" } else { "http" };
        let address: Uri = format!("{scheme}://{}/", authority(url))
            .parse()
            .map_err(|e| format!("its address cannot be used: {e}"))?;
        let Some(found) = rules.intercept(&address) else { return Ok(None) };
        let uri = found.uri();
        let host = uri.host().unwrap_or_default().to_owned();
        let (encrypted, port) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            other => {
                let kind = other.unwrap_or("unknown");
                return Err(format!(
                    "the proxy {host} is of the kind {kind}, through which no WebSocket is opened: name an http:// or https:// \
                     proxy, or the exchange in NO_PROXY"
                ));
            }
        };
        let port = uri.port_u16().unwrap_or(port);
        Ok(Some(Self { host, port, encrypted, credentials: found.basic_auth().cloned() }))
    }

    /// A connection to a host through the proxy.
    pub(super) async fn tunnel(&self, host: &str, port: u16) -> Said<Box<dyn Wire>> {
        let name = format!("the proxy {}:{}", self.host, self.port);
        let through = |problem: String| format!("{name}: {problem}");
        let mut wire: Box<dyn Wire> = Box::new(tcp(&self.host, self.port).await.map_err(through)?);
        if self.encrypted {
            wire = encrypted(&self.host, wire).await.map_err(through)?;
        }
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
        if let Some(credentials) = &self.credentials {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(credentials.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let broken = |e: std::io::Error| through(format!("the connection broke: {e}"));
        wire.write_all(&request).await.map_err(broken)?;
        wire.flush().await.map_err(broken)?;
        let mut answer = Vec::new();
        // Byte by byte, since what follows the answer is the host's. The answer is short.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= MOST_OF_AN_ANSWER {
                return Err(through(format!("its answer has more than {} KB", MOST_OF_AN_ANSWER >> 10)));
            }
            answer.push(wire.read_u8().await.map_err(broken)?);
        }
        match status(&answer) {
            Some(200..=299) => Ok(wire),
            Some(407) => Err(through("it wants a user and a password (HTTP 407)".to_owned())),
            Some(other) => Err(through(format!("it does not connect to {host}:{port} (HTTP {other})"))),
            None => Err(through("its answer is not that of an HTTP proxy".to_owned())),
        }
    }
}

/// Host and port; the port of the scheme if none is given.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The status in the first line of an answer.
fn status(answer: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(answer.split(|byte| *byte == b'\r').next()?).ok()?;
    let mut words = line.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_those_of_http() {
        let rules = Matcher::builder()
            .http("http://plain:3128")
            .https("https://user:pass%40word@secure.example")
            .no("local.example, 10.0.0.0/8")
            .build();
        let of = |url: &str| Proxy::by(&rules, &Url::parse(url).unwrap()).unwrap();
        let secure = of("wss://stream.example/ws").unwrap();
        assert_eq!((secure.host.as_str(), secure.port, secure.encrypted), ("secure.example", 443, true));
        assert_eq!(secure.credentials.unwrap(), "Basic dXNlcjpwYXNzQHdvcmQ=");
        let plain = of("ws://stream.example:9000/ws").unwrap();
        assert_eq!((plain.host.as_str(), plain.port, plain.encrypted), ("plain", 3128, false));
        assert!(plain.credentials.is_none());
        for direct in
            ["wss://local.example", "ws://a.local.example", "wss://10.1.2.3:8443", "ws://127.0.0.1:1", "ws://[::1]:1"]
        {
            assert!(of(direct).is_none(), "{direct}");
        }
        let socks = Matcher::builder().all("socks5://user:secret@other:1080").build();
        let problem = Proxy::by(&socks, &Url::parse("wss://stream.example").unwrap()).err().unwrap();
        assert!(problem.contains("the proxy other is of the kind socks5") && !problem.contains("secret"), "{problem}");
    }

    #[test]
    fn only_the_first_line_of_an_answer_counts() {
        for (answer, expected) in [
            ("HTTP/1.1 200 Connection established\r\nx: y\r\n\r\n", Some(200)),
            ("HTTP/1.0 407 Proxy Authentication Required\r\n\r\n", Some(407)),
            ("HTTP/1.1 \r\n\r\n", None),
            ("SSH-2.0 200 \r\n\r\n", None),
            ("\r\n\r\n", None),
        ] {
            assert_eq!(status(answer.as_bytes()), expected, "{answer:?}");
        }
    }
}
