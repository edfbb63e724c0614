//! The reports that the live view shows: one for each filter, shared by all who look, and made again in the background.
//!
//! A viewer gets what is there. A report that is made again does not keep anybody waiting who can see the one before, and the figures,
//! which are in memory, do not wait for the parts that are read from files.

use super::data::Report;
use super::filter::Filter;
use super::gather::{Gatherer, Stage};
use super::page::to_json;
use super::revision::Revision;
use domain::error::{Error, Result};
use engine::SignalLoop;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A report is made again only after this many times the time it took to make, however much changes: the live view must
/// not slow down the loop.
pub(super) const PACE: u32 = 10;
/// How long a viewer waits for a whole report while there is none, or where the one before was made faster than that.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a page waits. After that it is served with what there is, and asks for the rest itself.
const PAGE_PATIENCE: Duration = Duration::from_millis(250);
/// Reports kept.
const MAX_VIEWS: usize = 16;

/// A finished report.
#[derive(Clone)]
pub(super) struct View {
    pub json: Arc<str>,
    pub tag: String,
    pub made: Instant,
    /// How long making all of it took, or took last.
    pub cost: Duration,
    /// Of what it was made.
    revision: Revision,
    /// Whether it has all parts, and all could be made.
    is_whole: bool,
    is_sound: bool,
}

/// What the making of a report has come to, last.
type Making = watch::Receiver<Option<Result<View>>>;

/// The reports of a loop.
pub(super) struct Views {
    core: Arc<SignalLoop>,
    gatherer: Arc<Gatherer>,
    kept: Arc<Mutex<Vec<Kept>>>,
}

struct Kept {
    filter: Filter,
    view: Option<View>,
    making: Option<Making>,
}

impl Views {
    /// Nothing is read yet.
    pub fn new(core: Arc<SignalLoop>) -> Self {
        Self { core, gatherer: Arc::default(), kept: Arc::default() }
    }

    pub fn core(&self) -> &Arc<SignalLoop> {
        &self.core
    }

    /// The current report, or one that is as good as can be had at once.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn view(&self, filter: &Filter) -> Result<View> {
        let revision = Revision::of(&self.core);
        let (before, making) = {
            let mut kept = self.kept.lock();
            let kept = find(&mut kept, filter);
            let view = kept.view.clone();
            if let Some(view) = view.as_ref().filter(|view| kept.making.is_none() && view.serves(&revision)) {
                return Ok(view.clone());
            }
            // Its task ended without a result, which only a panic can do.
            kept.making.take_if(|making| making.has_changed().is_err());
            let making = kept.making.get_or_insert_with(|| self.make(filter, revision)).clone();
            (view, making)
        };
        match before {
            // It takes long, and there is something to look at.
            Some(view) if view.cost > PATIENCE => Ok(view),
            _ => patiently(making).await,
        }
    }

    /// A report for a page, which can ask again: without the parts that take long.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn for_page(&self, filter: &Filter) -> Result<View> {
        match tokio::time::timeout(PAGE_PATIENCE, self.view(filter)).await {
            Ok(view) => view,
            Err(_) => {
                let report = self.gatherer.so_far(&self.core, filter);
                View::of(&report, &Revision::default(), false, Duration::ZERO)
            }
        }
    }

    /// Makes a report in the background: first with the figures, then all of it.
    fn make(&self, filter: &Filter, revision: Revision) -> Making {
        let (told, making) = watch::channel(None);
        let (core, gatherer, kept) = (self.core.clone(), self.gatherer.clone(), self.kept.clone());
        let filter = filter.clone();
        tokio::spawn(async move {
            let began = Instant::now();
            let usual = find(&mut kept.lock(), &filter).view.as_ref().map_or(Duration::ZERO, |view| view.cost);
            for stage in Stage::ALL {
                let is_whole = stage == Stage::Learned;
                let report = gatherer.make(&core, &filter, &revision, stage).await;
                let cost = if is_whole { began.elapsed() } else { usual.max(began.elapsed()) };
                let view = report.and_then(|report| View::of(&report, &revision, is_whole, cost));
                let failed = view.is_err();
                {
                    let mut kept = kept.lock();
                    let kept = find(&mut kept, &filter);
                    if let Ok(view) = &view {
                        kept.view = Some(view.clone());
                    }
                    if is_whole || failed {
                        kept.making = None;
                    }
                }
                told.send_replace(Some(view));
                if failed {
                    break;
                }
            }
        });
        making
    }
}

