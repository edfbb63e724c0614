//! Checks of the exchange and of the stored candles.

use super::home::some;
use super::{Check, Finding, OpenSignals};
use crate::words::{age, counted};
use candles::{Cause, Reading, candle_file, stored_markets};
use domain::symbol::{Market, Symbol};
use domain::time::{DAY_MS, now_ms};
use engine::SignalLoop;
use exchange::Exchange;

/// A clock that is off by more than this misjudges whether a candle has closed.
const MOST_SKEW_MS: i64 = 1000;
/// A market without new candles for this long is probably delisted.
const GONE_MS: i64 = 30 * DAY_MS;

/// Checks the candles of the configured markets, and finds files that are never read. A market that has had no candle for long is
/// delisted, unless its symbol is one of those that the exchange says are `traded`.
pub(super) fn candles(core: &SignalLoop, traded: &[Symbol]) -> Vec<Finding> {
    let data = core.settings().home().join("data");
    let (mut found, mut missing, mut old, mut gone, mut holes) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let markets = core.settings().markets(None, None);
    for market in &markets {
        let path = candle_file(&data, market);
        if !path.exists() {
            missing.push(market.to_string());
            continue;
        }
        let checked = match core.candles().check_file(&path, market.timeframe, &Reading::default()).checked {
            Ok(checked) => checked,
            Err(error) => {
                let why = "a market with invalid candles is neither trained nor predicted";
                let advice = "correct the line, or remove the file and `signalloop fetch`";
                found.push(Finding::fault(Check::Candles, &error, why, advice));
                continue;
            }
        };
        if checked.findings.repaired() {
            let what = format!("{}: {}", path.display(), checked.findings);
            let why = "predictions refuse a file that must be repaired first";
            found.push(Finding::warning(Check::Candles, what, why, "`signalloop fetch` repairs it"));
        }
        let gaps = checked.findings.count(Cause::Gap);
        if gaps > 0 {
            holes.push(format!("{market} ({gaps})"));
        }
        let age_ms = checked.span.map(|(_, last)| core.settings().now_ms() - last - market.timeframe.millis());
        if checked.span.is_none_or(|(_, last)| checked.calendar.is_behind(last, core.settings().now_ms())) {
            let ended = age_ms.map_or("empty".to_owned(), |age_ms| format!("{} ago", age(age_ms)));
            let is_old = age_ms.is_some_and(|age_ms| age_ms >= GONE_MS.max(3 * market.timeframe.millis()));
            let is_gone = is_old && !traded.contains(&market.symbol);
            if is_gone { &mut gone } else { &mut old }.push(format!("{market} ({ended})"));
        }
    }
    found.extend(told("have no candles", &missing, &markets, "they cannot be trained", "`signalloop fetch`"));
    found.extend(told(
        "have had no candle for a month",
        &gone,
        &markets,
        "a delisted market gets no new candles, and is not trained again",
        "remove them from `symbols`, unless `signalloop fetch` has not run for so long",
    ));
    let why = "the market has moved on: predictions say `stale`";
    found.extend(told(
        "end in the past",
        &old,
        &markets,
        why,
        "`signalloop fetch`, or let `signalloop scheduler run` do it",
    ));
    let why = "rows next to a gap have no features and are not trained on";
    let advice = "`signalloop fetch` requests them again; candles that the exchange itself lacks stay missing";
    found.extend(told("have holes in time", &holes, &markets, why, advice));
    if found.is_empty() {
        let what = format!("those of all {} configured markets are complete and up to date", markets.len());
        found.push(Finding::fine(Check::Candles, what));
    }
    found.extend(never_read(&data));
    found.extend(core.fetcher().cost_of_history().map(|what| {
        let why = "a model that knows nothing says the base rate and gives no signals";
        Finding::warning(
            Check::Candles,
            what,
            why,
            "remove `history_days` from training_config.json, then `signalloop fetch`",
        )
    }));
    found
}

fn told(what: &str, names: &[String], of: &[Market], why: &'static str, advice: &str) -> Option<Finding> {
    let what = format!("{} of {} configured markets {what}: {}", names.len(), of.len(), some(names));
    (!names.is_empty()).then(|| Finding::warning(Check::Candles, what, why, advice))
}

