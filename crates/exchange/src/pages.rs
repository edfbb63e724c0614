//! Candles of a source that answers in pages, like ccxt.

use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::symbol::Market;
use std::time::Duration;

/// Time-out for a page: that of a request to the exchange with all its retries.
pub const PAGE_TIME: Duration = Duration::from_secs(60);

/// The candles of `market` that open in `[from_ms, until_ms)`, in any order. `ask` returns the page that begins at an open time,
/// in any order, within `page_time`. A page without newer candles is the last one.
///
/// # Errors
/// The errors of `ask`; [`Error::Exchange`] if a page takes too long.
pub async fn all_pages<F>(
    market: &Market,
    from_ms: i64,
    until_ms: i64,
    page_time: Duration,
    ask: impl Fn(i64) -> F,
) -> Result<Vec<Candle>>
where
    F: Future<Output = Result<Vec<Candle>>>,
{
    let (mut found, mut since) = (Vec::new(), from_ms);
    while since < until_ms {
        let late =
            |_| Error::Exchange(format!("{market}: fetchCandles did not answer within {} s", page_time.as_secs_f64()));
        let page = tokio::time::timeout(page_time, ask(since)).await.map_err(late)??;
        let newest_ms = page.iter().map(|candle| candle.open_ms).max();
        found.extend(page.into_iter().filter(|candle| (since..until_ms).contains(&candle.open_ms)));
        let Some(newest_ms) = newest_ms.filter(|&newest_ms| newest_ms >= since) else { break };
        since = newest_ms + market.timeframe.millis();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    const HOUR: i64 = 3_600_000;
    const FROM: i64 = 1_750_000_000_000 / HOUR * HOUR;

    fn market() -> Market {
        Market::parse("BTCUSDT", "1h").unwrap()
    }

    fn candle(open_ms: i64) -> Candle {
        Candle { open_ms, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 1.0 }
    }

    /// The requests, and the open times found, for a source that has the hours up to `until_ms` and returns `limit` at once.
    async fn asked(until_ms: i64, limit: usize, newest_first: bool) -> (Vec<i64>, Vec<i64>) {
        let questions = RefCell::new(Vec::new());
        let ask = async |since: i64| {
            questions.borrow_mut().push(since);
            let mut page: Vec<Candle> = (since..until_ms).step_by(HOUR as usize).take(limit).map(candle).collect();
            if newest_first {
                page.reverse();
            }
            Ok(page)
        };
        let found = all_pages(&market(), FROM, FROM + 30 * HOUR, PAGE_TIME, ask).await.unwrap();
        let mut opens: Vec<i64> = found.iter().map(|candle| candle.open_ms).collect();
        opens.sort_unstable();
        (questions.into_inner(), opens)
    }

    #[tokio::test]
    async fn a_page_costs_one_question_whatever_its_order() {
        let all: Vec<i64> = (0..30).map(|hour| FROM + hour * HOUR).collect();
        for newest_first in [false, true] {
            // More than requested, all at once; in pages of 12.
            assert_eq!(asked(FROM + 40 * HOUR, 100, newest_first).await, (vec![FROM], all.clone()));
            let pages = [0, 12, 24].map(|hour| FROM + hour * HOUR);
            assert_eq!(asked(FROM + 40 * HOUR, 12, newest_first).await, (pages.to_vec(), all.clone()));
            // Fewer than requested: one more request shows that there are no more.
            let questions = vec![FROM, FROM + 20 * HOUR];
            assert_eq!(asked(FROM + 20 * HOUR, 100, newest_first).await, (questions, all[..20].to_vec()));
        }
    }

    #[tokio::test]
    async fn a_page_of_old_candles_is_the_last_and_one_that_does_not_come_names_its_market() {
        let old = async |_| Ok(vec![candle(FROM - HOUR)]);
        assert_eq!(all_pages(&market(), FROM, FROM + HOUR, PAGE_TIME, old).await.unwrap(), []);
        let never = async |_| std::future::pending().await;
        let late = all_pages(&market(), FROM, FROM + HOUR, Duration::from_millis(10), never).await.unwrap_err();
        assert_eq!(late.code(), "ERR_EXCHANGE");
        assert!(late.to_string().contains("BTCUSDT 1h: fetchCandles did not answer within 0.01 s"), "{late}");
    }
}
