//! Reading lines in the canonical form, the one that [`super::line::encode`] writes, several times faster than general JSON.
//!
//! This reader knows one order of keys and one notation for each value. Lines in any other form are left to
//! [`super::line::decode`], which reads everything. If this reader accepts a line, both agree on it (see the tests).

use domain::barrier::{Direction, Levels, Outcome};
use domain::signal::{Closing, Excursion, MAX_ID_BYTES, is_strategy, known_keys};
use domain::symbol::{Symbol, Timeframe};
use domain::time;
use domain::time::Tz;

/// A canonical line; texts are borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CanonicalLine<'a> {
    /// The id of the signal.
    pub id: &'a str,
    /// Its pair.
    pub symbol: &'a str,
    /// The interval of the candles that it was made from.
    pub timeframe: Timeframe,
    /// `None` is HOLD.
    pub direction: Option<Direction>,
    /// Stated confidence in percent, 0–100.
    pub confidence: Option<f64>,
    /// When it was given, UTC epoch ms.
    pub timestamp_ms: i64,
    /// `None` for a HOLD.
    pub levels: Option<Levels>,
    /// Its closing; `None` while it is open, and for a HOLD.
    pub closing: Option<Closing>,
    /// The strategy that gave it.
    pub strategy: Option<&'a str>,
    /// Whether it was traded.
    pub taken: bool,
    /// The members without a column in a database table, from the strategy to the caller's own keys, as JSON members of an
    /// object.
    pub rest: &'a str,
}

/// Deeper objects and arrays are left to the other reader, which knows the allowed depth.
const DEPTH: usize = 16;

/// Known keys that neither change what memory keeps nor have another spelling.
const PASSED_OVER: [&str; 2] = ["source", "tags"];

/// Reads the body of a line; `None` for any other form.
pub fn read(body: &[u8], zone: Tz) -> Option<CanonicalLine<'_>> {
    let mut rest = Cursor { text: std::str::from_utf8(body).ok()?, at: 0 };
    rest.literal("{\"signal_id\":")?;
    let id = rest.string().filter(|id| id.len() <= MAX_ID_BYTES && !id.trim().is_empty())?;
    rest.literal(",\"symbol\":")?;
    let symbol = rest.string().filter(|symbol| is_canonical(symbol))?;
    rest.literal(",\"timeframe\":")?;
    let timeframe = Timeframe::parse(rest.string()?).ok()?;
    rest.literal(",\"signal_type\":")?;
    let direction = match rest.string()? {
        "BUY" => Some(Direction::Buy),
        "SELL" => Some(Direction::Sell),
        "HOLD" => None,
        _ => return None,
    };
    let confidence = rest.optional(",\"confidence\":", Cursor::percent)?;
    let entry = rest.optional(",\"entry_price\":", Cursor::price)?;
    let stop_loss = rest.optional(",\"stop_loss\":", Cursor::price)?;
    let take_profit = rest.optional(",\"take_profit\":", Cursor::price)?;
    rest.literal(",\"timestamp\":")?;
    let timestamp_ms = rest.time(zone)?;
    let expires_ms = rest.optional(",\"expires_at\":", |rest| rest.time(zone).filter(|at| *at > timestamp_ms))?;
    let passed_over = rest.at;
    let strategy = rest.optional(",\"strategy\":", |rest| rest.string().filter(|text| is_strategy(text)))?;
    let taken = rest.optional(",\"taken\":", |rest| rest.literal("false"))?.is_none();
    rest.optional(",\"indicators\":", |rest| if rest.next()? == b'{' { rest.skip(DEPTH) } else { None })?;
    rest.optional(",\"features\":", |rest| rest.skip(DEPTH))?;
    rest.optional(",\"said\":", |rest| rest.skip(DEPTH))?;
    let members = loop {
        let members = &rest.text[passed_over..rest.at];
        rest.literal(",")?;
        let key = rest.string()?;
        rest.literal(":")?;
        if key == "outcome" {
            break members.strip_prefix(',').unwrap_or_default();
        }
        // Among a caller's own keys it would say something again that was said before.
        if !PASSED_OVER.contains(&key) && known_keys().any(|known| known == key) {
            return None;
        }
        rest.skip(DEPTH)?;
    };
    let levels = match direction {
        None => None,
        Some(direction) => {
            let levels = Levels::checked(direction, entry?, stop_loss, take_profit).ok()?;
            Some(Levels { since_ms: timestamp_ms, expires_ms, ..levels })
        }
    };
    let outcome = match (rest.string()?, levels) {
        ("ACTIVE", _) => None,
        (_, None) => return None,
        (name, Some(_)) => Some(Outcome::named(name)?),
    };
    let closing = match outcome {
        None => None,
        Some(outcome) => {
            let exit_price = rest.optional(",\"exit_price\":", Cursor::price)?;
            rest.literal(",\"profit_loss_percent\":")?;
            let profit_percent = rest.number()?;
            rest.literal(",\"closed_at\":")?;
            let closed_ms = rest.time(zone)?;
            let best_percent = rest.optional(",\"mfe_percent\":", Cursor::reach)?;
            let worst_percent = rest.optional(",\"mae_percent\":", Cursor::reach)?;
            let excursion = match (best_percent, worst_percent) {
                (Some(best_percent), Some(worst_percent)) => Some(Excursion { best_percent, worst_percent }),
                (None, None) => None,
                _ => return None,
            };
            Some(Closing { outcome, exit_price, profit_percent, closed_ms, excursion })
        }
    };
    let whole = rest.at == rest.text.len();
    whole.then_some(CanonicalLine {
        id,
        symbol,
        timeframe,
        direction,
        confidence,
        timestamp_ms,
        levels,
        closing,
        strategy,
        taken,
        rest: members,
    })
}

