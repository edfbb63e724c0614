//! What was corrected in candles while reading them, and what users should know about them.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A kind of change to candles, or of something noteworthy in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Times in seconds, microseconds or nanoseconds; the unit is clear from the magnitude.
    TimeUnit,
    /// Times with an offset from UTC, converted.
    Offset,
    /// Times without an offset, converted from the given zone.
    LocalTime,
    /// Rows that were not oldest first; sorted.
    Disorder,
    /// Repeated candles; dropped.
    Duplicate,
    /// The last candle of one download, which was still open; replaced by the complete one of another download.
    Superseded,
    /// A candle that has not closed yet; dropped.
    StillOpen,
    /// The last row of an imported file; dropped, since it may have been open when it was downloaded.
    LastRow,
    /// An incomplete last line; dropped.
    TornRow,
    /// Invalid rows; dropped on request.
    BadRow,
    /// Highs and lows inside the body; moved to its edge on request.
    Widened,
    /// The price jumps too far for older candles to be of the same asset; those are dropped.
    OtherAsset,
    /// Missing candles that a second request returned.
    GapFilled,
    /// Older candles than the stored ones; added.
    Backfilled,
    /// Requests that had to be repeated.
    Retried,
    /// Holes for which the source has no candles.
    Gap,
    /// Candles that reach beyond 1.5 times their body: usual on a test network, rare elsewhere.
    Wick,
    /// Candles without trades.
    NoTrades,
    /// Candles without volume, or all with the same: models ignore the features of volume.
    NoVolume,
    /// Candles longer or shorter by a clock change, since they follow local time.
    ClockChange,
    /// The market is no longer traded, or has long had no candles although the exchange answers.
    Delisted,
    /// Times without an offset, read as UTC.
    TakenAsUtc,
    /// A file without a header; its columns were taken to be in Binance's order.
    NoHeader,
    /// Lines before the header; skipped.
    Preamble,
    /// Columns that are not used.
    IgnoredColumn,
    /// Holes that were not requested again; the next fetch retries.
    NotAsked,
    /// Requests for older candles than the exchange gives.
    BeyondReach,
    /// Older candles that could not be fetched; the next fetch continues there.
    Unfinished,
}

impl Cause {
    /// Whether something was changed or dropped, rather than only noticed.
    pub fn repaired(self) -> bool {
        self <= Self::GapFilled
    }

    fn words(self) -> &'static str {
        match self {
            Self::TimeUnit => "times in seconds, microseconds or nanoseconds read as such",
            Self::Offset => "times with an offset converted to UTC",
            Self::LocalTime => "times without an offset converted to UTC from the given zone",
            Self::Disorder => "rows out of order sorted",
            Self::Duplicate => "duplicates left out",
            Self::Superseded => "unfinished last candles of one download replaced by those of another",
            Self::StillOpen => "candles still open left out",
            Self::LastRow => "last row left out, it may have been open when it was downloaded",
            Self::TornRow => "broken last line left out",
            Self::BadRow => "invalid rows left out",
            Self::Widened => "highs or lows inside the body moved to its edge",
            Self::OtherAsset => "page of older candles left out, since they are of another asset",
            Self::GapFilled => "missing candles found by asking again",
            Self::Backfilled => "older candles added",
            Self::Retried => "requests repeated",
            Self::Gap => "holes in time",
            Self::Wick => "candles that reach beyond 1.5 times their body (as on a test network)",
            Self::NoTrades => "candles without any trade",
            Self::NoVolume => "candles without volume or all with the same, models ignore its features",
            Self::ClockChange => "candles longer or shorter by a clock change",
            Self::Delisted => "market that is not traded any more",
            Self::TakenAsUtc => "times without an offset read as UTC, since no `--timezone` was given",
            Self::NoHeader => "file without a header, its columns taken as",
            Self::Preamble => "lines before the header left out",
            Self::IgnoredColumn => "columns not used",
            Self::NotAsked => "holes not asked for again",
            Self::BeyondReach => "requests for older candles than the exchange gives",
            Self::Unfinished => "part of the history not fetched yet, the next fetch goes on from there",
        }
    }
}

/// A cause, how often it occurred, and an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The cause.
    pub cause: Cause,
    /// Whether something was changed or dropped, rather than only noticed.
    pub repaired: bool,
    /// The number of candles, rows, holes, columns or requests.
    pub count: usize,
    /// The first or the largest of them: a time, a span, a name.
    pub example: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.count, self.cause.words(), self.example)
    }
}

/// All findings about one series, one entry for each cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(BTreeMap<Cause, (usize, String)>);

impl Findings {
    /// Counts a cause `count` times and keeps the first example. Does nothing if `count` is 0.
    pub fn add(&mut self, cause: Cause, count: usize, example: impl FnOnce() -> String) {
        if count > 0 {
            self.0.entry(cause).or_insert_with(|| (0, example())).0 += count;
        }
    }

    /// Adds another series' findings.
    pub fn merge(&mut self, other: Self) {
        for (cause, (count, example)) in other.0 {
            self.add(cause, count, || example);
        }
    }

    /// The findings without one cause, which is reported elsewhere.
    pub fn without(mut self, cause: Cause) -> Self {
        self.0.remove(&cause);
        self
    }

    /// How often a cause occurred.
    pub fn count(&self, cause: Cause) -> usize {
        self.0.get(&cause).map_or(0, |(count, _)| *count)
    }

    /// One finding for each cause, changes first.
    pub fn list(&self) -> Vec<Finding> {
        let finding = |(&cause, (count, example)): (&Cause, &(usize, String))| Finding {
            cause,
            repaired: cause.repaired(),
            count: *count,
            example: example.clone(),
        };
        self.0.iter().map(finding).collect()
    }

    /// Whether anything was changed or dropped.
    pub fn repaired(&self) -> bool {
        self.0.keys().any(|cause| cause.repaired())
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.list().iter().map(Finding::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_the_first_example_stays() {
        let mut all = Findings::default();
        all.add(Cause::Gap, 1, || "b".into());
        assert!(!all.repaired());
        all.add(Cause::Duplicate, 2, || "first".into());
        all.add(Cause::Disorder, 0, || "none".into());
        let mut more = Findings::default();
        more.add(Cause::Duplicate, 3, || "second".into());
        all.merge(more);
        assert!(all.repaired());
        assert_eq!(all.to_string(), "5 duplicates left out (first); 1 holes in time (b)");
        let json = serde_json::to_value(all.list()).unwrap();
        assert_eq!(
            json[0],
            serde_json::json!({ "cause": "duplicate", "repaired": true, "count": 5, "example": "first" })
        );
    }
}