/// The whole report, or after [`PATIENCE`] the figures as soon as they are there.
async fn patiently(mut making: Making) -> Result<View> {
    let whole = tokio::time::timeout(PATIENCE, reached(&mut making, true)).await;
    match whole {
        Ok(view) => view,
        Err(_) => reached(&mut making, false).await,
    }
}

/// What the making has come to once it has the whole report, or any, or failed.
async fn reached(making: &mut Making, is_whole: bool) -> Result<View> {
    let is_enough = |made: &Option<Result<View>>| match made {
        Some(Ok(view)) => view.is_whole || !is_whole,
        Some(Err(_)) => true,
        None => false,
    };
    let made = making.wait_for(is_enough).await.ok().and_then(|made| made.clone());
    made.unwrap_or_else(|| Err(Error::Internal("the report was given up".to_owned())))
}

/// The report of a filter, which was asked for last.
fn find<'a>(all: &'a mut Vec<Kept>, filter: &Filter) -> &'a mut Kept {
    let known = all.iter().position(|kept| kept.filter == *filter);
    let kept = match known {
        Some(at) => all.remove(at),
        None => Kept { filter: filter.clone(), view: None, making: None },
    };
    if all.len() >= MAX_VIEWS {
        // Not the one of all signals, which most people look at.
        let oldest = all.iter().position(|kept| !kept.filter.is_all()).unwrap_or_default();
        all.remove(oldest);
    }
    all.push(kept);
    let at = all.len() - 1;
    &mut all[at]
}

impl View {
    fn of(report: &Report, revision: &Revision, is_whole: bool, cost: Duration) -> Result<Self> {
        let part = if is_whole { String::new() } else { format!("-{}", report.making.len()) };
        Ok(Self {
            json: to_json(report)?.into(),
            tag: format!("{}-{:x}{part}", revision.tag(), report.generated_ms),
            made: Instant::now(),
            cost,
            revision: revision.clone(),
            is_whole,
            is_sound: report.problems.is_empty(),
        })
    }

    /// Whether it need not be made again yet. A part that failed is tried again, whether anything changed or not.
    fn serves(&self, revision: &Revision) -> bool {
        let is_current = self.is_sound && self.revision == *revision;
        self.is_whole && (is_current || self.made.elapsed() < PACE * self.cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_of_all_signals_outlives_the_choices_of_many() {
        let mut all = Vec::new();
        let named = |n: usize| Filter { strategy: Some(format!("s{n}")), ..Filter::default() };
        find(&mut all, &Filter::default());
        (0..2 * MAX_VIEWS).for_each(|n| drop(find(&mut all, &named(n)).filter.clone()));
        assert_eq!(all.len(), MAX_VIEWS);
        assert!(all.iter().any(|kept| kept.filter.is_all()));
        assert_eq!(all.last().unwrap().filter, named(2 * MAX_VIEWS - 1));
    }

    #[tokio::test]
    async fn what_is_being_made_is_named_and_then_there() {
        let home = tempfile::tempdir().unwrap();
        let options = engine::Options { home: Some(home.path().to_owned()), ..engine::Options::default() };
        let core = Arc::new(SignalLoop::open(options).unwrap());
        let views = Views::new(core.clone());
        let all = Filter::default();
        let nothing: serde_json::Value = serde_json::to_value(views.gatherer.so_far(&core, &all)).unwrap();
        let parts = ["models", "candles", "scheduler", "replays", "learned", "signals", "scorecard", "advice"];
        assert_eq!((&nothing["making"], &nothing["signals"]), (&serde_json::json!(parts), &serde_json::Value::Null));
        let first = views.gatherer.make(&core, &all, &Revision::of(&core), Stage::Figures).await.unwrap();
        assert!(!first.making.contains(&crate::revision::Part::Signals) && first.making.len() == parts.len() - 1);
        let view = views.view(&all).await.unwrap();
        assert!(view.is_whole && view.json.contains("\"making\":[]"), "{}", view.json);
        assert_eq!(views.view(&all).await.unwrap().tag, view.tag, "nothing changed");
        let other = Filter::of_query("symbol=BTCUSDT").unwrap();
        assert!(views.view(&other).await.unwrap().json.contains("\"filter\":{\"symbol\":\"BTCUSDT\"}"));
    }
}
