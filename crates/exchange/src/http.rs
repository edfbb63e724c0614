//! HTTP(S) requests to one host: limits, time-outs, retries, and errors in plain words.

use super::dialect::{Complaint, Dialect, Meaning, Reply, Request};
use super::limits::Budget;
use super::post::{cause, client, retry_after};
use backon::{ExponentialBuilder, Retryable};
use chrono::DateTime;
use domain::time::now_ms;
use parking_lot::Mutex;
use reqwest::header::HeaderMap;
use reqwest::{Client, Response, StatusCode, Url, header};
use serde_json::Value;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Retries after the first attempt.
const RETRIES: usize = 3;
const RECONNECT_AFTER: Duration = Duration::from_millis(50);
/// How long an unreachable host is not contacted again. So being offline costs a training of twenty markets one failed
/// connection, not twenty.
const UNREACHABLE_FOR: Duration = Duration::from_secs(1);
/// More than ten times an exchange's longest answer.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Time-outs, retries and request budget of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Time-out for a connection. Default 10 s.
    pub connect: Duration,
    /// Time-out for an answer. Default 30 s.
    pub answer: Duration,
    /// Time-out for a request with all its retries. Default 60 s. Waiting for the next window's budget does not count.
    pub deadline: Duration,
    /// Backoff before the first retry; doubled for the second, and again for the third, each with up to this much jitter on top.
    /// Default 0.2 s.
    pub backoff: Duration,
    /// The most request weight to use within the exchange's window, such as a minute, by the host's count. Default: half of what
    /// the exchange allows an address, which leaves the rest to other programs.
    pub weight: Option<u32>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            deadline: Duration::from_secs(60),
            backoff: Duration::from_millis(200),
            weight: None,
        }
    }
}

/// Why a request failed, after all retries.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// No connection: refused, unknown host, no route, no TLS. Tried at most twice.
    Unreachable(String),
    /// Retried: the host is overloaded, or the answer is incomplete or not JSON. `wait` is its `Retry-After`.
    Passing { problem: String, wait: Option<Duration> },
    /// The host refused, with this message. Not retried.
    Refused(String),
    /// The host does not know the requested symbol.
    UnknownSymbol(String),
    /// Any other failure that a retry would not change.
    Lasting(String),
}

impl Failure {
    pub(super) fn message(&self) -> &str {
        match self {
            Self::Unreachable(text) | Self::Refused(text) | Self::UnknownSymbol(text) | Self::Lasting(text) => text,
            Self::Passing { problem, .. } => problem,
        }
    }
}

/// A host and the connections to it.
#[derive(Debug)]
pub(super) struct Host {
    base: Url,
    /// Host and port, for messages.
    name: String,
    /// Created on the first request, since it loads the system's certificates.
    client: OnceLock<std::result::Result<Client, Failure>>,
    unreachable: Mutex<Option<(Instant, Failure)>>,
    /// When it last answered, and what its `Date` header said, UTC epoch ms.
    dated: Mutex<Option<(Instant, i64)>>,
    dialect: &'static dyn Dialect,
    pace: Pace,
    budget: Budget,
}

/// An answer, and the failures of earlier attempts.
pub(super) struct Answered<T> {
    pub answer: T,
    pub retries: usize,
    pub problem: Option<String>,
}

