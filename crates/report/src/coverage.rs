//! Which candles are stored, and which are missing.

use candles::{Cause, Checked, Finding, Findings, Hole};
use domain::error::Result;
use domain::symbol::{Market, Timeframe};
use engine::{CheckedFile, SignalLoop};
use serde::Serialize;

/// Gaps listed per market: the longest.
const MAX_HOLES: usize = 40;

/// The candles of a home.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Coverage {
    /// By file.
    pub files: Vec<FilePart>,
    /// Configured markets without a file.
    pub lacking: Vec<String>,
}

/// The candles of one file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FilePart {
    /// `BTCUSDT 1h`, or the file's name where that says no market.
    pub name: String,
    /// The candles; missing where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candles: Option<Candles>,
    /// Why they cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Stored candles.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Candles {
    /// Number of stored candles.
    pub count: usize,
    /// How many there would be without gaps.
    pub expected: i64,
    /// Open time of the first, UTC epoch ms.
    pub from_ms: i64,
    /// Close time of the last, UTC epoch ms.
    pub until_ms: i64,
    /// Number of all gaps that the market's trading hours do not explain.
    pub hole_count: usize,
    /// The longest of them, oldest first.
    pub holes: Vec<Hole>,
    /// Other findings, in words.
    pub findings: Vec<String>,
}

/// Examines all candle files of the home, and compares them with the configured markets.
///
/// # Errors
/// [`domain::error::Error::Io`] when the folder cannot be read.
pub fn gather(core: &SignalLoop) -> Result<Coverage> {
    let mut lacking = core.settings().markets(None, None);
    let mut part = |file: CheckedFile| {
        let market = Market::from_file_stem(&file.path.file_stem().unwrap_or_default().to_string_lossy());
        lacking.retain(|configured| Some(configured) != market.as_ref());
        let candles = match (&market, &file.checked) {
            (Some(market), Ok(checked)) => Candles::of(checked, market.timeframe),
            _ => None,
        };
        let problem = match &file.checked {
            Err(error) => Some(error.to_string()),
            Ok(_) if candles.is_none() => Some("no candles in the file".to_owned()),
            Ok(_) => None,
        };
        let file_name = || file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        FilePart { name: market.map_or_else(file_name, |market| market.to_string()), candles, problem }
    };
    let files: Vec<FilePart> = core.candles().check_stored()?.into_iter().map(&mut part).collect();
    Ok(Coverage { files, lacking: lacking.iter().map(Market::to_string).collect() })
}

impl Candles {
    fn of(checked: &Checked, timeframe: Timeframe) -> Option<Self> {
        let (first, last) = checked.span?;
        let until_ms = last + timeframe.millis();
        let lacking: i64 = checked.holes.iter().map(|hole| hole.lacks(&checked.calendar)).sum();
        let mut holes = checked.holes.clone();
        holes.sort_by_key(|hole| std::cmp::Reverse(hole.until_ms - hole.from_ms));
        holes.truncate(MAX_HOLES);
        holes.sort_by_key(|hole| hole.from_ms);
        Some(Self {
            count: checked.candles,
            expected: checked.candles as i64 + lacking,
            from_ms: first,
            until_ms,
            hole_count: checked.holes.len(),
            holes,
            findings: words(&checked.findings),
        })
    }
}

/// Findings other than gaps, which are listed separately.
fn words(findings: &Findings) -> Vec<String> {
    findings.list().iter().filter(|finding| finding.cause != Cause::Gap).map(Finding::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candles::{candle_file, write_csv};
    use domain::candle::Candle;
    use engine::Options;

    #[test]
    fn gaps_missing_markets_and_unknown_files_are_listed() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        std::fs::write(
            home.path().join("training_config.json"),
            r#"{"symbols":["BTCUSDT","ETHUSDT"],"timeframes":["1h"]}"#,
        )
        .unwrap();
        let core = SignalLoop::open(Options { home: Some(home.path().to_owned()), ..Options::default() }).unwrap();
        let lacking = ["BTCUSDT 1h", "ETHUSDT 1h"].map(str::to_owned);
        assert_eq!(gather(&core).unwrap(), Coverage { files: Vec::new(), lacking: lacking.to_vec() });

        const START: i64 = 1_757_764_800_000;
        let hours = (0..60i64).filter(|hour| !(20..23).contains(hour) && *hour != 40);
        let candle = |hour| Candle {
            open_ms: START + hour * 3_600_000,
            open: 9.0,
            high: 9.5,
            low: 8.5,
            close: 9.0,
            volume: 1.0 + (hour % 2) as f64,
        };
        let market = Market::parse("BTCUSDT", "1h").unwrap();
        write_csv(&candle_file(&data, &market), &hours.map(candle).collect::<Vec<_>>()).unwrap();
        std::fs::write(data.join("<script>.csv"), "x").unwrap();

        let coverage = gather(&core).unwrap();
        let parts = &coverage.files;
        let candles = parts[0].candles.as_ref().unwrap();
        assert_eq!((parts[0].name.as_str(), candles.count, candles.expected), ("BTCUSDT 1h", 56, 60));
        assert_eq!((candles.until_ms, candles.hole_count), (START + 60 * 3_600_000, 2));
        let spans: Vec<_> = candles.holes.iter().map(|hole| (hole.until_ms - hole.from_ms) / 3_600_000).collect();
        assert_eq!(spans, [3, 1]);
        assert_eq!((parts[1].name.as_str(), parts[1].candles.is_none()), ("<script>.csv", true));
        assert!(parts[1].problem.as_ref().unwrap().contains("is not that of a market"));
        assert_eq!((coverage.lacking.as_slice(), parts.len()), (&lacking[1..], 2));
        assert_eq!(candles.findings, Vec::<String>::new(), "holes are told by themselves");
    }
}
