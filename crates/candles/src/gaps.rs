//! Holes in a series, and the stored list of those that the source has no candles for: `data/btcusdt_1h.gaps.json`.
//!
//! ```json
//! [["2021-04-20T02:00:00.000Z", "2021-04-20T04:00:00.000Z"]]
//! ```
//! Each pair is the open time of the first missing candle and that of the next existing one. A new hole is requested once more;
//! what is still missing then is stored here and not requested again. If the file is deleted, the next fetch requests all holes
//! again.

use super::csv::candle_file;
use super::series::words;
use domain::calendar::Calendar;
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::symbol::{Market, Timeframe};
use domain::time::Tz;
use domain::time::{MIN_MILLIS, format_iso, parse_time};
use std::fmt;
use std::path::{Path, PathBuf};
use storage::write_atomically;

/// Most candles in one request for holes that lie close together: one page of the exchange.
const GROUP: i64 = 1000;

/// A span `[from_ms, until_ms)` of open times without candles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hole {
    /// Open time of the first missing candle, UTC epoch ms.
    pub from_ms: i64,
    /// Open time of the next existing candle, UTC epoch ms.
    pub until_ms: i64,
}

impl Hole {
    /// Whether a candle that opens at `open_ms` belongs into the hole.
    pub fn holds(self, open_ms: i64) -> bool {
        (self.from_ms..self.until_ms).contains(&open_ms)
    }

    /// The number of missing candles that lie in the market's trading hours.
    pub fn lacks(self, calendar: &Calendar) -> i64 {
        calendar.open_between(self.from_ms, self.until_ms)
    }
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", words(self.until_ms - self.from_ms), format_iso(self.from_ms))
    }
}

/// The holes of a series within its market's trading hours, oldest first. With `begin_ms`, also the span from there to the first
/// candle.
pub fn holes(candles: &[Candle], calendar: &Calendar, begin_ms: Option<i64>) -> Vec<Hole> {
    let length = calendar.step_ms();
    let head = begin_ms.zip(candles.first()).map(|(begin, first)| Hole {
        from_ms: first.open_ms - (first.open_ms - begin).max(0) / length * length,
        until_ms: first.open_ms,
    });
    let between = |pair: &[Candle]| Hole { from_ms: pair[0].open_ms + length, until_ms: pair[1].open_ms };
    let all = head.into_iter().chain(candles.windows(2).map(between));
    // Less than half a candle is a clock change within a candle.
    all.filter(|hole| 2 * (hole.until_ms - hole.from_ms) >= length && hole.lacks(calendar) > 0).collect()
}

/// The holes between candles that trading hours and holidays do not explain.
pub fn unexplained(candles: &[Candle], calendar: &Calendar) -> Vec<Hole> {
    let mut holes = holes(candles, calendar, None);
    holes.retain(|hole| !calendar.is_regular(hole.from_ms, hole.until_ms));
    holes
}

/// Spans that cover `holes`: neighbours are joined while they fit on a page of the exchange.
pub fn groups(holes: &[Hole], timeframe: Timeframe) -> Vec<Hole> {
    let mut groups: Vec<Hole> = Vec::new();
    for hole in holes {
        match groups.last_mut() {
            Some(group) if hole.until_ms - group.from_ms <= GROUP * timeframe.millis() => {
                group.until_ms = hole.until_ms;
            }
            _ => groups.push(*hole),
        }
    }
    groups
}

/// The holes that the source has no candles for, oldest first, none adjacent to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownGaps(Vec<Hole>);

impl KnownGaps {
    /// Loads the holes of a market; empty if there is no file.
    pub fn load(data_folder: &Path, market: &Market) -> Result<Self> {
        let path = file(data_folder, market);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        let bad = |problem: String| Error::BadCandle {
            place: path.display().to_string(),
            problem: format!("{problem}; delete the file to request all holes again"),
        };
        let pairs: Vec<[String; 2]> = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
        let mut known = Self::default();
        for [from, until] in pairs {
            match (parse_time(&from, Tz::UTC), parse_time(&until, Tz::UTC)) {
                (Some(from_ms), Some(until_ms)) if from_ms < until_ms => known.add(Hole { from_ms, until_ms }),
                _ => return Err(bad(format!("a hole must be two times, the earlier first; got {from:?}, {until:?}"))),
            }
        }
        Ok(known)
    }

    /// Stores the holes of a market.
    pub fn save(&self, data_folder: &Path, market: &Market) -> Result<()> {
        let line = |hole: &Hole| format!("[\"{}\", \"{}\"]", format_iso(hole.from_ms), format_iso(hole.until_ms));
        let lines: Vec<String> = self.0.iter().map(line).collect();
        write_atomically(&file(data_folder, market), format!("[{}]\n", lines.join(",\n ")).as_bytes())
    }