impl Host {
    /// `None` if `base` is not an http(s) URL with a host.
    pub(super) fn new(base: &str, dialect: &'static dyn Dialect, pace: Pace) -> Option<Self> {
        let base = Url::parse(base.trim().trim_end_matches('/')).ok()?;
        let name = match (base.scheme(), base.host_str()?, base.port()) {
            ("http" | "https", host, Some(port)) => format!("{host}:{port}"),
            ("http" | "https", host, None) => host.to_owned(),
            _ => return None,
        };
        let facts = dialect.facts();
        let budget = Budget::new(pace.weight.unwrap_or(facts.allowance / 2), facts.window);
        Some(Self {
            base,
            name,
            client: OnceLock::new(),
            unreachable: Mutex::default(),
            dated: Mutex::default(),
            dialect,
            pace,
            budget,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What the `Date` header of the last answer said, if that came after `since`, UTC epoch ms.
    pub(super) fn dated_after(&self, since: Instant) -> Option<i64> {
        self.dated.lock().filter(|(at, _)| *at >= since).map(|(_, ms)| ms)
    }

    /// Sends a request and converts its JSON with `read`; retries as [`Failure`] says. If `read` rejects the answer, with a
    /// description, it is requested again.
    pub(super) async fn ask<T>(
        &self,
        request: &Request,
        read: impl Fn(Value) -> std::result::Result<T, String>,
    ) -> std::result::Result<Answered<T>, Failure> {
        if let Some((since, failure)) = &*self.unreachable.lock()
            && since.elapsed() < UNREACHABLE_FOR
        {
            return Err(failure.clone());
        }
        while let Err(wait) = self.budget.take(Instant::now(), request.weight) {
            tokio::time::sleep(wait).await;
        }
        let started = Instant::now();
        let time_left = || self.pace.deadline.saturating_sub(started.elapsed());
        let mut reconnected = false;
        let next_try = |failure: &Failure, backoff: Option<Duration>| {
            let delay = match failure {
                // A slow failure, such as a time-out or slow DNS, would be slow again.
                Failure::Unreachable(_) if started.elapsed() > UNREACHABLE_FOR => None,
                Failure::Unreachable(_) => (!std::mem::replace(&mut reconnected, true)).then_some(RECONNECT_AFTER),
                Failure::Passing { wait, .. } => backoff.map(|delay| wait.unwrap_or(delay)),
                Failure::Refused(_) | Failure::UnknownSymbol(_) | Failure::Lasting(_) => None,
            };
            delay.filter(|delay| *delay < time_left())
        };
        let (retries, problem) = (AtomicUsize::new(0), Mutex::new(None));
        let backoff =
            ExponentialBuilder::default().with_min_delay(self.pace.backoff).with_max_times(RETRIES).with_jitter();
        let result = (|| async {
            self.wait_while_closed(time_left()).await?;
            let answer = self.try_once(request, time_left()).await?;
            read(answer).map_err(|problem| self.passing(problem, None))
        })
        .retry(backoff)
        .notify(|failure, _| {
            self.budget.charge(request.weight);
            retries.fetch_add(1, Ordering::Relaxed);
            problem.lock().get_or_insert_with(|| failure.message().to_owned());
        })
        .adjust(next_try)
        .await;
        *self.unreachable.lock() = match &result {
            Err(failure @ Failure::Unreachable(_)) => Some((Instant::now(), failure.clone())),
            _ => None,
        };
        let (retries, problem) = (retries.into_inner(), problem.into_inner());
        result.map(|answer| Answered { answer, retries, problem })
    }

    /// Waits as long as the host asked for, if there is enough time left.
    async fn wait_while_closed(&self, time_left: Duration) -> std::result::Result<(), Failure> {
        while let Some(wait) = self.budget.closed(Instant::now()) {
            if wait >= time_left {
                let problem =
                    format!("it limits how often it is asked, and asks to wait {} s", wait.as_secs_f64().ceil());
                return Err(self.passing(problem, Some(wait)));
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    async fn try_once(&self, wanted: &Request, time_left: Duration) -> std::result::Result<Value, Failure> {
        let client = self.client.get_or_init(|| self.connect()).as_ref().map_err(Failure::clone)?;
        let url = format!("{}{}", self.base.as_str().trim_end_matches('/'), wanted.path);
        let request =
            client.request(wanted.method.clone(), url).query(&wanted.query).timeout(self.pace.answer.min(time_left));
        let response = request.send().await.map_err(|e| self.broken(&e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let dated_ms = date(&headers);
        *self.dated.lock() = dated_ms.map(|ms| (Instant::now(), ms));
        let host_ms = dated_ms.unwrap_or_else(now_ms);
        if let Some(used) = self.dialect.used(&headers) {
            self.budget.learn(Instant::now(), &used);
        }
        let body = self.body(response).await;
        let text = String::from_utf8_lossy(body.as_deref().unwrap_or_default());
        let json: Option<Value> = serde_json::from_str(&text).ok();
        let null = Value::Null;
        let reply = Reply {
            status: status.as_u16(),
            headers: &headers,
            host_ms,
            body: json.as_ref().unwrap_or(&null),
            text: &text,
        };
        let complaint = self.dialect.complaint(&reply);
        let refused = complaint.is_some() || !status.is_success();
        let is_empty = body.as_ref().is_ok_and(Vec::is_empty);
        match json {
            // For an error the status is enough if the body cannot be read.
            _ if refused => Err(self.refusal(status, retry_after(&headers), complaint)),
            Some(json) => Ok(json),
            None => {
                let body = body?;
                Err(self.passing(if is_empty { "its answer is empty".to_owned() } else { not_json(&body) }, None))
            }
        }
    }

    fn connect(&self) -> std::result::Result<Client, Failure> {
        client(&self.base, self.pace.connect).map_err(|e| {
            Failure::Lasting(format!(
                "cannot prepare connections to {}: {} (are the system's certificates installed?)",
                self.name,
                cause(&e)
            ))
        })
    }

    async fn body(&self, mut response: Response) -> std::result::Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.broken(&e))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY_BYTES {
                let problem = format!("{} sent more than {} MB", self.name, MAX_BODY_BYTES >> 20);
                return Err(Failure::Lasting(problem));
            }
        }
        Ok(body)
    }

    /// A request without a complete answer.
    fn broken(&self, error: &reqwest::Error) -> Failure {
        if error.is_connect() {
            let cause = match error.is_timeout() {
                true => format!("no connection within {} s", self.pace.connect.as_secs()),
                false => cause(error),
            };
            return Failure::Unreachable(format!(
                "cannot reach the exchange at {}: {cause}; check the network, or set `exchange_url` \
                 (SIGNALLOOP_EXCHANGE_URL) to a host that serves the same API",
                self.name
            ));
        }
        let problem = match error.is_timeout() {
            true => "it did not answer in time".to_owned(),
            false => format!("the connection broke before the whole answer was there ({})", cause(error)),
        };
        self.passing(problem, None)
    }

    /// An answer whose status is not 200, or that is a complaint of the exchange.
    fn refusal(&self, status: StatusCode, wait: Option<Duration>, complaint: Option<Complaint>) -> Failure {
        let code = status.as_u16();
        let asked = complaint.as_ref().and_then(|complaint| match complaint.meaning {
            Meaning::TooOften(asked) => asked,
            _ => None,
        });
        let wait = wait.max(asked);
        if matches!(code, 429 | 418)
            || complaint.as_ref().is_some_and(|one| matches!(one.meaning, Meaning::TooOften(_)))
        {
            return self.too_often(code, wait, complaint.as_ref());
        }
        match (complaint, code) {
            (Some(Complaint { code: own, message, meaning: Meaning::Busy }), ..500) => {
                self.passing(format!("it has a fault of its own ({own}: {message})"), wait)
            }
            (_, 500..) => self.passing(format!("it has a fault of its own (HTTP {code})"), wait),
            (_, 403 | 451) => {
                let other = self.dialect.facts().other_url.map_or(String::new(), |url| format!(", such as {url}"));
                Failure::Lasting(format!(
                    "{} does not serve this region or address (HTTP {code}); set `exchange_url` (SIGNALLOOP_EXCHANGE_URL) to \
                     another host{other}, or `exchange` to another exchange",
                    self.name
                ))
            }
            (_, 300..=399) => Failure::Lasting(format!(
                "{} redirects elsewhere (HTTP {code}), which is not followed; set `exchange_url` (SIGNALLOOP_EXCHANGE_URL) \
                 to the host itself",
                self.name
            )),
            (None, _) => Failure::Refused(format!(
                "{} refused (HTTP {code}), but its answer is not that of the exchange; are `exchange` and `exchange_url` right?",
                self.name
            )),
            (Some(Complaint { code: own, message, meaning }), _) => {
                let text = format!("{} refused: {message} (HTTP {code}, code {own})", self.name);
                match meaning {
                    Meaning::UnknownSymbol => Failure::UnknownSymbol(text),
                    _ => Failure::Refused(text),
                }
            }
        }
    }

    /// Too many requests: none is sent for as long as the exchange asks, or for its usual time.
    fn too_often(&self, status: u16, asked: Option<Duration>, complaint: Option<&Complaint>) -> Failure {
        let how = match complaint {
            Some(Complaint { code, message, .. }) if status < 400 => format!("{code}: {message}"),
            _ => format!("HTTP {status}"),
        };
        let asks = asked.map_or(String::new(), |wait| format!(", and asks to wait {} s", wait.as_secs_f64().ceil()));
        let rest = Some(self.dialect.facts().rest).filter(|rest| !rest.is_zero());
        let wait = asked.or(rest);
        if let Some(wait) = wait {
            self.budget.close(Instant::now(), wait);
        }
        self.passing(format!("it limits how often it is asked ({how}){asks}"), wait)
    }

    fn passing(&self, problem: String, wait: Option<Duration>) -> Failure {
        Failure::Passing {
            problem: format!("the exchange at {} gave no usable answer: {problem}; try again later", self.name),
            wait,
        }
    }
}

fn not_json(body: &[u8]) -> String {
    let start: String = String::from_utf8_lossy(body).chars().take(60).collect();
    format!("its answer is not JSON, it begins {start:?}")
}

/// The host's clock, UTC epoch ms.
fn date(headers: &HeaderMap) -> Option<i64> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(date).ok().map(|date| date.timestamp_millis())
}
