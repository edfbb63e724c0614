//! Many clients over HTTP (the protocol's streamable HTTP), at `/mcp`.

use super::Server;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use domain::error::{Error, Result};
use report::{Hosts, is_from_another_site};
use ring::digest::{SHA256, digest};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The environment variable with the token that clients must send.
pub const TOKEN_VARIABLE: &str = "SIGNALLOOP_MCP_TOKEN";
/// The only path.
const PATH: &str = "/mcp";
/// The shortest token: 16 random letters cannot be guessed.
const SHORTEST_TOKEN: usize = 16;

/// What a client must send as `Authorization: Bearer …`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Never its text.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// A token.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], which does not repeat it, if it is too short, or not of visible ASCII characters.
    pub fn new(text: &str) -> Result<Self> {
        if text.len() >= SHORTEST_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(text.to_owned()));
        }
        let allowed = format!("must have at least {SHORTEST_TOKEN} characters, visible ones of ASCII, without spaces");
        Err(Error::argument("token", allowed, format!("{} characters", text.chars().count())))
    }

    /// The given one, else that of the environment variable [`TOKEN_VARIABLE`], if it has one.
    ///
    /// # Errors
    /// As [`Token::new`].
    pub fn given_or_from_environment(given: Option<&str>) -> Result<Option<Self>> {
        let from_environment = || std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty());
        given.map(str::to_owned).or_else(from_environment).map(|token| Self::new(&token)).transpose()
    }

    /// Whether a request carries it.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let sent =
            sent.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        // Digests are compared, so that the time tells nothing of the token.
        let hash = |text: &str| digest(&SHA256, text.as_bytes());
        sent.is_some_and(|(_, token)| hash(token.trim()).as_ref() == hash(&self.0).as_ref())
    }
}

/// Where and for whom to listen.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// The address; port 0 picks a free one.
    pub address: SocketAddr,
    /// The names under which requests are answered.
    pub hosts: Hosts,
    /// What clients must send; needed on other addresses than this machine's own.
    pub token: Option<Token>,
}

/// A listening server that does not answer yet.
pub struct Http {
    server: Server,
    listener: TcpListener,
    address: SocketAddr,
    rules: Arc<Rules>,
}

/// Who is answered.
struct Rules {
    hosts: Hosts,
    token: Option<Token>,
}

impl Http {
    /// Listens.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when listening there fails, and for an address that others can reach without a token.
    pub async fn listen(server: Server, options: HttpOptions) -> Result<Self> {
        let HttpOptions { address, hosts, token } = options;
        if token.is_none() && !address.ip().is_loopback() {
            let problem = format!(
                "must be an address of this machine alone, such as 127.0.0.1, unless there is a token: others could read everything. Set \
                 {TOKEN_VARIABLE}"
            );
            return Err(Error::argument("http", problem, address.ip()));
        }
        let refused = |e: std::io::Error| {
            let problem = format!("must be an address that can be listened on ({e}); port 0 takes a free one");
            Error::argument("http", problem, address)
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { server, listener, address, rules: Arc::new(Rules { hosts, token }) })
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Answers requests until `end` completes.
    ///
    /// # Errors
    /// [`Error::Internal`] when the listener fails.
    pub async fn serve(self, end: impl Future<Output = ()>) -> Result<()> {
        let (server, rules) = (self.server, self.rules);
        let ending = CancellationToken::new();
        // `Rules` decide which hosts and sites are answered.
        let config = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_cancellation_token(ending.clone());
        let each = server.clone();
        let sessions = Arc::new(LocalSessionManager::default());
        let service = StreamableHttpService::new(move || Ok(each.clone()), sessions, config);
        let routes = Router::new().fallback(move |request: Request| {
            let (service, rules) = (service.clone(), rules.clone());
            async move {
                match rules.refusal(request.uri().path(), request.headers()) {
                    Some(refusal) => refusal.response(),
                    None => service.handle(request).await.map(Body::new),
                }
            }
        });
        let failed = |e: std::io::Error| Error::Internal(format!("the server ended: {e}"));
        // Clients keep streams open, so the end does not wait for them.
        let served = tokio::select! {
            ended = axum::serve(self.listener, routes) => ended.map_err(failed),
            () = end => Ok(()),
        };
        server.end();
        ending.cancel();
        served
    }
}

/// Why a request is not answered.
struct Refusal {
    status: StatusCode,
    why: String,
}

impl Rules {
    fn refusal(&self, path: &str, headers: &HeaderMap) -> Option<Refusal> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let refuse = |status, why: String| Some(Refusal { status, why });
        let host = text(header::HOST.as_str());
        if !host.is_some_and(|host| self.hosts.permit(host)) {
            let why = "this server answers under an address or an allowed name only: another site could point its own name at this \
                       address. If the name is yours, allow it with `--allowed-host NAME`";
            return refuse(StatusCode::MISDIRECTED_REQUEST, why.to_owned());
        }
        if is_from_another_site(text("sec-fetch-site"), text(header::ORIGIN.as_str()), host) {
            return refuse(StatusCode::FORBIDDEN, "pages of other sites may not use this server".to_owned());
        }
        if self.token.as_ref().is_some_and(|token| !token.is_in(headers)) {
            return refuse(StatusCode::UNAUTHORIZED, "send the server's token: `Authorization: Bearer …`".to_owned());
        }
        if path != PATH {
            return refuse(StatusCode::NOT_FOUND, format!("there is only {PATH}"));
        }
        None
    }
}

