//! One run of the loop over the past.

use super::decision::{Advice, Decision};
use super::faults::Faults;
use super::folder::Folder;
use super::given::{Bar, Given, Source};
use super::happened::{Ear, Happened, Listener};
use super::options::{OnFault, Options, Part};
use super::steps;
use candles::PastCandles;
use domain::cancel::Cancel;
use domain::error::{Error, Result};
use domain::signal::{Record, Said, Signal, Update};
use domain::symbol::Market;
use domain::time::{Clock, HOUR_MS};
use engine::store_location::FILES;
use engine::{Assessment, Replay, Risk, SignalLoop, SteppedScheduler, Without};
use feedback::StatsFilter;
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most signals of one market at one candle. More are a fault of the strategy.
const MOST_AT_ONCE: usize = 100;
/// How long a strategy may take for one candle by default.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Progress is reported at most this often.
const REPORT_AFTER: Duration = Duration::from_millis(200);

/// How far a replay is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The number of the run, from 0.
    pub run: usize,
    /// What the run leaves out; `None` for the first run.
    pub without: Option<Part>,
    /// The simulated time, UTC epoch ms; before the beginning while earlier signals are recorded.
    pub now_ms: i64,
    /// When the replay begins and ends, UTC epoch ms.
    pub span_ms: (i64, i64),
    /// Signals so far, also those from before the replay.
    pub signals: usize,
}

/// What all runs of a replay share.
pub(crate) struct Setting<'a> {
    pub options: &'a Options,
    pub candles: Arc<PastCandles>,
    /// The markets of the loop.
    pub markets: BTreeSet<Market>,
    /// When the first signal is recorded: before the replay begins, if it knows earlier signals.
    pub first_ms: i64,
    pub span_ms: (i64, i64),
    pub cancel: &'a Cancel,
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl Setting<'_> {
    /// Whether a signal was given before the replay begins.
    fn is_earlier(&self, signal: &Signal) -> bool {
        signal.timestamp_ms < self.span_ms.0
    }
}

/// What a run found.
pub(crate) struct Found {
    pub decisions: Vec<Decision>,
    pub happened: Happened,
    pub faults: Faults,
    /// The signals as they were given, also those from before the replay, for further runs.
    pub given: Vec<Given>,
}

/// A run under way.
pub(crate) struct Run<'a> {
    setting: &'a Setting<'a>,
    number: usize,
    without: Option<Part>,
    core: SignalLoop,
    clock: Clock,
    scheduler: SteppedScheduler,
    listener: Arc<Listener>,
    /// The markets whose candles close signals, and how many of their candles were used.
    closing: Vec<(Market, usize)>,
    /// Real ends to come: time, and place in `ends`.
    due: BinaryHeap<Reverse<(i64, usize)>>,
    ends: Vec<(Market, Update)>,
    given: Vec<Given>,
    advice: HashMap<String, Advice>,
    faults: Faults,
    /// Whether signals have closed since the loop settled.
    unsettled: bool,
    told: Instant,
}

impl<'a> Run<'a> {
    /// Opens the loop of a run in `folder`.
    ///
    /// # Errors
    /// As [`SignalLoop::open`]; [`Error::InvalidConfig`].
    pub fn open(setting: &'a Setting<'a>, number: usize, without: Option<Part>, folder: &Folder) -> Result<Self> {
        let left_out = |part| without == Some(part) || setting.options.without.contains(&part);
        let clock = Clock::standing(setting.first_ms);
        let replay = Replay {
            candles: setting.candles.clone(),
            without: Without { outcomes: left_out(Part::Outcomes), gate: left_out(Part::Gate) },
        };
        let core = SignalLoop::open(engine::Options {
            home: Some(folder.path().to_owned()),
            store: Some(FILES.to_owned()),
            threads: setting.options.threads,
            clock: clock.clone(),
            replay: Some(replay),
            own: setting.options.own.clone(),
            ..engine::Options::default()
        })?;
        core.settings().configure(setting.options.config.clone())?;
        core.settings().configure(own_settings(setting))?;
        if left_out(Part::Conservative) {
            let off = json!({ "poor_performance": { "conservative_margin": 0, "emergency_training": false } });
            core.settings().configure(object(off))?;
        }
        let scheduler = core.scheduler().stepped(scheduler_settings(setting.options, left_out(Part::Models)))?;
        let listener = Arc::new(Listener::default());
        core.events().subscribe(Box::new(Ear(listener.clone())));
        let closed = |market: Market| {
            let before = setting.candles.closed(&market, setting.first_ms).len();
            (market, before)
        };
        let closing = steps::finest(&setting.candles).into_iter().map(closed).collect();
        Ok(Self {
            setting,
            number,
            without,
            core,
            clock,
            scheduler,
            listener,
            closing,
            due: BinaryHeap::new(),
            ends: Vec::new(),
            given: Vec::new(),
            advice: HashMap::new(),
            faults: Faults::default(),
            unsettled: false,
            told: Instant::now(),
        })
    }

