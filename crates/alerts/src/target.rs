//! A destination with its secrets, and one attempt to send to it.

use super::config::{Channel, Destination};
use super::message::{self, Format};
use domain::error::{Error, Result};
use exchange::{Posted, Poster};
use ring::hmac;
use serde_json::{Value, json};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// The longest wait that a host may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Most characters of a host's words that are told.
const WORDS: usize = 200;

/// A part of an address that is shorter is a word, such as `api`.
const SHORTEST_PART: usize = 8;

/// Why an attempt failed, in words without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It may work later; the host may have said when.
    Passing(String, Option<Duration>),
    /// Trying again would not help.
    Lasting(String),
}

impl Failure {
    /// What happened.
    pub fn message(&self) -> &str {
        match self {
            Self::Passing(problem, _) | Self::Lasting(problem) => problem,
        }
    }
}

/// A destination that can be sent to.
pub struct Target {
    poster: Poster,
    format: Format,
    /// Of a webhook.
    key: Option<hmac::Key>,
    /// Taken out of every text that is told.
    secrets: Vec<String>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.poster.host())
    }
}

impl Target {
    /// Fetches the secrets of a destination. `invalid` makes an error of a key, where its value comes from, and what is allowed.
    pub(crate) fn resolve(
        destination: &Destination,
        home: &Path,
        invalid: &dyn Fn(&str, &str, &str) -> Error,
    ) -> Result<Self> {
        let get = |key: &str, secret: &super::Secret| {
            secret.resolve(home).map_err(|problem| invalid(key, &secret.origin(), &problem))
        };
        const ADDRESS: &str = "must be an http(s) address";
        let (address, origin, format, mut secrets, secret) = match &destination.channel {
            Channel::Webhook { url, secret } => {
                let secret = secret.as_ref().map(|secret| get("secret", secret)).transpose()?;
                (get("url", url)?, url.origin(), Format::Webhook, Vec::new(), secret)
            }
            Channel::Telegram { token, chat_id, url } => {
                let token = get("token", token)?;
                let address = format!("{url}/bot{token}/sendMessage");
                (address, url.clone(), Format::Telegram { chat_id: chat_id.clone() }, vec![token], None)
            }
            Channel::Discord { url } => (get("url", url)?, url.origin(), Format::Discord, Vec::new(), None),
            Channel::Slack { url } => (get("url", url)?, url.origin(), Format::Slack, Vec::new(), None),
        };
        let poster = Poster::new(&address).ok_or_else(|| invalid("url", &origin, ADDRESS))?;
        // Also each part of the address: a server may tell one alone.
        let path = address.strip_prefix(&poster.host()).unwrap_or(&address);
        secrets.extend(path.split(['/', '?', '&', '=']).filter(|part| part.len() >= SHORTEST_PART).map(str::to_owned));
        secrets.push(address);
        let key = secret.as_ref().map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
        secrets.extend(secret);
        // One may contain another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Ok(Self { poster, format, key, secrets })
    }

    /// How messages to it are written.
    pub(crate) fn format(&self) -> &Format {
        &self.format
    }

    /// A text without secrets.
    fn without_secrets(&self, text: &str) -> String {
        let hidden = self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"));
        hidden.chars().take(WORDS).collect()
    }