fn never_read(data: &std::path::Path) -> Option<Finding> {
    let (_, others) = match stored_markets(data) {
        Ok(stored) => stored,
        Err(error) => {
            return Some(Finding::fault(Check::Candles, &error, "candles cannot be read", "make the folder readable"));
        }
    };
    let names: Vec<String> = others.iter().map(|path| path.display().to_string()).collect();
    let what = format!("files whose names are not of a market: {}", some(&names));
    let advice = "name them as btcusdt_1h.csv, or import them with `signalloop data import`";
    (!names.is_empty()).then(|| Finding::warning(Check::Candles, what, "they are never read", advice))
}

/// Checks that the exchange answers, knows the symbols (configured ones, and those with `open` signals), and agrees on the time.
/// Returns also the symbols that it trades.
pub(super) async fn exchange(core: &SignalLoop, open: &OpenSignals) -> (Vec<Finding>, Vec<Symbol>) {
    let config = core.settings().config();
    let exchange = match Exchange::new(config.exchange, config.exchange_url.as_deref()) {
        Ok(exchange) => exchange,
        Err(error) => {
            let advice = "correct `exchange_url`, or SIGNALLOOP_EXCHANGE_URL";
            let fault = Finding::fault(Check::Exchange, &error, "there are no candles without it", advice);
            return (vec![fault], Vec::new());
        }
    };
    let asked_ms = now_ms();
    let time = exchange.server_time().await;
    let answered_ms = now_ms();
    let time = match time {
        Ok(time) => time,
        Err(error) => {
            let why = "candles and prices cannot be brought up to date";
            let advice = format!(
                "check whether {} ({}) can be reached from here (name, proxy, firewall); `exchange` names another exchange, \
                 `exchange_url` or SIGNALLOOP_EXCHANGE_URL another host that serves the same API",
                exchange.host(),
                exchange.venue().title()
            );
            return (vec![Finding::fault(Check::Exchange, &error, why, advice)], Vec::new());
        }
    };
    let mut found = vec![Finding::fine(
        Check::Exchange,
        format!("{} ({}) answers within {} ms", exchange.host(), exchange.venue().title(), answered_ms - asked_ms),
    )];
    let (of_symbols, traded) = symbols(core, &exchange, open).await;
    found.extend(of_symbols);
    // A `Date` header has whole seconds.
    let until_ms = if time.refused.is_some() { time.ms + 999 } else { time.ms };
    found.extend(time.refused.map(|error| {
        let why = "the clock is compared with the Date header of its answer instead, to the second";
        Finding::warning(Check::Clock, error.to_string(), why, "nothing, if all else is well")
    }));
    found.push(clock(asked_ms, (time.ms, until_ms), answered_ms, exchange.host()));
    (found, traded)
}

/// Checks that the configured symbols, and those with open signals, are known and traded; returns those that are.
async fn symbols(core: &SignalLoop, exchange: &Exchange, open: &OpenSignals) -> (Vec<Finding>, Vec<Symbol>) {
    let configured = core.settings().config().symbols.clone();
    let others = open.keys().filter(|symbol| !configured.contains(symbol)).cloned();
    let all: Vec<Symbol> = configured.iter().cloned().chain(others).collect();
    let prices = match exchange.prices(&all).await {
        Ok(prices) => prices,
        Err(error) => {
            let why = "open signals cannot be closed by price";
            let fault = Finding::fault(Check::Exchange, &error, why, "fix what the message names, and try again");
            return (vec![fault], Vec::new());
        }
    };
    let (mut found, mut traded) = (Vec::new(), Vec::new());
    for (symbol, price) in prices {
        let Err(error) = price else {
            traded.push(symbol);
            continue;
        };
        let why = "its markets can be neither fetched nor watched";
        let advice = "correct or remove it in `symbols` of training_config.json";
        found.extend(configured.contains(&symbol).then(|| Finding::fault(Check::Exchange, &error, why, advice)));
        found.extend(stranded(&symbol, open, "the exchange does not know it"));
    }
    match exchange.halted(&traded).await {
        Ok(halted) => {
            for (symbol, status) in halted {
                traded.retain(|traded| *traded != symbol);
                found.extend(configured.contains(&symbol).then(|| delisted(&symbol, &status, exchange.host())));
                found.extend(stranded(&symbol, open, &format!("its status is {status}")));
            }
        }
        Err(error) => {
            let what = format!("it is unknown whether the symbols are still traded: {error}");
            let why = "the price of a delisted symbol does not move";
            found.push(Finding::warning(Check::Exchange, what, why, "fix what the message names, and try again"));
            traded.clear();
        }
    }
    (found, traded)
}