    /// Lets the past happen.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; a fault of the strategy, if the replay is to stop at it; the errors of the loop.
    pub async fn run(mut self, source: &mut Source) -> Result<Found> {
        let (from_ms, until_ms) = self.setting.span_ms;
        let mut waiting: VecDeque<Given> = match source {
            Source::Signals(given) => std::mem::take(given).into(),
            Source::Strategy(..) | Source::Own(..) => VecDeque::new(),
        };
        for now_ms in steps::times(&self.setting.candles, self.setting.first_ms, until_ms) {
            self.setting.cancel.check()?;
            self.tell(now_ms);
            self.before(now_ms, &mut waiting).await?;
            self.clock.set(now_ms);
            self.end_until(now_ms).await?;
            let closes_a_candle = self.close_by_candles(now_ms).await?;
            if now_ms >= from_ms && (now_ms.rem_euclid(HOUR_MS) == 0 || closes_a_candle) {
                self.settle().await?;
                self.scheduler.run_due().await;
                self.core.settle().await?;
            }
            while waiting.front().is_some_and(|given| given.signal.timestamp_ms <= now_ms) {
                self.give_next(&mut waiting).await?;
            }
            match source {
                Source::Signals(_) => {}
                Source::Strategy(..) => self.ask_strategy(source, now_ms).await?,
                Source::Own(markets, risk) => self.make_signals(markets, *risk, now_ms).await?,
            }
        }
        self.found().await
    }

    /// What happens between two steps: signals are given, and signals end as they really did.
    async fn before(&mut self, now_ms: i64, waiting: &mut VecDeque<Given>) -> Result<()> {
        loop {
            let given_ms = waiting.front().map_or(i64::MAX, |given| given.signal.timestamp_ms);
            let end_ms = self.due.peek().map_or(i64::MAX, |Reverse((end_ms, _))| *end_ms);
            if given_ms.min(end_ms) >= now_ms {
                return Ok(());
            }
            if end_ms <= given_ms {
                self.clock.set(end_ms);
                self.end_until(end_ms).await?;
            } else {
                self.clock.set(given_ms);
                self.give_next(waiting).await?;
            }
        }
    }