impl Refusal {
    fn response(self) -> Response {
        let mut response = Response::new(Body::from(format!("{}\n", self.why)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn status(rules: &Rules, path: &str, sent: &[(&'static str, &str)]) -> u16 {
        let headers = sent.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        rules.refusal(path, &headers).map_or(200, |refusal| refusal.status.as_u16())
    }

    #[test]
    fn only_this_machine_and_no_other_site() {
        let rules = Rules { hosts: Hosts::new(vec!["agents.example".to_owned()]).unwrap(), token: None };
        for (sent, expected) in [
            (&[("host", "127.0.0.1:4601")][..], 200),
            (&[("host", "localhost:4601")], 200),
            (&[("host", "agents.example")], 200),
            (&[("host", "evil.example")], 421),
            (&[], 421),
            (&[("host", "localhost:4601"), ("origin", "http://localhost:4601")], 200),
            (&[("host", "localhost:4601"), ("origin", "http://evil.example")], 403),
            (&[("host", "localhost:4601"), ("origin", "null")], 403),
            (&[("host", "localhost:4601"), ("sec-fetch-site", "cross-site")], 403),
            (&[("host", "localhost:4601"), ("sec-fetch-site", "same-site")], 403),
        ] {
            assert_eq!(status(&rules, "/mcp", sent), expected, "{sent:?}");
        }
        assert_eq!(status(&rules, "/", &[("host", "localhost")]), 404);
    }

    #[test]
    fn a_token_must_be_sent_whole() {
        let rules = Rules { hosts: Hosts::default(), token: Some(Token::new(SECRET).unwrap()) };
        let host = ("host", "127.0.0.1");
        for (sent, expected) in [
            (format!("Bearer {SECRET}"), 200),
            (format!("bearer  {SECRET}"), 200),
            (SECRET.to_owned(), 401),
            (format!("Basic {SECRET}"), 401),
            (format!("Bearer {}", &SECRET[1..]), 401),
            (format!("Bearer {SECRET}x"), 401),
            ("Bearer ".to_owned(), 401),
        ] {
            assert_eq!(status(&rules, "/mcp", &[host, ("authorization", &sent)]), expected, "{sent}");
        }
        assert_eq!(status(&rules, "/mcp", &[host]), 401);
    }

    #[test]
    fn a_weak_token_is_refused_and_none_is_shown() {
        for weak in ["", "short", "0123456789abcde", "0123456789 abcdef", "0123456789abcdeä"] {
            let error = Token::new(weak).unwrap_err();
            assert_eq!(error.code(), "ERR_INVALID_ARGUMENT");
            assert!(weak.is_empty() || !error.to_string().contains(weak), "{error}");
        }
        assert_eq!(format!("{:?}", Token::new(SECRET).unwrap()), "Token");
    }
}