/// Warns of a symbol that is no longer traded, although the exchange still reports its last price.
fn delisted(symbol: &Symbol, status: &str, host: &str) -> Finding {
    let what = format!("{symbol} is not traded any more: {host} says that its status is {status}");
    let why = "there will be no new candles to train on, and its price does not move: it is delisted, or halted";
    Finding::warning(Check::Exchange, what, why, "remove it from `symbols` of training_config.json")
}

/// Warns of open signals whose symbol is not traded.
fn stranded(symbol: &Symbol, open: &OpenSignals, cause: &str) -> Option<Finding> {
    let count = open.get(symbol)?;
    let what = format!(
        "{} of {symbol} cannot be closed by price: {cause}",
        counted(*count as u64, "open signal", "open signals")
    );
    let why = "no new price reaches a stop or a target, so they stay open until they expire, or for good";
    Some(Finding::warning(
        Check::Exchange,
        what,
        why,
        "close them with `updateOutcome`, by the last price that you could trade at",
    ))
}

/// The smallest possible difference of the clocks: the exchange read its own at some moment between request and response, and it
/// showed a time between these two.
fn clock(asked_ms: i64, (from_ms, until_ms): (i64, i64), answered_ms: i64, host: &str) -> Finding {
    let ahead = if until_ms < asked_ms { asked_ms - until_ms } else { (answered_ms - from_ms).min(0) };
    if ahead.abs() <= MOST_SKEW_MS {
        return Finding::fine(Check::Clock, format!("it agrees with that of {host}"));
    }
    let how = if ahead > 0 { "ahead of" } else { "behind" };
    let what = format!("this machine's clock is {:.1} s {how} that of {host}", ahead.abs() as f64 / 1000.0);
    let why = "candles are taken as closed too early or too late, and signals get wrong times";
    Finding::warning(Check::Clock, what, why, "switch on time synchronisation (timedatectl set-ntp true)")
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn open_signals_without_prices_are_counted() {
        let symbol = Symbol::parse("MATICUSDT").unwrap();
        let open = OpenSignals::from([(symbol.clone(), 3)]);
        let found = stranded(&symbol, &open, "its status is BREAK").unwrap();
        assert_eq!(found.what, "3 open signals of MATICUSDT cannot be closed by price: its status is BREAK");
        assert_eq!(stranded(&Symbol::parse("BTCUSDT").unwrap(), &open, ""), None);
    }

    #[test]
    fn a_slow_answer_is_no_wrong_clock() {
        // Asked at 10 s, answered at 40 s: any server time between them is consistent.
        for (server_ms, state, words) in [
            (10_000, Severity::Fine, "agrees"),
            (40_000, Severity::Fine, "agrees"),
            (8_999, Severity::Warning, "1.0 s ahead of"),
            (9_000, Severity::Fine, "agrees"),
            (41_001, Severity::Warning, "1.0 s behind"),
            (3_640_000, Severity::Warning, "3600.0 s behind"),
        ] {
            let found = clock(10_000, (server_ms, server_ms), 40_000, "host");
            assert_eq!(found.state, state, "{found:?}");
            assert!(found.what.contains(words), "{found:?}");
        }
        // With whole seconds, the exchange's clock showed at most a second more.
        for (second_ms, state) in [(9_000, Severity::Fine), (8_001, Severity::Fine), (8_000, Severity::Warning)] {
            assert_eq!(clock(10_000, (second_ms, second_ms + 999), 10_100, "host").state, state, "{second_ms}");
        }
    }
}
