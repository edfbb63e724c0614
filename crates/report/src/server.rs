//! The live view on an HTTP server of its own.

use super::dashboard::{Answer, Dashboard, Request, failure, refusal};
use super::hosts::Hosts;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use domain::error::{Error, Result};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;

/// A listening server that does not answer yet.
pub struct Server {
    dashboard: Arc<Dashboard>,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens on `host` and `port`; port 0 picks a free one.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when listening there fails.
    pub async fn listen(dashboard: Arc<Dashboard>, host: IpAddr, port: u16) -> Result<Self> {
        let refused = |e: std::io::Error| {
            let problem = format!("must be one that can be listened on at {host} ({e}); 0 takes a free one");
            Error::argument("port", problem, port)
        };
        let listener = TcpListener::bind((host, port)).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { dashboard, listener, address })
    }

    /// The URL it listens on.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers requests until `end` completes.
    ///
    /// # Errors
    /// [`Error::Internal`] when the listener fails.
    pub async fn serve(self, end: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let dashboard = self.dashboard;
        let routes = Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap| {
            let dashboard = dashboard.clone();
            async move { respond(answer(&dashboard, &method, &uri, &headers).await) }
        });
        let failed = |e: std::io::Error| Error::Internal(format!("the dashboard's server ended: {e}"));
        // Browsers keep connections open, so shutting down does not wait for them.
        tokio::select! {
            ended = axum::serve(self.listener, routes) => ended.map_err(failed),
            () = end => Ok(()),
        }
    }
}

async fn answer(dashboard: &Dashboard, method: &Method, uri: &Uri, headers: &HeaderMap) -> Answer {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if uri.path() != "/" {
        return refusal(404, "there is only /\n", Vec::new());
    }
    let request = Request {
        method: method.to_string(),
        url: uri.to_string(),
        host: text(header::HOST.as_str()),
        origin: text(header::ORIGIN.as_str()),
        fetch_site: text("sec-fetch-site"),
        fetch_mode: text("sec-fetch-mode"),
        fetch_dest: text("sec-fetch-dest"),
        if_none_match: text(header::IF_NONE_MATCH.as_str()),
    };
    dashboard.answer(&request, &Hosts::default()).await.unwrap_or_else(|error| failure(&error))
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
