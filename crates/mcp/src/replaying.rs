//! The tool `replay`: bounded, with progress, and it can be cancelled.

use super::Server;
use super::answer::Answer;
use super::arguments::Arguments;
use super::words;
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use domain::signal::Record;
use domain::symbol::{Symbol, Timeframe};
use domain::time::format_iso;
use replay::{Given, Options, Part, Progress, Request, Wanted, study};
use rmcp::RoleServer;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::watch;

/// Signals that one call may bring.
pub const MOST_SIGNALS: usize = 5000;
/// Seconds that a replay may take unless told.
const SECONDS: f64 = 300.0;
/// Seconds that it may be given.
const MOST_SECONDS: f64 = 3600.0;
/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// Stops the work of a call that is dropped.
struct Stop(Cancel);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

pub async fn replay(server: Server, mut arguments: Arguments, context: RequestContext<RoleServer>) -> Result<Answer> {
    let allowed = "must be a number of seconds above 0, at most 3600";
    let seconds = |value: &Value| value.as_f64().filter(|seconds| *seconds > 0.0 && *seconds <= MOST_SECONDS);
    let seconds = arguments.option("maxSeconds", allowed, seconds)?.unwrap_or(SECONDS);
    let request = request(&server, &mut arguments)?;
    arguments.end()?;
    let busy = || Error::TaskBusy("this server runs one replay at a time; wait for it, or cancel it".to_owned());
    let _one = server.0.replaying.try_acquire().map_err(|_| busy())?;
    let cancel = Cancel::default().within(&server.0.ending);
    let _stop = Stop(cancel.clone());
    let (told, news) = watch::channel(None);
    let studied = study(server.core(), request, cancel.clone(), move |progress: Progress| {
        told.send_replace(Some(progress));
    });
    let too_long = || {
        Error::Cancelled(format!(
            "the replay took longer than {seconds} seconds; give `maxSeconds`, a later `from`, or fewer signals"
        ))
    };
    let study = tokio::select! {
        studied = server.0.ending.unless(studied) => studied?,
        () = context.ct.cancelled() => return Err(Error::Cancelled("the client cancelled the replay".to_owned())),
        () = tokio::time::sleep(Duration::from_secs_f64(seconds)) => return Err(too_long()),
        // It never ends by itself.
        () = tell(news, &context) => return Err(Error::Internal("progress ended".to_owned())),
    };
    Ok(Answer::new(words::replay(&study), json!(study)))
}

/// Passes progress on, if the client asked for it.
async fn tell(mut news: watch::Receiver<Option<Progress>>, context: &RequestContext<RoleServer>) {
    if let Some(token) = context.meta.get_progress_token() {
        let mut last = -1.0;
        while news.changed().await.is_ok() {
            let Some(progress) = news.borrow_and_update().clone() else { continue };
            let (from_ms, until_ms) = progress.span_ms;
            let part = (progress.now_ms - from_ms) as f64 / (until_ms - from_ms).max(1) as f64;
            // Progress must grow from one notification to the next.
            if part > last {
                last = part;
                let mut told = ProgressNotificationParam::new(token.clone(), part);
                told.total = Some(1.0);
                told.message = Some(format!("{}, {} signals", &format_iso(progress.now_ms)[..10], progress.signals));
                // A client that has gone cannot be told; the replay is cancelled with its connection.
                if context.peer.notify_progress(told).await.is_err() {
                    break;
                }
            }
            tokio::time::sleep(TOLD_EVERY).await;
        }
    }
    std::future::pending().await
}

fn request(server: &Server, arguments: &mut Arguments) -> Result<Request> {
    let zone = server.core().settings().config().timezone;
    let signals = arguments.option("signals", "must be an array of signals", |value| value.as_array().cloned())?;
    let wanted = match signals {
        None => Wanted::Home,
        Some(signals) if signals.is_empty() || signals.len() > MOST_SIGNALS => {
            let allowed = format!("must be an array of 1 to {MOST_SIGNALS} signals");
            return Err(Error::argument("signals", allowed, format!("{} signals", signals.len())));
        }
        Some(signals) => {
            let given = |signal: Value| Ok(Given::of(Record::given(signal, zone)?));
            Wanted::Given(signals.into_iter().map(given).collect::<Result<_>>()?)
        }
    };
    let (symbols, timeframes) =
        (arguments.list("symbols", Symbol::given)?, arguments.list("timeframes", Timeframe::parse)?);
    let options = Options {
        from_ms: arguments.time("from")?,
        until_ms: arguments.time("until")?,
        without: arguments.list("without", Part::named)?.unwrap_or_default(),
        ..Options::default()
    };
    // No argument is a path: an agent reads the home's candles, and writes no file.
    Ok(Request { wanted, symbols, timeframes, candles: None, fetch: false, csv: None, options })
}
