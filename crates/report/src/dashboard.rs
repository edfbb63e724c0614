//! The live view of a home over HTTP: how a request is answered, whichever server received it.
//!
//! There is one address. `GET` returns the page, and `GET` with the query `data` the report as JSON, with an `ETag`:
//! while nothing has changed, which is determined from the sizes and times of a few files, the answer is 304. The rest of the query
//! is a [`Filter`]. The view is read-only.

use super::filter::Filter;
use super::hosts::{self, Hosts};
use super::page::{Place, policy, render};
use super::views::{View, Views};
use domain::error::{Error, Result};
use engine::SignalLoop;
use std::sync::Arc;

/// A request; missing headers are `None`.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET`, …
    pub method: String,
    /// Path and query; only the query is looked at.
    pub url: String,
    /// `Host`, or its HTTP/2 equivalent
    pub host: Option<String>,
    /// `Origin`
    pub origin: Option<String>,
    /// `Sec-Fetch-Site`
    pub fetch_site: Option<String>,
    /// `Sec-Fetch-Mode`
    pub fetch_mode: Option<String>,
    /// `Sec-Fetch-Dest`
    pub fetch_dest: Option<String>,
    /// `If-None-Match`
    pub if_none_match: Option<String>,
}

/// The response to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Header names and values.
    pub headers: Vec<(&'static str, String)>,
    /// Empty for a HEAD and for 304.
    pub body: String,
}

/// The live view of a loop. All viewers of the same signals share one report.
pub struct Dashboard {
    views: Views,
}

impl Dashboard {
    /// The live view of a loop; nothing is read yet.
    pub fn new(core: Arc<SignalLoop>) -> Self {
        Self { views: Views::new(core) }
    }

    /// The loop it shows.
    pub fn core(&self) -> &Arc<SignalLoop> {
        self.views.core()
    }

    /// Answers a request addressed to one of these host names.
    ///
    /// # Errors
    /// [`Error::Closed`]. Parts that cannot be read are listed in the report.
    pub async fn answer(&self, request: &Request, names: &Hosts) -> Result<Answer> {
        if !request.host.as_deref().is_some_and(|host| names.permit(host)) {
            return Ok(refusal(421, &hosts::refusal(request.host.as_deref()), Vec::new()));
        }
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Ok(refusal(405, "read only: GET or HEAD\n", vec![("Allow", "GET, HEAD".to_owned())]));
        }
        let wants_data = request.wants_data();
        if request.is_from_elsewhere(wants_data) {
            return Ok(refusal(403, "other sites may not read this\n", Vec::new()));
        }
        let filter = match Filter::of_query(request.query()) {
            Ok(filter) => filter,
            Err(error) => return Ok(refusal(400, &format!("{error} [{}]\n", error.code()), Vec::new())),
        };
        let View { json, tag, .. } =
            if wants_data { self.views.view(&filter).await? } else { self.views.for_page(&filter).await? };
        let (kind, tag) = if wants_data {
            ("application/json; charset=utf-8", format!("\"{tag}\""))
        } else {
            ("text/html; charset=utf-8", format!("\"page-{tag}\""))
        };
        let known = request.knows(&tag);
        let headers = vec![("Content-Type", kind.to_owned()), ("ETag", tag)];
        if known {
            return Ok(Answer::new(304, headers, String::new()));
        }
        let body = if wants_data { json.to_string() } else { render(&json, Place::Served) };
        Ok(Answer::new(200, headers, body).without_body_for(&request.method))
    }
}

impl Request {
    fn query(&self) -> &str {
        self.url.split_once('?').map_or("", |(_, query)| query)
    }

    fn wants_data(&self) -> bool {
        self.query().split('&').any(|one| one == "data" || one.starts_with("data="))
    }

    /// Whether the client already has the response with this tag. A compressing proxy turns our tag into a weak one,
    /// which counts as the same.
    fn knows(&self, tag: &str) -> bool {
        let is_it = |one: &str| matches!(one.trim(), "*") || one.trim().trim_start_matches("W/") == tag;
        self.if_none_match.as_deref().is_some_and(|tags| tags.split(',').any(is_it))
    }