    /// The earliest time to fetch candles from, as set by [`Self::begin_at`].
    pub fn begin_ms(&self) -> i64 {
        self.0.first().filter(|hole| hole.from_ms == MIN_MILLIS).map_or(MIN_MILLIS, |hole| hole.until_ms)
    }

    /// Fetches nothing from before `since_ms`, whatever `history_days` says.
    pub fn begin_at(&mut self, since_ms: i64) {
        self.0.retain(|hole| hole.from_ms != MIN_MILLIS);
        if since_ms > MIN_MILLIS {
            self.add(Hole { from_ms: MIN_MILLIS, until_ms: since_ms });
        }
    }

    /// Whether all of `hole` is known.
    pub fn covers(&self, hole: &Hole) -> bool {
        let after = self.0.partition_point(|known| known.from_ms <= hole.from_ms);
        after > 0 && hole.until_ms <= self.0[after - 1].until_ms
    }

    /// Adds a hole and merges it with those that it touches.
    pub fn add(&mut self, mut hole: Hole) {
        if self.0.last().is_none_or(|last| last.until_ms < hole.from_ms) {
            return self.0.push(hole);
        }
        self.0.retain(|known| {
            let apart = known.until_ms < hole.from_ms || hole.until_ms < known.from_ms;
            if !apart {
                hole = Hole { from_ms: known.from_ms.min(hole.from_ms), until_ms: known.until_ms.max(hole.until_ms) };
            }
            apart
        });
        let place = self.0.partition_point(|known| known.from_ms < hole.from_ms);
        self.0.insert(place, hole);
    }
}

fn file(data_folder: &Path, market: &Market) -> PathBuf {
    candle_file(data_folder, market).with_extension("gaps.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const START: i64 = 1_699_999_200_000;

    fn candles(hours: &[i64]) -> Vec<Candle> {
        let candle =
            |h: &i64| Candle { open_ms: START + h * HOUR, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 1.0 };
        hours.iter().map(candle).collect()
    }

    fn hole(from: i64, until: i64) -> Hole {
        Hole { from_ms: START + from * HOUR, until_ms: START + until * HOUR }
    }

    #[test]
    fn between_candles_and_before_the_first() {
        let series = candles(&[0, 1, 4, 5, 7]);
        let coin = &Calendar::always(HOUR);
        assert_eq!(holes(&series, coin, None), [hole(2, 4), hole(6, 7)]);
        let begin = START - 3 * HOUR + 1;
        assert_eq!(holes(&series, coin, Some(begin))[0], hole(-2, 0), "no candle opens before the beginning");
        assert_eq!(holes(&series[..2], coin, Some(START - HOUR + 1)), []);
        assert_eq!(holes(&series[..2], coin, Some(START + HOUR)), []);
        assert_eq!(holes(&[], coin, Some(START)), []);
    }

    #[test]
    fn neighbours_are_asked_for_together() {
        let all = [hole(0, 1), hole(500, 510), hole(999, 1000), hole(1001, 1002), hole(5000, 9000)];
        assert_eq!(groups(&all, Timeframe::H1), [hole(0, 1000), hole(1001, 1002), hole(5000, 9000)]);
    }

    #[test]
    fn what_is_remembered_joins_and_survives() {
        let home = tempfile::tempdir().unwrap();
        let market = Market::parse("BTCUSDT", "1h").unwrap();
        let mut known = KnownGaps::load(home.path(), &market).unwrap();
        for span in [hole(10, 12), hole(2, 4), hole(4, 6), hole(11, 20)] {
            known.add(span);
        }
        assert_eq!(known, KnownGaps(vec![hole(2, 6), hole(10, 20)]));
        assert!(known.covers(&hole(2, 6)) && known.covers(&hole(12, 13)) && !known.covers(&hole(5, 7)));
        assert_eq!(known.begin_ms(), MIN_MILLIS);
        known.begin_at(START);
        known.begin_at(START - HOUR);
        assert_eq!((known.begin_ms(), known.0.len()), (START - HOUR, 3));
        known.save(home.path(), &market).unwrap();
        assert_eq!(KnownGaps::load(home.path(), &market).unwrap(), known);

        for text in
            ["{", "[[\"x\", \"2021-04-20T04:00:00Z\"]]", "[[\"2021-04-20T04:00:00Z\", \"2021-04-20T04:00:00Z\"]]"]
        {
            std::fs::write(home.path().join("btcusdt_1h.gaps.json"), text).unwrap();
            let error = KnownGaps::load(home.path(), &market).unwrap_err();
            assert_eq!(error.code(), "ERR_INVALID_CANDLE");
            assert!(
                error.to_string().contains("btcusdt_1h.gaps.json") && error.to_string().contains("delete"),
                "{error}"
            );
        }
    }
}