/// Whether [`Symbol::parse`] would leave the symbol unchanged.
fn is_canonical(symbol: &str) -> bool {
    (1..=Symbol::MAX_CHARS).contains(&symbol.len())
        && symbol.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// A position in a text. Each method moves it past what it parses, or returns `None`; the cursor must not be used after that.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn literal(&mut self, expected: &str) -> Option<()> {
        self.text.as_bytes()[self.at..].starts_with(expected.as_bytes()).then(|| self.at += expected.len())
    }

    /// An optional member: `Some(None)` if it is missing, `None` if its value cannot be parsed.
    #[inline]
    fn optional<T>(&mut self, key: &str, value: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.literal(key) {
            None => Some(None),
            Some(()) => value(self).map(Some),
        }
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.literal("\"")?;
        let start = self.at;
        let len = self.text.as_bytes()[start..].iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' '))?;
        self.at += len;
        self.literal("\"")?;
        Some(&self.text[start..start + len])
    }

    /// Skips a string; only one-letter escapes are allowed.
    fn skip_string(&mut self) -> Option<()> {
        self.literal("\"")?;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let len = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' '))?;
            self.at += len + 1;
            match rest[len] {
                b'"' => return Some(()),
                b'\\' if matches!(self.next()?, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                _ => return None,
            }
        }
    }

    fn time(&mut self, zone: Tz) -> Option<i64> {
        time::parse_time(self.string()?, zone)
    }

    fn percent(&mut self) -> Option<f64> {
        self.number().filter(|percent| (0.0..=100.0).contains(percent))
    }

    fn reach(&mut self) -> Option<f64> {
        self.number().filter(|percent| *percent >= 0.0)
    }

    fn price(&mut self) -> Option<f64> {
        self.number().filter(|price| *price > 0.0)
    }

    /// A finite number.
    fn number(&mut self) -> Option<f64> {
        let text = self.number_text()?;
        text.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The text of a number in JSON's grammar.
    fn number_text(&mut self) -> Option<&'a str> {
        let start = self.at;
        let _ = self.literal("-");
        let first = self.next();
        let whole = self.digits()?;
        if first == Some(b'0') && whole > 1 {
            return None;
        }
        if self.literal(".").is_some() {
            self.digits()?;
        }
        if matches!(self.next(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.next(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(&self.text[start..self.at])
    }

    /// At least one digit; returns the number of digits.
    fn digits(&mut self) -> Option<usize> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        self.at += count;
        (count > 0).then_some(count)
    }

    /// Skips any value in JSON's grammar that nests at most `depth` levels deep.
    fn skip(&mut self, depth: usize) -> Option<()> {
        match self.next()? {
            b'"' => self.skip_string(),
            b'{' => self.skip_items(depth, "}", |rest| {
                rest.skip_string()?;
                rest.literal(":")
            }),
            b'[' => self.skip_items(depth, "]", |_| Some(())),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => {
                // Up to this length it fits a double, unless it has an exponent.
                let text = self.number_text()?;
                let sure = text.len() < 300 && !text.contains(['e', 'E']);
                (sure || text.parse().is_ok_and(f64::is_finite)).then_some(())
            }
        }
    }

    /// Skips an object or an array from its opening bracket.
    fn skip_items(&mut self, depth: usize, end: &str, key: impl Fn(&mut Self) -> Option<()>) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.at += 1;
        if self.literal(end).is_some() {
            return Some(());
        }
        loop {
            key(self)?;
            self.skip(depth)?;
            if self.literal(end).is_some() {
                return Some(());
            }
            self.literal(",")?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::{T0, buy};
    use super::super::line::{self, Facts};
    use super::*;
    use domain::barrier::{CancelCause, EntryKind, Event, ExitCause, StopMove, StopRules, StopStep, Target, Terms};
    use domain::barrier::{Trail, TrailBy, What, Zone, ZoneEdge};
    use domain::signal::{EntryFeatures, Indicators, Position, Record, Said, Signal};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// The body of a record's line, as [`read`] expects it.
    fn body(record: &Record) -> Vec<u8> {
        let mut line = line::encode(record).unwrap();
        line.truncate(line.len() - 1 - line::SEAL_BYTES);
        line
    }

    /// How the general reader parses a body.
    fn by_json(body: &[u8], zone: Tz) -> Result<Facts<'static>, String> {
        let object = serde_json::from_slice(&[body, b"}"].concat()).map_err(|e| e.to_string())?;
        Record::from_json(object, zone).map(|record| Facts::of(&record)).map_err(|e| e.to_string())
    }

    /// Whether the canonical reader accepts a body; both readers must agree then.
    fn agree(body: &[u8]) -> bool {
        let zone = "Europe/Berlin".parse().unwrap();
        let Some(line) = read(body, zone) else { return false };
        assert_eq!(Ok(line.into()), by_json(body, zone), "{}", String::from_utf8_lossy(body));
        true
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(".{0,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn said() -> impl Strategy<Value = Said> {
        let share = || 0.0..=1.0f64;
        let r = proptest::option::of((-9.0..9.0f64, -9.0..9.0f64));
        (share(), share(), share(), share(), r, any::<bool>(), any::<u32>()).prop_map(
            |(probability, base_rate, prior, end, r, flag, outcomes)| Said {
                probability,
                interval: (end.min(probability), end.max(probability)),
                base_rate,
                prior,
                shaped: flag,
                expected_r: r.map(|(mean, _)| mean),
                expected_r_interval: r,
                departures: [prior, -end, 0.0, base_rate],
                contributions: flag.then_some([end, -prior, 0.0, 1.5, base_rate, 1.0]),
                take: flag,
                outcomes: u64::from(outcomes),
            },
        )
    }

    /// Terms with any sound numbers, and any events; which fit each other is for the state machine to say.
    fn life() -> impl Strategy<Value = (Option<Terms>, Vec<Event>)> {
        let price = || 1e-9..1e9f64;
        let share = || 1e-3..=100.0f64;
        let target = || (price(), share()).prop_map(|(price, share)| Target { price, share });
        let targets = || proptest::collection::vec(target(), 0..4);
        let trail =
            (0usize..3, 1e-6..99.0f64, proptest::option::of(0.0..9.0f64)).prop_map(|(by, number, activate_at_r)| {
                Trail {
                    by: [TrailBy::Percent(number), TrailBy::Distance(number), TrailBy::Atr(number)][by],
                    activate_at_r,
                }
            });
        let step = (1usize..17, price()).prop_map(|(after_target, price)| StopStep { after_target, price });
        let rules =
            (
                proptest::option::of(1usize..17),
                0.0..9.0f64,
                proptest::option::of(trail),
                proptest::collection::vec(step, 0..3),
            )
                .prop_map(|(break_even_after_target, break_even_costs_percent, trail, move_to)| {
                    StopRules { break_even_after_target, break_even_costs_percent, trail, move_to }
                });
        let kind = prop_oneof![Just(EntryKind::Market), Just(EntryKind::Limit), Just(EntryKind::Stop)];
        let zone = proptest::option::of(price().prop_map(|low| Zone { low, high: low * 1.5 }));
        let terms = (kind, zone, proptest::option::of(T0..T0 * 2), targets(), rules).prop_map(
            |(entry, zone, entry_expires_at, targets, rules)| Terms { entry, zone, entry_expires_at, targets, rules },
        );
        let reason = || proptest::option::of(".{0,9}");
        let what = prop_oneof![
            (
                price(),
                proptest::option::of(prop_oneof![Just(ZoneEdge::Low), Just(ZoneEdge::High), Just(ZoneEdge::Within)])
            )
                .prop_map(|(price, edge)| What::Filled { price, edge }),
            (1usize..99, price(), share()).prop_map(|(number, price, share)| What::Target { number, price, share }),
            price().prop_map(|price| What::Stop { price, cause: StopMove::Trail }),
            (price(), share()).prop_map(|(price, share)| What::Reduced { price, share }),
            (
                proptest::option::of(price()),
                proptest::option::of(targets()),
                proptest::option::of(T0..T0 * 2),
                reason()
            )
                .prop_map(|(stop_loss, take_profits, expires_at, reason)| What::Amended {
                    stop_loss,
                    take_profits,
                    expires_at,
                    reason
                }),
            (price(), share()).prop_map(|(price, share)| What::Exit { price, share, cause: ExitCause::Hand }),
            reason().prop_map(|reason| What::Cancelled { cause: CancelCause::ByHand, reason, replaced_by: None }),
        ];
        let event = (T0..T0 * 2, what).prop_map(|(at, what)| Event { at, what });
        (proptest::option::of(terms), proptest::collection::vec(event, 0..6))
    }

    /// Half of them are plain signals.
    fn record() -> impl Strategy<Value = Record> {
        let position = (proptest::option::of(1.0..1e3f64), proptest::option::of(0.0..1e4f64));
        let tags = proptest::collection::vec("[a-z é]{1,9}".prop_filter("blank", |tag| is_strategy(tag)), 0..3);
        let newest = proptest::option::of((life(), position, tags, proptest::option::of("[a-z]{1,9}")));
        (plain(), newest).prop_map(|(record, newest)| match newest {
            None => record,
            Some(((terms, history), (leverage, fee_bps), tags, source)) => {
                let is_hold = record.signal.direction.is_none();
                // The store writes no terms of a HOLD, and none that ask for nothing.
                let terms = terms.filter(|terms| !is_hold && !terms.are_plain()).map(Box::new);
                let position = Position { leverage, fee_bps, ..record.signal.position };
                Record { signal: Signal { terms, position, tags, source, ..record.signal }, history, ..record }
            }
        })
    }

    fn plain() -> impl Strategy<Value = Record> {
        let price = || 1e-9..1e9f64;
        let levels = (
            price(),
            proptest::option::of(0.1..0.99f64),
            proptest::option::of(1.01..2.0f64),
            proptest::option::of(0.0..=100.0f64),
        );
        let times = (T0..T0 * 2, proptest::option::of(1i64..1_000_000_000));
        let closing = proptest::option::of((proptest::option::of(price()), any::<f64>(), T0..T0 * 2, 0usize..4));
        let features = proptest::option::of(proptest::collection::vec(-1e3..1e3f64, 0..5));
        let newer = (proptest::option::of("[^\\p{Cc}]{1,64}"), any::<bool>(), proptest::option::of(said()));
        let own = (json_value(), proptest::collection::btree_map("[a-zA-Z_é\"]{1,12}", json_value(), 0..4), features);
        (".{1,40}", 0usize..3, levels, times, closing, own, newer).prop_filter_map(
            "an id",
            |(id, side, levels, times, end, own, (strategy, taken, said))| {
                if id.trim().is_empty() {
                    return None;
                }
                let mut signal = buy(&id);
                let (entry, low, high, confidence) = levels;
                signal.direction = [Some(Direction::Buy), Some(Direction::Sell), None][side];
                signal.entry_price = Some(entry);
                signal.stop_loss = low.map(|factor| if side == 1 { entry / factor } else { entry * factor });
                signal.take_profit = high.map(|factor| if side == 1 { entry / factor } else { entry * factor });
                signal.confidence = confidence;
                signal.timestamp_ms = times.0;
                signal.expires_ms = times.1.map(|ms| times.0 + ms);
                signal.strategy = strategy.filter(|text| is_strategy(text));
                signal.taken = taken;
                let (indicators, extra, features) = own;
                if indicators.is_object() {
                    signal.indicators = Indicators::of_value(&indicators).ok()?;
                }
                signal.extra = extra.into_iter().filter(|(key, _)| known_keys().all(|known| known != key)).collect();
                signal.features = features.map(|values| EntryFeatures { version: 1, values });
                let ends =
                    [Outcome::TookProfit, Outcome::StoppedOut, Outcome::Success, Outcome::Failure, Outcome::Unknown];
                let closing = end.filter(|_| side < 2).map(|(exit_price, profit, closed_ms, outcome)| Closing {
                    outcome: ends[outcome],
                    exit_price,
                    profit_percent: if profit.is_finite() { profit } else { -1.5 },
                    closed_ms,
                    excursion: exit_price
                        .map(|_| Excursion { best_percent: profit.abs().min(1e9), worst_percent: 0.5 }),
                });
                Some(Record { signal, history: Vec::new(), closing, said })
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn every_record_that_can_be_written_reads_the_same_both_ways(record in record()) {
            let line = line::encode(&record).unwrap();
            let line = &line[..line.len() - 1];
            prop_assert_eq!(&line::decode(line, Tz::UTC).unwrap(), &record);
            prop_assert_eq!(line::facts(line, Tz::UTC).unwrap(), Facts::of(&record));
            agree(&body(&record));
        }

        #[test]
        fn a_closing_put_into_a_line_is_the_line_of_the_closed_record(record in record()) {
            let open = line::encode(&Record { closing: None, ..record.clone() }).unwrap();
            let closed = record.closing.map(|closing| line::with_closing(&open[..open.len() - 1], &closing).unwrap());
            prop_assert_eq!(closed, record.closing.map(|_| Some(line::encode(&record).unwrap())));
        }

        /// One to three bytes replaced, inserted or removed, with a checksum that matches.
        #[test]
        fn any_mutation_reads_the_same_both_ways_or_not_here(
            record in record(),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), 0usize..3, any::<u8>()), 1..4),
        ) {
            let mut body = body(&record);
            for (index, how, byte) in changes {
                let at = index.index(body.len());
                // Half of the time a byte with a meaning in JSON.
                let byte = if byte < 128 { b"\",:{}[]\\0123456789.eE-+ntu_ \xff"[usize::from(byte) % 29] } else { byte };
                match how {
                    0 => body[at] = byte,
                    1 => body.insert(at, byte),
                    _ => drop(body.remove(at)),
                }
            }
            agree(&body);
        }

        /// A value replaced; a key moved, duplicated or renamed.
        #[test]
        fn other_members_read_the_same_both_ways_or_not_here(
            record in record(), from: proptest::sample::Index, to: proptest::sample::Index, how in 0usize..4,
            key in proptest::sample::select(known_keys().collect::<Vec<_>>()), value in json_value(),
        ) {
            let map = record.to_json();
            let mut members: Vec<(String, Value)> = map.into_iter().collect();
            let (from, to) = (from.index(members.len()), to.index(members.len()));
            match how {
                0 => members[from].1 = value,
                1 => { let member = members.remove(from); members.insert(to, member); }
                2 => { let copy = members[from].clone(); members.insert(to, copy); }
                _ => members.insert(to, (key.to_owned(), value)),
            }
            let text: Vec<String> = members.iter().map(|(key, value)| format!("{}:{value}", json!(key))).collect();
            agree(format!("{{{}", text.join(",")).as_bytes());
        }
    }

    #[test]
    fn what_the_store_writes_is_read_here() {
        let closing = Closing {
            outcome: Outcome::TookProfit,
            exit_price: Some(110.5),
            profit_percent: 10.5,
            closed_ms: T0 + 1,
            excursion: None,
        };
        let hold = Signal { direction: None, ..buy("s1") };
        let signals = [(buy("s1"), None), (buy("é"), Some(closing)), (hold, None)];
        let said = Said {
            probability: 0.4,
            interval: (0.3, 0.5),
            base_rate: 0.35,
            prior: 0.36,
            shaped: true,
            departures: [0.1, -0.2, 0.0, 0.25],
            contributions: Some([-0.7, 0.1, -0.2, 0.0, 0.0, 0.25]),
            expected_r: None,
            expected_r_interval: None,
            take: true,
            outcomes: 9,
        };
        for (signal, closing) in signals {
            let newer = Signal { strategy: Some("rsi é".to_owned()), taken: false, ..signal.clone() };
            assert!(agree(&body(&Record { closing, said: Some(said), ..newer.into() })));
            assert!(agree(&body(&Record { closing, ..signal.into() })));
        }
    }

    #[test]
    fn what_the_long_reader_refuses_is_refused_here() {
        let text = String::from_utf8(body(&buy("s1").into())).unwrap();
        assert!(agree(text.as_bytes()));
        let changes = [
            ("\"s1\"", "\" \""),
            ("BTCUSDT", "BTC.USDT"),
            ("BTCUSDT", "btcusdt"),
            ("\"1h\"", "\"7h\""),
            ("BUY", "LONG"),
            ("80.0", "100.5"),
            ("100.0", "0.0"),
            ("100.0", "1e999"),
            ("100.0", "0100.0"),
            ("95.0", "101.0"),
            ("110.0", "99.0"),
            ("71.5", "1e999"),
            ("71.5", "[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]"),
            ("{\"rsi\":71.5}", "[1]"),
            ("\"note\"", "\"signalId\""),
            ("\"note\"", "\"not\\u0065\""),
            ("ACTIVE", "TOOK_PROFIT"),
            ("ACTIVE", "CLOSED"),
            ("2023-11-14T22:13:20.000Z", "1970-01-01T00:00:00.000Z"),
        ];
        for (old, new) in changes {
            let changed = text.replacen(old, new, 1);
            assert_ne!(changed, text, "{old}");
            assert_eq!(read(changed.as_bytes(), Tz::UTC), None, "{new} for {old}");
        }
        assert_eq!(read(&text.as_bytes()[..text.len() - 1], Tz::UTC), None);
        assert_eq!(read(format!("{text},\"x\":1").as_bytes(), Tz::UTC), None);
    }
}