    /// Whether another site sent the request. Following a link to the page is allowed, because the linking site cannot
    /// read it.
    fn is_from_elsewhere(&self, wants_data: bool) -> bool {
        let visits = !wants_data
            && self.fetch_site.is_some()
            && self.fetch_mode.as_deref() == Some("navigate")
            && self.fetch_dest.as_deref() == Some("document");
        let (site, origin, host) = (self.fetch_site.as_deref(), self.origin.as_deref(), self.host.as_deref());
        !visits && hosts::is_from_another_site(site, origin, host)
    }
}

impl Answer {
    /// A response with headers against use by other sites, framing, caching and content sniffing.
    fn new(status: u16, mut headers: Vec<(&'static str, String)>, body: String) -> Self {
        let policy = format!("{}; frame-ancestors 'none'", policy(Place::Served));
        let safe = [
            ("Content-Security-Policy", policy.as_str()),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
        ];
        headers.extend(safe.map(|(name, value)| (name, value.to_owned())));
        Self { status, headers, body }
    }

    fn without_body_for(mut self, method: &str) -> Self {
        if method == "HEAD" {
            self.headers.push(("Content-Length", self.body.len().to_string()));
            self.body.clear();
        }
        self
    }
}

/// A short response in plain text.
pub(super) fn refusal(status: u16, text: &str, mut headers: Vec<(&'static str, String)>) -> Answer {
    headers.push(("Content-Type", "text/plain; charset=utf-8".to_owned()));
    Answer::new(status, headers, text.to_owned())
}

/// The response when a report cannot be made.
pub fn failure(error: &Error) -> Answer {
    let status = if matches!(error, Error::Closed) { 503 } else { 500 };
    refusal(status, &format!("{error} [{}]\n", error.code()), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::super::views::PACE;
    use super::*;
    use engine::Options;

    fn get(url: &str) -> Request {
        Request { method: "GET".into(), url: url.into(), host: Some("trade.example:3000".into()), ..Request::default() }
    }

    async fn answer(dashboard: &Dashboard, request: &Request) -> Answer {
        dashboard.answer(request, &Hosts::new(vec!["trade.example".into()]).unwrap()).await.unwrap()
    }

    fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
        answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    fn dashboard(home: &std::path::Path) -> Dashboard {
        let options = Options { home: Some(home.to_owned()), ..Options::default() };
        Dashboard::new(Arc::new(SignalLoop::open(options).unwrap()))
    }

    #[tokio::test]
    async fn the_page_its_data_and_nothing_new() {
        let home = tempfile::tempdir().unwrap();
        let dashboard = dashboard(home.path());
        let page = answer(&dashboard, &get("/learning")).await;
        assert_eq!((page.status, header(&page, "Content-Type")), (200, Some("text/html; charset=utf-8")));
        assert!(page.body.starts_with("<!doctype html>"));
        let data = answer(&dashboard, &get("/learning?data")).await;
        let value: serde_json::Value = serde_json::from_str(&data.body).unwrap();
        assert_eq!((data.status, value["signals"].is_null()), (200, true));
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "looking writes nothing");

        let tag = header(&data, "ETag").unwrap().to_owned();
        let again = Request { if_none_match: Some(tag.clone()), ..get("/?data") };
        let same = answer(&dashboard, &again).await;
        assert_eq!((same.status, same.body.as_str()), (304, ""));
        std::fs::create_dir(home.path().join("data")).unwrap();
        std::fs::write(home.path().join("data/x.csv"), "x").unwrap();
        let view = dashboard.views.view(&Filter::default()).await.unwrap();
        tokio::time::sleep((PACE * view.cost).saturating_sub(view.made.elapsed())).await;
        let news = answer(&dashboard, &again).await;
        assert_eq!((news.status, header(&news, "ETag") == Some(tag.as_str())), (200, false));
        assert!(news.body.contains("is not that of a market"));
    }

    #[test]
    fn a_tag_is_known_weak_or_strong_and_among_others() {
        for (sent, known) in [
            ("\"a-1\"", true),
            ("W/\"a-1\"", true),
            ("\"b\", W/\"a-1\"", true),
            ("*", true),
            ("\"page-a-1\"", false),
            ("a-1", false),
            ("", false),
        ] {
            let request = Request { if_none_match: Some(sent.into()), ..get("/") };
            assert_eq!(request.knows("\"a-1\""), known, "{sent}");
        }
        assert!(!get("/").knows("\"a-1\""));
    }

    #[tokio::test]
    async fn the_address_says_which_signals_and_a_wrong_one_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let dashboard = dashboard(home.path());
        let data = answer(&dashboard, &get("/?data&symbol=BTC%2FUSDT&since=2025-06-01")).await;
        let value: serde_json::Value = serde_json::from_str(&data.body).unwrap();
        assert_eq!(value["filter"], serde_json::json!({ "symbol": "BTCUSDT", "sinceMs": 1_748_736_000_000i64 }));
        assert_eq!(value["making"], serde_json::json!([]));
        for path in ["/?signalType=HOLD", "/?data&signalType=HOLD"] {
            let refused = answer(&dashboard, &get(path)).await;
            assert_eq!(
                (refused.status, refused.body.contains("`signalType` must be BUY or SELL")),
                (400, true),
                "{}",
                refused.body
            );
        }
    }

    #[tokio::test]
    async fn read_only_with_safe_headers() {
        let home = tempfile::tempdir().unwrap();
        let dashboard = dashboard(home.path());
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", ""] {
            let refused = answer(&dashboard, &Request { method: method.into(), ..get("/") }).await;
            assert_eq!((refused.status, header(&refused, "Allow")), (405, Some("GET, HEAD")), "{method}");
        }
        let (page, head) = (get("/"), Request { method: "HEAD".into(), ..get("/") });
        let (page, head) = (answer(&dashboard, &page).await, answer(&dashboard, &head).await);
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(header(&head, "Content-Length"), Some(page.body.len().to_string().as_str()));
        for (name, part) in [
            ("Content-Security-Policy", "default-src 'none'"),
            ("Content-Security-Policy", "frame-ancestors 'none'"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ] {
            assert!(header(&page, name).unwrap().contains(part), "{name}");
        }
        assert!(page.headers.iter().all(|(name, _)| !name.starts_with("Access-Control")));
    }

    #[test]
    fn requests_from_other_sites_are_recognised() {
        let from = |site: &str, mode: &str, dest: &str| Request {
            fetch_site: Some(site.into()),
            fetch_mode: Some(mode.into()),
            fetch_dest: Some(dest.into()),
            ..get("/")
        };
        for (request, page, data) in [
            (get("/"), false, false),
            (from("same-origin", "cors", "empty"), false, false),
            (from("none", "navigate", "document"), false, false),
            (from("cross-site", "navigate", "document"), false, true),
            (from("cross-site", "navigate", "iframe"), true, true),
            (from("cross-site", "no-cors", "script"), true, true),
            (from("same-site", "cors", "empty"), true, true),
            (Request { origin: Some("http://trade.example:3000".into()), ..get("/") }, false, false),
            (Request { origin: Some("http://evil.example".into()), ..get("/") }, true, true),
            (Request { origin: Some("null".into()), ..get("/") }, true, true),
        ] {
            assert_eq!(
                (request.is_from_elsewhere(false), request.is_from_elsewhere(true)),
                (page, data),
                "{request:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_name_that_is_not_allowed_gets_nothing() {
        let home = tempfile::tempdir().unwrap();
        let dashboard = dashboard(home.path());
        for host in [None, Some("evil.example"), Some("trade.example.evil"), Some("")] {
            let asked = Request { host: host.map(str::to_owned), ..get("/?data") };
            let refused = answer(&dashboard, &asked).await;
            assert_eq!(refused.status, 421, "{host:?}");
            assert!(refused.body.starts_with("this page is"), "{}", refused.body);
        }
        let other = dashboard.answer(&get("/"), &Hosts::default()).await.unwrap();
        assert!(other.body.contains("allowedHosts: ['trade.example']"), "{}", other.body);
    }

    #[test]
    fn the_query_selects_page_or_data() {
        for (url, data) in [("/?data", true), ("/x?a=1&data=2", true), ("/data", false), ("/?database", false)] {
            assert_eq!(get(url).wants_data(), data, "{url}");
        }
    }

    #[tokio::test]
    async fn a_closed_loop_says_so() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("feedback")).unwrap();
        std::fs::write(home.path().join("feedback/signals.jsonl"), "").unwrap();
        let dashboard = dashboard(home.path());
        dashboard.core().close().await;
        let at_home = Request { host: Some("localhost".into()), ..get("/") };
        let error = dashboard.answer(&at_home, &Hosts::default()).await.unwrap_err();
        assert_eq!((error.code(), failure(&error).status), ("ERR_CLOSED", 503));
    }
}
