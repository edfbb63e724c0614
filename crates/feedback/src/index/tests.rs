//! The index against a plain scan of all open signals, and extremes against a plain list.

use super::*;
use domain::barrier::{EntryKind, StopRules, StopStep, Target, Terms, Trail, TrailBy, What, Zone, counts_whole_until};
use domain::time::DAY_MS;
use proptest::prelude::*;
use std::collections::BTreeMap;

const T0: i64 = 1_700_000_000_000;
/// A step of the times in these tests: three make a minute.
const STEP: i64 = 20_000;

#[derive(Debug, Clone)]
enum Step {
    Add(Levels, Option<Terms>),
    Tick(f64, When),
    Candle(Candle, i64),
    /// The n-th hit so far is stored.
    Store(usize),
    /// Storing the n-th hit so far failed.
    PutBack(usize),
    /// Another process did something to a signal.
    Other(Slot, What),
    Remove(Slot),
    /// The state is read anew from the log.
    Replace,
}

fn level(entry: f64, direction: Direction, distance: Option<u32>) -> Option<f64> {
    distance.map(|distance| entry + direction.sign() * f64::from(distance))
}

fn levels() -> impl Strategy<Value = Levels> {
    let distance = || proptest::option::of(1u32..15);
    (any::<bool>(), 95u32..105, distance(), distance(), 0i64..40, proptest::option::of(1i64..40)).prop_map(
        |(buy, entry, stop, target, since, life)| {
            let (direction, entry) = (if buy { Direction::Buy } else { Direction::Sell }, f64::from(entry));
            Levels {
                direction,
                entry,
                stop_loss: stop.map(|distance| entry - direction.sign() * f64::from(distance)),
                take_profit: level(entry, direction, target),
                since_ms: T0 + since * STEP,
                expires_ms: life.map(|life| T0 + (since + life) * STEP),
            }
        },
    )
}

fn rules(direction: Direction, entry: f64) -> impl Strategy<Value = StopRules> {
    let by = prop_oneof![
        (1u32..6).prop_map(|percent| TrailBy::Percent(f64::from(percent))),
        (1u32..12).prop_map(|distance| TrailBy::Distance(f64::from(distance) / 2.0)),
        Just(TrailBy::Distance(200.0)),
    ];
    let activate = proptest::option::of((0u32..4).prop_map(|r| f64::from(r) / 2.0));
    let trail = (by, activate).prop_map(|(by, activate_at_r)| Trail { by, activate_at_r });
    let step = (1usize..3, 0u32..4).prop_map(move |(after_target, distance)| StopStep {
        after_target,
        price: entry + direction.sign() * f64::from(distance),
    });
    let even = proptest::option::of(1usize..3);
    (even, proptest::option::weighted(0.7, trail), proptest::collection::vec(step, 0..2)).prop_map(
        |(break_even_after_target, trail, move_to)| StopRules {
            break_even_after_target,
            break_even_costs_percent: 0.1,
            trail,
            move_to,
        },
    )
}

/// Levels, and terms of all kinds.
fn signals() -> impl Strategy<Value = (Levels, Option<Terms>)> {
    levels().prop_flat_map(|levels| {
        let Levels { direction, entry, since_ms, expires_ms, .. } = levels;
        let kind = prop_oneof![2 => Just(EntryKind::Market), 2 => Just(EntryKind::Limit), 1 => Just(EntryKind::Stop)];
        let zone = proptest::option::weighted(0.2, (0u32..3, 1u32..3)).prop_map(move |zone| {
            zone.map(|(below, above)| Zone { low: entry - f64::from(below), high: entry + f64::from(above) })
        });
        let targets = proptest::collection::btree_set(3u32..16, 0..4).prop_map(move |distances| {
            let share = 90.0 / distances.len().max(1) as f64;
            let price = |distance| entry + direction.sign() * f64::from(distance);
            distances.into_iter().map(|distance| Target { price: price(distance), share }).collect()
        });
        let expires = proptest::option::of((1i64..30).prop_map(move |life| since_ms + life * STEP));
        let terms = (kind, zone, targets, expires, rules(direction, entry)).prop_map(
            move |(entry, zone, targets, expires, rules)| {
                let entry = if zone.is_some() { EntryKind::Limit } else { entry };
                let entry_expires_at = expires.filter(|at| expires_ms.is_none_or(|end| *at <= end));
                Terms { entry, zone, entry_expires_at, targets, rules }
            },
        );
        (Just(levels), proptest::option::weighted(0.7, terms))
    })
}