    /// Sends a message of words, in one attempt.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn say(&self, text: &str, patience: Duration) -> std::result::Result<(), Failure> {
        self.post(self.format.body(text), &[], patience).await
    }

    /// Sends an event to a webhook, in one attempt. `id` is the same in each of them; `now_ms`, UTC epoch ms, is signed with it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn tell(
        &self,
        event: &Value,
        id: &str,
        now_ms: i64,
        patience: Duration,
    ) -> std::result::Result<(), Failure> {
        let body = event.to_string();
        let mut headers = vec![("idempotency-key", id.to_owned())];
        if let Some(key) = &self.key {
            headers.push(("x-signalloop-signature", signature(key, now_ms / 1000, &body)));
        }
        self.post(body, &headers, patience).await
    }

    /// Sends what shows that it works, in one attempt.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn test(&self, now_ms: i64, patience: Duration) -> std::result::Result<(), Failure> {
        const TEXT: &str = "A test of signalloop: alerts arrive here.";
        match self.format {
            Format::Webhook => {
                let event = json!({ "type": "test", "message": TEXT, "at": domain::time::format_iso(now_ms) });
                self.tell(&event, &format!("test-{now_ms}"), now_ms, patience).await
            }
            _ => self.say(TEXT, patience).await,
        }
    }

    async fn post(
        &self,
        body: String,
        headers: &[(&str, String)],
        patience: Duration,
    ) -> std::result::Result<(), Failure> {
        match self.poster.post(body, headers, patience).await {
            Err(problem) => {
                let problem = self.without_secrets(&problem.0);
                Err(Failure::Passing(format!("{}: {problem}", self.poster.host()), None))
            }
            Ok(posted) => self.judge(&posted),
        }
    }

    /// Whether an answer says that the message was taken.
    fn judge(&self, posted: &Posted) -> std::result::Result<(), Failure> {
        let said: Value = serde_json::from_slice(&posted.body).unwrap_or_default();
        let host = self.poster.host();
        // Telegram's own word; a page of a proxy has none.
        let taken = !matches!(self.format, Format::Telegram { .. }) || said["ok"] == true;
        match posted.status {
            200..=299 if taken => Ok(()),
            200..=299 => Err(Failure::Passing(format!("{host} did not answer as Telegram does"), None)),
            status => {
                let words = message::words_of_refusal(&said, &posted.body);
                let words = self.without_secrets(&words);
                let words = if words.is_empty() { words } else { format!(": {words}") };
                let problem = format!("{host} answered HTTP {status}{words}");
                Err(match status {
                    408 | 425 | 429 | 500.. => Failure::Passing(problem, wait_of(posted, &said)),
                    _ => Failure::Lasting(problem),
                })
            }
        }
    }
}

/// How long a host asks to wait: `Retry-After`, Telegram's `parameters.retry_after`, Discord's `retry_after`; in seconds.
fn wait_of(posted: &Posted, said: &Value) -> Option<Duration> {
    let in_body = said["parameters"]["retry_after"].as_f64().or_else(|| said["retry_after"].as_f64());
    let in_body = in_body.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    in_body.max(posted.retry_after).map(|wait| wait.min(LONGEST_WAIT))
}

/// The signature of a webhook's body: `t=SECONDS,v1=HEX`, the HMAC-SHA256 of `SECONDS.BODY`. `at_s` is a UTC epoch time.
pub fn signature(key: &hmac::Key, at_s: i64, body: &str) -> String {
    let tag = hmac::sign(key, format!("{at_s}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at_s},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `printf '5.{}' | openssl dgst -sha256 -hmac key`.
    #[test]
    fn the_signature_is_that_of_openssl() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        assert_eq!(signature(&key, 5, "{}"), "t=5,v1=9be615aec64f0d044b5ad6854ab1d893ec88617fb728d2149dcd3a3428e8c45d");
    }

    #[test]
    fn a_wait_is_read_from_where_each_host_writes_it() {
        let wait = |retry_after: Option<u64>, body: Value| {
            let retry_after = retry_after.map(Duration::from_secs);
            wait_of(&Posted { status: 429, retry_after, body: Vec::new() }, &body).map(|wait| wait.as_secs_f64())
        };
        assert_eq!(wait(None, json!({ "parameters": { "retry_after": 7 } })), Some(7.0));
        assert_eq!(wait(Some(1), json!({ "retry_after": 1.5 })), Some(1.5));
        assert_eq!(wait(Some(9), json!("ratelimited")), Some(9.0));
        assert_eq!(wait(Some(1_000_000), json!({})), Some(3600.0));
        assert_eq!(wait(None, json!({ "retry_after": -1 })), None);
    }
}