    /// Ends the signals that had really ended by `now_ms`. A signal that candles have ended stays as it is.
    async fn end_until(&mut self, now_ms: i64) -> Result<()> {
        while self.due.peek().is_some_and(|Reverse((end_ms, _))| *end_ms <= now_ms) {
            let Some(Reverse((_, place))) = self.due.pop() else { break };
            let (market, update) = self.ends[place].clone();
            match self.core.signals().close_by_hand(update).await {
                Ok(closed) => self.unsettled |= closed,
                // Candles have ended it otherwise.
                Err(Error::SignalConflict { .. }) => {}
                // What happened in the past cannot be asked again, so the replay goes on, and its levels decide.
                Err(error @ Error::InvalidArgument { .. }) => {
                    let problem = format!("the real end of a signal was not taken over: {error}");
                    self.faults.add(now_ms, &market, problem, OnFault::Continue)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Passes the candles that have just closed on to the signals. Returns whether a candle of one of the loop's markets
    /// has closed.
    async fn close_by_candles(&mut self, now_ms: i64) -> Result<bool> {
        let mut closed_any = false;
        for place in 0..self.closing.len() {
            let (market, used) = self.closing[place].clone();
            let closed = self.setting.candles.closed(&market, now_ms);
            self.closing[place].1 = closed.len();
            for candle in &closed[used..] {
                closed_any = true;
                let ended = self.core.signals().on_candle(market.symbol.clone(), *candle, market.timeframe).await?;
                self.unsettled |= !ended.is_empty();
            }
        }
        Ok(closed_any)
    }

    async fn give_next(&mut self, waiting: &mut VecDeque<Given>) -> Result<()> {
        match waiting.pop_front() {
            Some(given) => self.give(given).await,
            None => Ok(()),
        }
    }

    /// Asks what the loop says of a signal, and records it. A signal from before the replay is only recorded, as taken or not as it was.
    async fn give(&mut self, given: Given) -> Result<()> {
        let Given { mut signal, end } = given.clone();
        let mut said = None;
        if !self.setting.is_earlier(&signal) {
            self.settle().await?;
            if signal.direction.is_some() {
                said = Some(advice(self.core.outcomes().assess(signal.clone()).await?));
            }
            signal.taken = said.is_some_and(|advice| advice.said.take);
        }
        let (id, market, at_ms) = (signal.id.clone(), signal.market(), signal.timestamp_ms);
        match self.core.signals().record(vec![signal]).await {
            Ok(()) => {}
            Err(error @ (Error::InvalidSignal { .. } | Error::SignalConflict { .. })) => {
                return self.faults.add(at_ms, &market, error.to_string(), self.setting.options.on_fault);
            }
            Err(error) => return Err(error),
        }
        self.given.push(given);
        self.advice.extend(said.map(|advice| (id, advice)));
        if let Some(end) = end {
            self.due.push(Reverse((end.closed_ms.unwrap_or(at_ms), self.ends.len())));
            self.ends.push((market, end));
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<()> {
        if std::mem::take(&mut self.unsettled) {
            self.core.settle().await?;
        }
        Ok(())
    }

    /// Asks the strategy for its signals at the candles that have just closed.
    async fn ask_strategy(&mut self, source: &mut Source, now_ms: i64) -> Result<()> {
        let Source::Strategy(markets, strategy) = source else { return Ok(()) };
        let candles = self.setting.candles.clone();
        let bars: Vec<Bar<'_>> = markets
            .iter()
            .map(|market| Bar { market, closed: candles.closed(market, now_ms) })
            .filter(|bar| has_just_closed(bar, now_ms))
            .collect();
        if bars.is_empty() {
            return Ok(());
        }
        let limit = self.setting.options.time_limit.unwrap_or(TIME_LIMIT);
        for asked in self.setting.cancel.unless(strategy.signals(now_ms, &bars, limit)).await? {
            let Some(bar) = bars.get(asked.bar) else { continue };
            match checked(asked.signals, bar.market, now_ms) {
                Ok(signals) => {
                    for signal in signals {
                        self.give(Given { signal, end: None }).await?;
                    }
                }
                Err(problem) => self.faults.add(now_ms, bar.market, problem, self.setting.options.on_fault)?,
            }
        }
        Ok(())
    }

    /// The loop's own signals at the candles that have just closed.
    async fn make_signals(&mut self, markets: &[Market], risk: Risk, now_ms: i64) -> Result<()> {
        let candles = self.setting.candles.clone();
        for market in markets {
            if !has_just_closed(&Bar { market, closed: candles.closed(market, now_ms) }, now_ms) {
                continue;
            }
            let generated = match self.core.models().generate(market, risk).await {
                Ok(generated) => generated,
                // There is no model yet, or there are too few candles for a prediction.
                Err(Error::NoModel { .. } | Error::NoData(_)) => continue,
                Err(error) => return Err(error),
            };
            if generated.prediction.decision.is_ok() {
                let id = format!("{}-{now_ms}", market.file_stem());
                self.give(Given { signal: Signal { id, ..generated.to_signal() }, end: None }).await?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, now_ms: i64) {
        if self.told.elapsed() >= REPORT_AFTER {
            self.told = Instant::now();
            (self.setting.progress)(Progress {
                run: self.number,
                without: self.without,
                now_ms,
                span_ms: self.setting.span_ms,
                signals: self.given.len(),
            });
        }
    }

    /// Reads how all signals stand, and closes the loop.
    async fn found(self) -> Result<Found> {
        let Self { setting, core, given, mut advice, faults, listener, .. } = self;
        core.settle().await?;
        let mut records: HashMap<String, Record> = HashMap::with_capacity(given.len());
        let store = core.store().open()?;
        store.closed_records(&StatsFilter::default(), |record| {
            records.insert(record.signal.id.clone(), record);
            Ok(())
        })?;
        for signal in store.open_signals(None)? {
            if let Some(record) = store.get(&signal.id)? {
                records.insert(signal.id, record);
            }
        }
        let decide = |given: &Given| {
            let id = &given.signal.id;
            let record = records.remove(id).ok_or_else(|| Error::Internal(format!("the replay lost signal {id}")))?;
            let prior = record.said.map(|said| (said.prior, said.departures));
            let advice = advice.remove(id).map(|advice| match prior {
                Some((prior, departures)) => Advice { said: Said { prior, departures, ..advice.said }, ..advice },
                None => advice,
            });
            Ok(Decision { record, advice })
        };
        let counted = given.iter().filter(|given| !setting.is_earlier(&given.signal));
        let decisions = counted.map(decide).collect::<Result<Vec<Decision>>>()?;
        let happened = listener.happened();
        core.close().await;
        Ok(Found { decisions, happened, faults, given })
    }
}

fn has_just_closed(bar: &Bar<'_>, now_ms: i64) -> bool {
    bar.closed.last().is_some_and(|last| last.open_ms + bar.market.timeframe.millis() == now_ms)
}

/// The signals of a strategy, or what is wrong with them.
fn checked(
    asked: std::result::Result<Vec<Signal>, String>,
    market: &Market,
    now_ms: i64,
) -> std::result::Result<Vec<Signal>, String> {
    let mut signals = asked?;
    if signals.len() > MOST_AT_ONCE {
        return Err(format!("{} signals at one candle; at most {MOST_AT_ONCE} are taken", signals.len()));
    }
    for signal in &signals {
        if signal.timestamp_ms != now_ms {
            let at = domain::time::format_iso(signal.timestamp_ms);
            return Err(format!(
                "signal {} has the timestamp {at}; leave it out, a signal is given when its candle closes",
                signal.id
            ));
        }
        if signal.market() != *market {
            return Err(format!("signal {} is of {}; leave symbol and timeframe out", signal.id, signal.market()));
        }
    }
    signals.retain(|signal| signal.direction.is_some());
    Ok(signals)
}

fn advice(assessment: Assessment) -> Advice {
    let Assessment { success_probability, probability_interval, base_rate, prior, .. } = assessment;
    let said = Said {
        probability: success_probability,
        interval: probability_interval,
        base_rate,
        prior: prior.unwrap_or(base_rate),
        shaped: prior.is_some(),
        expected_r: assessment.expected_r,
        expected_r_interval: assessment.expected_r_interval,
        departures: Default::default(),
        contributions: None,
        take: assessment.take,
        outcomes: assessment.closed as u64,
    };
    let (threshold, suggested_risk, served) = (assessment.threshold, assessment.suggested_risk, assessment.served);
    Advice { said: said.rounded(), threshold, suggested_risk, served }
}

/// Settings that a replay always has: its markets, and a store that need not survive a loss of power.
fn own_settings(setting: &Setting<'_>) -> Map<String, Value> {
    let symbols: BTreeSet<_> = setting.markets.iter().map(|market| &market.symbol).collect();
    let timeframes: BTreeSet<_> = setting.markets.iter().map(|market| market.timeframe).collect();
    object(json!({ "symbols": symbols, "timeframes": timeframes, "durability": "os" }))
}

/// The settings of the scheduler. Candles close signals and need not be fetched, so these tasks are off.
fn scheduler_settings(options: &Options, without_models: bool) -> Map<String, Value> {
    let mut settings = options.scheduler.clone();
    settings.insert("enabled".to_owned(), json!(true));
    let off = json!({ "enabled": false });
    settings.insert("watch".to_owned(), off.clone());
    settings.insert("fetch".to_owned(), off.clone());
    if without_models {
        settings.insert("retrain".to_owned(), off.clone());
        settings.insert("update".to_owned(), off);
    }
    settings
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