fn changes() -> impl Strategy<Value = What> {
    let price = || (90u32..111).prop_map(f64::from);
    let amended =
        |stop_loss, take_profits, expires_at| What::Amended { stop_loss, take_profits, expires_at, reason: None };
    prop_oneof![
        price().prop_map(move |stop| amended(Some(stop), None, None)),
        price().prop_map(move |price| amended(None, Some(vec![Target { price, share: 50.0 }]), None)),
        (0i64..80).prop_map(move |at| amended(None, None, Some(T0 + at * STEP))),
        price().prop_map(|price| What::Reduced { price, share: 10.0 }),
    ]
}

fn candles() -> impl Strategy<Value = (Candle, i64)> {
    let price = || (85u32..116).prop_map(f64::from);
    (price(), price(), price(), price(), 0i64..80, 1i64..20).prop_map(|(a, b, c, d, open, length)| {
        let (low, high) = (a.min(b).min(c).min(d), a.max(b).max(c).max(d));
        let candle = Candle { open_ms: T0 + open * STEP, open: a, high, low, close: b, volume: 1.0 };
        (candle, length * STEP)
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let price =
        || prop_oneof![3 => (85u32..116).prop_map(f64::from), 2 => (190u32..212).prop_map(|p| f64::from(p) / 2.0)];
    let step = prop_oneof![
        5 => signals().prop_map(|(levels, terms)| Step::Add(levels, terms)),
        6 => (price(), 0i64..80).prop_map(|(price, at)| Step::Tick(price, When::At(T0 + at * STEP))),
        3 => (price(), 0i64..80).prop_map(|(price, at)| Step::Tick(price, When::Now(T0 + at * STEP))),
        3 => candles().prop_map(|(candle, length)| Step::Candle(candle, length)),
        2 => (0usize..20).prop_map(Step::Store),
        1 => (0usize..20).prop_map(Step::PutBack),
        1 => (0u32..30, changes()).prop_map(|(slot, what)| Step::Other(slot, what)),
        1 => (0u32..30).prop_map(Step::Remove),
        1 => Just(Step::Replace),
    ];
    let rising = (0u32..40).prop_map(|start| {
        (0..12)
            .map(move |n| Step::Tick(95.0 + f64::from(n) / 2.0, When::At(T0 + i64::from(start + 4 * n) * STEP)))
            .collect::<Vec<_>>()
    });
    let some = proptest::collection::vec(step, 1..50);
    let parts = proptest::collection::vec(prop_oneof![3 => some, 1 => rising], 1..4);
    parts.prop_map(|parts| parts.concat())
}

/// An open signal as the plain scan knows it.
#[derive(Clone)]
struct Scanned {
    levels: Levels,
    trade: Option<Trade>,
    log: Option<Trade>,
    /// Its closing is on the way to the log.
    is_hidden: bool,
    /// The number of prices that did something to it that is on the way to the log.
    on_their_way: u32,
    /// The prices that it was asked about while it was open.
    reach: Option<Reach>,
}

/// The same by looking at every open signal.
#[derive(Default)]
struct Scan {
    open: BTreeMap<Slot, Scanned>,
    said: Option<i64>,
    newest: Option<i64>,
    newest_candle: Option<i64>,
    told: Option<i64>,
    ignored: u64,
}

/// A hit, without the excursion.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Plain {
    Closes(Exit),
    Touches,
    Trails(i64),
}

/// A signal as the log has it, with what was seen of prices.
fn after(log: &Trade, known: Option<&Trade>) -> Trade {
    let mut trade = log.clone();
    known.into_iter().for_each(|known| trade.inherit(known.sight()));
    trade
}

impl Scan {
    fn hits(&mut self, cause: &Cause) -> Vec<(Slot, Plain)> {
        let mut hits = Vec::new();
        for (slot, scanned) in self.open.iter_mut().filter(|(_, scanned)| !scanned.is_hidden) {
            match &mut scanned.trade {
                None => {
                    let exit = cause.exit(&scanned.levels);
                    scanned.is_hidden = exit.is_some();
                    hits.extend(exit.map(|exit| (*slot, Plain::Closes(exit))));
                }
                Some(trade) => {
                    // Its entry may not have been stored.
                    scanned.reach = scanned.reach.filter(|_| trade.entered_ms().is_some());
                    let mut events = Vec::new();
                    cause.follow(trade, &mut events);
                    scanned.is_hidden = trade.ended().is_some();
                    if !events.is_empty() {
                        scanned.on_their_way += 1;
                        hits.push((*slot, Plain::Touches));
                    }
                }
            }
            let entered_ms = scanned.trade.as_ref().map_or(Some(scanned.levels.since_ms), Trade::entered_ms);
            let since_ms = entered_ms.unwrap_or(i64::MAX);
            let counts = match cause {
                Cause::Price { time_ms, .. } => *time_ms >= since_ms,
                // What came before the exit in its candle is not known.
                Cause::Candle { candle, .. } => candle.open_ms >= since_ms && !scanned.is_hidden,
            };
            if counts {
                let reach = cause.reach();
                scanned.reach = Some(scanned.reach.map_or(reach, |before| before.and(reach)));
            }
        }
        self.tell(cause.time_ms(), &mut hits);
        hits
    }

    fn tell(&mut self, time_ms: i64, hits: &mut Vec<(Slot, Plain)>) {
        if self.told.is_some_and(|told| time_ms < told + 60_000) {
            return;
        }
        for (slot, scanned) in self.open.iter_mut().filter(|(_, scanned)| !scanned.is_hidden) {
            let Some(trade) = scanned.trade.as_mut().filter(|trade| trade.levels().since_ms <= time_ms) else {
                continue;
            };
            if trade.tell_of_trail(time_ms, LEAST_TRAIL_R).is_some() {
                self.told = Some(time_ms);
                scanned.on_their_way += 1;
                hits.push((*slot, Plain::Trails(time_ms)));
            }
        }
    }

    fn tick(&mut self, price: f64, when: When) -> Vec<(Slot, Plain)> {
        let (time_ms, is_now) = match when {
            When::Now(at) => (self.newest.map_or(at, |newest| newest.max(at)), true),
            When::At(at) => (at, false),
        };
        if !is_now && self.said.is_some_and(|said| time_ms < said) {
            self.ignored += 1;
            return Vec::new();
        }
        self.newest = self.newest.max(Some(time_ms));
        if !is_now {
            self.said = Some(time_ms);
        }
        self.hits(&Cause::Price { price, time_ms, is_now })
    }

    fn candle(&mut self, candle: &Candle, candle_ms: i64) -> Vec<(Slot, Plain)> {
        let end_ms = candle.open_ms + candle_ms;
        if self.newest_candle.is_some_and(|newest| end_ms < newest) {
            self.ignored += 1;
            return Vec::new();
        }
        let known_ms = self.newest_candle.replace(end_ms).unwrap_or(i64::MIN);
        self.said = self.said.max(Some(end_ms));
        self.newest = self.newest.max(self.said);
        self.hits(&Cause::Candle { known_ms, candle: *candle, candle_ms })
    }

    fn put_back(&mut self, slot: Slot) {
        let Some(scanned) = self.open.get_mut(&slot) else { return };
        let Some(log) = &scanned.log else {
            scanned.is_hidden = false;
            return;
        };
        scanned.on_their_way = scanned.on_their_way.saturating_sub(1);
        let stands = scanned.trade.as_ref().is_some_and(|trade| trade.stands_as(log));
        if scanned.on_their_way == 0 && (scanned.is_hidden || !stands) {
            scanned.is_hidden = false;
            scanned.trade = Some(after(log, scanned.trade.as_ref()));
        }
    }

    /// The log has more events of a signal.
    fn advance(&mut self, slot: Slot, log: Trade) {
        let Some(scanned) = self.open.get_mut(&slot) else { return };
        let on_their_way = scanned.on_their_way;
        let is_ahead = |trade: &Trade| trade.stands_as(&log) || on_their_way > 0 && trade.events() >= log.events();
        if !scanned.trade.as_ref().is_some_and(is_ahead) {
            scanned.trade = Some(after(&log, scanned.trade.as_ref()));
            scanned.is_hidden = false;
        }
        scanned.log = Some(log);
    }
}

/// The index, the scan, and the hits on their way to the log.
#[derive(Default)]
struct Both {
    index: PriceIndex,
    scan: Scan,
    count: Slot,
    flight: Vec<(Slot, Effect)>,
}

impl Both {
    fn key(slot: Slot) -> SignalKey {
        SignalKey(0, slot.into())
    }

    fn add(&mut self, levels: Levels, terms: Option<Terms>) {
        let (slot, trade) = (self.count, terms.map(|terms| Trade::new(levels, &terms)));
        self.count += 1;
        let boxed = trade.clone().map(Box::new);
        self.index.add(slot, Self::key(slot), 0, levels, slot.is_multiple_of(2), boxed);
        let scanned = Scanned { levels, log: trade.clone(), trade, is_hidden: false, on_their_way: 0, reach: None };
        self.scan.open.insert(slot, scanned);
    }

    fn put_back(&mut self, slot: Slot) {
        self.index.put_back(slot);
        self.scan.put_back(slot);
    }

    fn remove(&mut self, slot: Slot) {
        self.index.remove(slot);
        self.scan.open.remove(&slot);
        self.flight.retain(|(other, _)| *other != slot);
    }

    /// As the writer does.
    fn store(&mut self, slot: Slot, effect: Effect) {
        let Some(scanned) = self.scan.open.get(&slot) else { return };
        let (mut log, mut events) = match (&effect, &scanned.log) {
            (Effect::Closes { .. }, None) => return self.remove(slot),
            (_, log) => (log.clone().unwrap(), Vec::new()),
        };
        let mut trade = log.clone();
        match &effect {
            Effect::Closes { cause: Some(cause), .. } => cause.follow(&mut trade, &mut events),
            Effect::Touches { sight, cause, .. } => {
                trade.inherit(*sight);
                cause.follow(&mut trade, &mut events);
            }
            Effect::Trails { sight, at_ms } => {
                trade.inherit(*sight);
                events.extend(trade.tell_of_trail(*at_ms, LEAST_TRAIL_R));
            }
            _ => unreachable!(),
        }
        events.iter().for_each(|event| log.apply(event));
        if !events.is_empty() {
            self.log(slot, log);
        }
        self.put_back(slot);
    }

    fn log(&mut self, slot: Slot, log: Trade) {
        if log.ended().is_some() {
            return self.remove(slot);
        }
        assert!(self.index.advance(slot, &log));
        assert!(!self.index.advance(slot, &log), "it is known");
        self.scan.advance(slot, log);
    }

    fn other(&mut self, slot: Slot, what: What) {
        let Some(scanned) = self.scan.open.get(&slot) else { return };
        let mut log = scanned.log.clone().unwrap_or_else(|| Trade::new(scanned.levels, &Terms::default()));
        if matches!(what, What::Reduced { .. }) && log.entered_ms().is_none() {
            return;
        }
        // Changes that a caller cannot make.
        if let What::Amended { stop_loss, take_profits, .. } = &what {
            let beyond = |price: f64| log.levels().direction.sign() * (price - log.levels().entry);
            let is_wrong_target = take_profits.iter().flatten().any(|target| beyond(target.price) <= 0.0);
            let is_wrong_stop = log.entered_ms().is_none() && stop_loss.is_some_and(|stop| beyond(stop) >= 0.0);
            if is_wrong_target || is_wrong_stop {
                return;
            }
        }
        log.apply(&Event { at: log.levels().since_ms.max(self.scan.newest.unwrap_or(T0)), what });
        self.log(slot, log);
    }

    fn replace(&mut self) {
        let mut fresh = PriceIndex::default();
        for (slot, scanned) in &mut self.scan.open {
            let log = scanned.log.clone().map(Box::new);
            fresh.add(*slot, Self::key(*slot), 0, scanned.levels, slot.is_multiple_of(2), log);
            (scanned.is_hidden, scanned.on_their_way) = (false, 0);
            scanned.trade = scanned.log.as_ref().map(|log| after(log, scanned.trade.as_ref()));
        }
        fresh.trim();
        if let Some(seen) = self.index.seen(0) {
            fresh.set_seen(0, seen.clone());
        }
        for slot in self.scan.open.keys() {
            self.index.managed(*slot).into_iter().for_each(|known| fresh.inherit(*slot, &known));
        }
        self.index = fresh;
        self.flight.clear();
    }

    fn check(&mut self, hits: Vec<Hit>, expected: Vec<(Slot, Plain)>) -> Result<(), TestCaseError> {
        let plain = hits.iter().map(|hit| {
            let plain = match &hit.effect {
                Effect::Closes { exit, .. } => Plain::Closes(*exit),
                Effect::Touches { .. } => Plain::Touches,
                Effect::Trails { at_ms, .. } => Plain::Trails(*at_ms),
                Effect::Happens { .. } => unreachable!("it is of candles that are checked elsewhere"),
            };
            (hit.key.1 as Slot, plain)
        });
        prop_assert_eq!(plain.collect::<Vec<_>>(), expected);
        for hit in hits {
            let slot = hit.key.1 as Slot;
            let excursion = match &hit.effect {
                Effect::Closes { excursion, .. } => *excursion,
                Effect::Touches { end, .. } => end.as_ref().map(|(_, excursion)| *excursion),
                _ => None,
            };
            if let (Some(excursion), scanned) = (excursion, &self.scan.open[&slot]) {
                // It is never understated.
                let levels = scanned.trade.as_ref().map_or(&scanned.levels, Trade::levels);
                let seen = scanned.reach.map(|reach| Excursion::of(levels, reach.low, reach.high));
                prop_assert!(seen.is_none_or(|seen| excursion.best_percent >= seen.best_percent));
                prop_assert!(seen.is_none_or(|seen| excursion.worst_percent >= seen.worst_percent));
            }
            self.flight.push((slot, hit.effect));
        }
        prop_assert_eq!(self.index.open.iter().count(), self.scan.open.len());
        for (slot, scanned) in &self.scan.open {
            let known = self.index.open.get(*slot).and_then(|open| open.managed.as_ref());
            let stands = known.zip(scanned.trade.as_ref()).map(|(known, trade)| known.trade.stands_as(trade));
            prop_assert_eq!(stands, scanned.trade.as_ref().map(|_| true));
        }
        let is_counted =
            |slot: &Slot, scanned: &Scanned| slot.is_multiple_of(2) && scanned.levels.direction == Direction::Buy;
        let taken = self.scan.open.iter().filter(|(slot, scanned)| is_counted(slot, scanned));
        prop_assert_eq!(self.index.taken_of(Direction::Buy), taken.count());
        prop_assert_eq!(self.index.ignored().map(|(_, count)| count).sum::<u64>(), self.scan.ignored);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn the_index_finds_what_a_plain_scan_finds(steps in steps()) {
        let mut both = Both::default();
        for step in steps {
            let (mut hits, mut expected) = (Vec::new(), Vec::new());
            match step {
                Step::Add(levels, terms) => both.add(levels, terms),
                Step::Tick(price, when) => {
                    // As `closes_nothing` does, then `on_prices`.
                    if !both.index.misses(0, price, when) {
                        both.index.on_tick(0, price, when, &mut hits);
                    }
                    expected = both.scan.tick(price, when);
                }
                Step::Candle(candle, candle_ms) => {
                    both.index.on_candle(0, &candle, candle_ms, &mut hits);
                    expected = both.scan.candle(&candle, candle_ms);
                }
                Step::Store(n) if n < both.flight.len() => {
                    let (slot, effect) = both.flight.remove(n);
                    both.store(slot, effect);
                }
                Step::PutBack(n) if n < both.flight.len() => {
                    let (slot, _) = both.flight.remove(n);
                    both.put_back(slot);
                }
                Step::Store(_) | Step::PutBack(_) => {}
                Step::Other(slot, what) => both.other(slot, what),
                Step::Remove(slot) => both.remove(slot),
                Step::Replace => both.replace(),
            }
            both.check(hits, expected)?;
        }
    }
}

/// A price or a candle.
#[derive(Debug, Clone)]
enum Known {
    Tick(i64, f64),
    Candle(Candle, i64),
    Coarsen,
}

/// The stretches of time, and the prices with their times, that are known of a signal that begins at `since_ms`.
fn known(seen: &[Known], since_ms: i64) -> (Vec<(i64, i64)>, Vec<f64>, Vec<f64>) {
    let (mut spans, mut highs, mut lows) = (Vec::new(), Vec::new(), Vec::new());
    for one in seen {
        match one {
            Known::Tick(at, price) if *at >= since_ms => {
                spans.push((*at, *at));
                highs.push(*price);
                lows.push(*price);
            }
            Known::Candle(candle, candle_ms) if candle.open_ms + candle_ms >= since_ms => {
                let (whole_ms, end_ms) = (counts_whole_until(candle, *candle_ms), candle.open_ms + candle_ms);
                highs.push(candle.close);
                lows.push(candle.close);
                if since_ms <= whole_ms {
                    spans.push((candle.open_ms, end_ms));
                    highs.push(candle.high);
                    lows.push(candle.low);
                } else {
                    spans.push((end_ms, end_ms));
                }
            }
            _ => {}
        }
    }
    spans.sort_unstable();
    (spans, highs, lows)
}

/// The hours in which a market is closed, every day: from and until, in steps after [`T0`].
const CLOSED: [(i64, i64); 3] = [(360, 420), (600, 1335), (1500, 1545)];

/// Whether it is closed in the step that begins at a time.
fn is_closed(time_ms: i64) -> bool {
    let step = (time_ms - T0).rem_euclid(DAY_MS) / STEP;
    CLOSED.iter().any(|(from, until)| (*from..*until).contains(&step))
}

/// The calendar of that market, learned from candles of five minutes before [`T0`].
fn calendar() -> Arc<Calendar> {
    const CANDLE_MS: i64 = 15 * STEP;
    let begin_ms = T0.div_euclid(CANDLE_MS) * CANDLE_MS - 6 * DAY_MS;
    let times = (0..6 * DAY_MS / CANDLE_MS).map(|candle| begin_ms + candle * CANDLE_MS);
    let candle = |open_ms| Candle { open_ms, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 1.0 };
    // A candle that is open in any of its steps exists.
    let traded = times.filter(|at| (0..15).any(|step| !is_closed(at + step * STEP))).map(candle);
    Arc::new(Calendar::learn(&traded.collect::<Vec<_>>(), CANDLE_MS))
}

/// How long the market trades between two times, step by step; `hours` is `None` for one that never closes.
fn traded_ms(hours: Option<&Calendar>, from_ms: i64, until_ms: i64) -> i64 {
    let Some(hours) = hours else { return until_ms - from_ms };
    let step_ms = hours.step_ms();
    let first = from_ms.div_euclid(step_ms);
    let slots = (first..).map(|slot| slot * step_ms).take_while(|at| *at < until_ms);
    let open = slots.filter(|at| hours.open_between(*at, at + step_ms) == 1);
    open.map(|at| until_ms.min(at + step_ms) - from_ms.max(at)).sum()
}

/// Whether the market trades no more than ten minutes between any two known times after `since_ms`.
fn is_unbroken(hours: Option<&Calendar>, spans: &[(i64, i64)], since_ms: i64) -> bool {
    let mut reached = since_ms;
    spans.iter().all(|(from, until)| {
        let joins = traded_ms(hours, reached, *from) <= 600_000;
        reached = reached.max(*until);
        joins
    })
}

/// Prices of a random walk: ticks in order, candles now and then, some of them late.
fn walk() -> impl Strategy<Value = Vec<Known>> {
    let one = prop_oneof![
        6 => (1usize..30).prop_map(|later| (later, 0, 0)),
        1 => (30usize..80).prop_map(|later| (later, 0, 0)),
        3 => (0usize..10, 1usize..200, prop_oneof![2 => Just(0usize), 1 => 1usize..100]),
        1 => Just((0, 0, 1)),
    ];
    let moves = proptest::collection::vec(-2i32..3, 5_000);
    (proptest::collection::vec(one, 1..60), moves).prop_map(|(ones, moves)| {
        let mut price = 1000;
        let path: Vec<f64> = moves
            .into_iter()
            .map(|by| {
                price += by;
                f64::from(price)
            })
            .collect();
        let (mut now, at) = (300, |step: usize| T0 + step as i64 * STEP);
        let dated = ones.into_iter().map(|(later, length, late)| {
            now += later;
            match (length, late) {
                (0, 0) => Known::Tick(at(now), path[now]),
                (0, _) => Known::Coarsen,
                _ => {
                    let (from, until) = (now - length - late, now - late);
                    let fold = |of: fn(f64, f64) -> f64| path[from..=until].iter().copied().fold(path[from], of);
                    let (high, low) = (fold(f64::max), fold(f64::min));
                    let (open, close) = (path[from], path[until]);
                    let candle = Candle { open_ms: at(from), open, high, low, close, volume: 1.0 };
                    Known::Candle(candle, length as i64 * STEP)
                }
            }
        });
        dated.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn extremes_are_those_of_a_plain_list(
        all in walk(),
        closes in any::<bool>(),
        starts in proptest::collection::btree_set(100i64..1200, 1..9),
    ) {
        let hours = closes.then(calendar);
        let starts: Vec<i64> = starts.into_iter().map(|at| T0 + at * STEP).collect();
        let mut extremes = Extremes::default();
        hours.iter().for_each(|hours| extremes.trade_in(hours.clone()));
        let hours = hours.as_deref();
        let only_ticks = all.iter().all(|one| !matches!(one, Known::Candle(..)));
        for (at, one) in all.iter().enumerate() {
            match one {
                Known::Tick(time_ms, price) => extremes.tick(*time_ms, *price),
                Known::Candle(candle, candle_ms) => extremes.candle(candle, *candle_ms),
                Known::Coarsen => extremes.coarsen(&starts),
            }
            for since_ms in &starts {
                let (spans, highs, lows) = known(&all[..=at], *since_ms);
                let begun = all[..=at].iter().any(|one| match one {
                    Known::Tick(time_ms, _) => time_ms <= since_ms,
                    Known::Candle(candle, _) => candle.open_ms <= *since_ms,
                    Known::Coarsen => false,
                });
                let unbroken = is_unbroken(hours, &spans, *since_ms);
                if extremes.covers(*since_ms) && !spans.is_empty() {
                    prop_assert!(begun && unbroken);
                    let expected = Reach {
                        low: lows.iter().copied().fold(f64::INFINITY, f64::min),
                        high: highs.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    };
                    // A candle in whose first twelfth the signal began may have gone that far before it. If a later candle tells of
                    // the same time, its answer counts.
                    let is_sure = |one: &&Known| match one {
                        Known::Candle(candle, candle_ms) => {
                            let is_begun = candle.open_ms < *since_ms;
                            !is_begun || *since_ms > counts_whole_until(candle, *candle_ms)
                        }
                        Known::Tick(..) | Known::Coarsen => true,
                    };
                    let sure: Vec<Known> = all[..=at].iter().filter(is_sure).cloned().collect();
                    let (_, highs, lows) = known(&sure, *since_ms);
                    let found = extremes.since(*since_ms).unwrap();
                    prop_assert!(found.low >= expected.low && found.high <= expected.high, "{found:?} for {expected:?}");
                    prop_assert!(highs.iter().all(|high| *high <= found.high), "{found:?} is understated");
                    prop_assert!(lows.iter().all(|low| *low >= found.low), "{found:?} is understated");
                } else if only_ticks && !spans.is_empty() {
                    let mut before = all[..=at].iter().filter_map(|one| match one {
                        Known::Tick(time_ms, _) if time_ms <= since_ms => Some((*time_ms, *time_ms)),
                        _ => None,
                    });
                    let last = before.next_back().map(|(at, _)| at);
                    prop_assert!(!unbroken || last.is_none_or(|last| traded_ms(hours, last, spans[0].0) > 600_000));
                }
            }
        }
    }
}

/// A market that closes every day for four hours: its night is no break, whether prices or candles come, and in which order; half
/// an hour without prices while it trades is one. Without known hours, the night is one too.
#[test]
fn a_closed_market_is_no_break() {
    let hours = calendar();
    assert!(hours.closes());
    let at = |step: i64| T0.div_euclid(15 * STEP) * 15 * STEP + step * STEP;
    let knowing = || {
        let mut extremes = Extremes::default();
        extremes.trade_in(hours.clone());
        extremes
    };
    let ticks = |mut extremes: Extremes, steps: &[i64]| {
        steps.iter().for_each(|step| extremes.tick(at(*step), 100.0 + *step as f64));
        extremes
    };
    let night = [580, 605, 1340, 1350];
    assert!(ticks(knowing(), &night).covers(at(580)));
    assert_eq!(ticks(knowing(), &night).since(at(580)), Some(Reach { low: 680.0, high: 1450.0 }));
    assert!(!ticks(Extremes::default(), &night).covers(at(580)), "nobody knows that it closes");
    assert!(!ticks(knowing(), &[580, 605, 1340, 1430]).covers(at(580)), "half an hour of trading is missing");
    assert!(ticks(knowing(), &[580, 605]).reaches(at(1350)) && !ticks(knowing(), &[580, 605]).reaches(at(1430)));
    let candle = |step: i64| Candle { open_ms: at(step), open: 5.0, high: 9.0, low: 1.0, close: 5.0, volume: 1.0 };
    for steps in [[600, 1335], [1335, 600]] {
        let mut extremes = knowing();
        steps.iter().for_each(|step| extremes.candle(&candle(*step), 15 * STEP));
        assert!(extremes.covers(at(600)), "{steps:?}");
        let mut ignorant = Extremes::default();
        steps.iter().for_each(|step| ignorant.candle(&candle(*step), 15 * STEP));
        assert!(!ignorant.covers(at(600)), "{steps:?}");
    }
}

/// A late candle is forgotten as too old. Then older candles lead back to its time, and one of them holds the entry in its middle.
#[test]
fn where_a_late_candle_was_forgotten_nothing_is_known() {
    let mut extremes = Extremes::default();
    let candle = |open_ms: i64, high: f64, low: f64, close: f64| Candle {
        open_ms: T0 + open_ms,
        open: high,
        high,
        low,
        close,
        volume: 1.0,
    };
    extremes.tick(T0 + 6_480_000, 989.0);
    extremes.candle(&candle(4_820_000, 1000.0, 999.0, 999.0), 20_000);
    extremes.candle(&candle(5_060_000, 991.0, 989.0, 989.0), 1_600_000);
    extremes.candle(&candle(4_760_000, 1000.0, 991.0, 991.0), 300_000);
    assert!(!extremes.covers(T0 + 4_800_000));
    assert!(extremes.covers(T0 + 4_860_000), "after the forgotten candle all is known");
}

#[test]
fn the_memory_of_extremes_is_bounded_by_the_open_signals() {
    let (mut index, levels) = (
        PriceIndex::default(),
        Levels {
            direction: Direction::Buy,
            entry: 1e6,
            stop_loss: None,
            take_profit: None,
            since_ms: T0,
            expires_ms: None,
        },
    );
    for slot in 0..3 {
        let since_ms = T0 + i64::from(slot) * 50_000_000;
        index.add(slot, SignalKey(0, slot.into()), 0, Levels { since_ms, ..levels }, true, None);
    }
    for n in 0..200_000 {
        index.on_tick(0, 1e6 - f64::from(n), When::At(T0 + i64::from(n) * 1000), &mut Vec::new());
    }
    for slot in 0..3 {
        let seen = index.excursion(slot, T0 + 200_000_000, 1e6 - 199_999.0).unwrap();
        let high = 1e6 - f64::from(slot) * 50_000.0;
        assert_eq!(seen, Excursion::of(&levels, 1e6 - 199_999.0, high.max(1e6)));
        assert_eq!(index.extremes(0).unwrap().since(T0 + i64::from(slot) * 50_000_000).unwrap().high, high);
    }
    assert!(index.extremes(0).unwrap().count() <= 4096);
}
