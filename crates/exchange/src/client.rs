//! A client of an exchange: candles and prices by its public REST API. What differs between exchanges is in `venues`.

use super::dialect::{Dialect, Instrument, Naming, Request, Wanted, shortened};
use super::http::{Answered, Failure, Host, Pace};
use super::prices::{PriceFuture, PriceSource};
use super::source::{CandleFuture, CandleSource, FirstFuture, Found, Listing, ListingFuture};
use super::venues::dialect;
use candles::findings::{Cause, Findings};
use candles::series::{RunEnds, settle};
use domain::candle::Candle;
use domain::error::{Error, Result};
use domain::symbol::{Market, Symbol, Timeframe};
use domain::time::{Clock, format_iso};
use domain::venue::Venue;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long an exchange's list of instruments counts as current.
const LIST_AGE: Duration = Duration::from_secs(3600);
/// How long it is believed that a symbol is not in the list.
const MISSING_AGE: Duration = Duration::from_secs(60);
/// The most symbols in one request about instruments, which keeps URLs short.
const INSTRUMENTS_AT_ONCE: usize = 100;
/// No exchange that names symbols as they are here has longer ones; Bybit's limit of topics counts their characters.
const LONGEST_NAME: usize = 30;

/// A client of an exchange's public REST API. It needs no key. It contacts only the configured host and follows no redirects.
/// Tasks may share it, and then share its request budget.
///
/// [`Pace`] sets time-outs, retries and the budget. Overload, time-outs, incomplete answers, answers that are not JSON, and invalid
/// candles are tried up to four times; if the exchange says how long to wait, all requests of the client wait. An unreachable
/// host is tried twice, then not at all for a second. Refusals are not retried.
#[derive(Debug)]
pub struct Exchange {
    venue: Venue,
    dialect: &'static dyn Dialect,
    host: Host,
    clock: Clock,
    list: Mutex<Option<(Instant, Arc<Instruments>)>>,
}

/// The time by an exchange's clock.
#[derive(Debug, Clone)]
pub struct ServerTime {
    /// UTC epoch ms.
    pub ms: i64,
    /// Why the exchange did not tell its time when it was asked. Then `ms` is from the `Date` header of its answer, which has whole
    /// seconds.
    pub refused: Option<Error>,
}

/// An exchange's instruments by symbol.
type Instruments = HashMap<Symbol, Instrument>;

impl Exchange {
    /// A client of `venue`, at its own host or at `base_url`, at the default [`Pace`]. Connects on the first request.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `base_url` is not an http(s) URL with a host.
    pub fn new(venue: Venue, base_url: Option<&str>) -> Result<Self> {
        Self::with_pace(venue, base_url, Pace::default())
    }

    /// [`Self::new`] with another pace.
    pub fn with_pace(venue: Venue, base_url: Option<&str>, pace: Pace) -> Result<Self> {
        let dialect = dialect(venue);
        let url = base_url.unwrap_or(dialect.facts().url);
        let host = Host::new(url, dialect, pace).ok_or_else(|| {
            Error::argument("exchange_url", format!("must be an http(s) URL such as {}", dialect.facts().url), url)
        })?;
        Ok(Self { venue, dialect, host, clock: Clock::System, list: Mutex::default() })
    }

    /// Tells which candles are recent by another clock than the system's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The exchange.
    pub fn venue(&self) -> Venue {
        self.venue
    }

    /// Host and port, as in errors.
    pub fn host(&self) -> &str {
        self.host.name()
    }

    /// The last price of `symbol`.
    ///
    /// # Errors
    /// [`Error::Exchange`]; includes the exchange's message if it refused.
    pub async fn price(&self, symbol: &Symbol) -> Result<f64> {
        let failed = |failure: Failure| symbol_error(symbol, symbol, &failure);
        let name = self.name_of(symbol).await.map_err(failed)?;
        let prices = self.prices_of(&[&name]).await.map_err(failed)?;
        self.read_price(symbol, prices.get(&name))
    }

    /// The last prices of `symbols`, in order, each with its own error. If the exchange refuses a whole request because of one
    /// unknown symbol, the others are requested again.
    ///
    /// # Errors
    /// [`Error::Exchange`] if the exchange cannot be reached or gives no usable answer.
    pub async fn prices(&self, symbols: &[Symbol]) -> Result<Vec<(Symbol, Result<f64>)>> {
        let mut prices: HashMap<&Symbol, Result<f64>> = HashMap::with_capacity(symbols.len());
        let mut names = Vec::with_capacity(symbols.len());
        for symbol in symbols {
            match self.name_of(symbol).await {
                Ok(name) => names.push((symbol, name)),
                Err(failure @ Failure::UnknownSymbol(_)) => {
                    prices.insert(symbol, Err(symbol_error(symbol, symbol, &failure)));
                }
                Err(failure) => return Err(error("prices", failure.message())),
            }
        }
        // A stack: the rest waits behind the current batch.
        let at_once = self.dialect.facts().prices_at_once;
        let mut batches: Vec<&[(&Symbol, String)]> = names.rchunks(at_once).collect();
        while let Some(batch) = batches.pop() {
            let asked: Vec<&str> = batch.iter().map(|(_, name)| name.as_str()).collect();
            match self.prices_of(&asked).await {
                Ok(found) => prices
                    .extend(batch.iter().map(|(symbol, name)| (*symbol, self.read_price(symbol, found.get(name))))),
                Err(failure @ (Failure::Refused(_) | Failure::UnknownSymbol(_))) => match batch {
                    [(symbol, _)] => drop(prices.insert(symbol, Err(symbol_error(symbol, symbol, &failure)))),
                    _ => {
                        let (first, second) = batch.split_at(batch.len() / 2);
                        batches.extend([second, first]);
                    }
                },
                Err(failure) => return Err(error("prices", failure.message())),
            }
        }
        let missing = |symbol| Err(error(symbol, "it was not requested"));
        Ok(symbols.iter().map(|one| (one.clone(), prices.get(one).cloned().unwrap_or_else(|| missing(one)))).collect())
    }

    /// The `symbols` that do not trade now, each with its status, such as `BREAK`.
    ///
    /// # Errors
    /// [`Error::Exchange`]; at Binance also if it does not know one of them.
    pub async fn halted(&self, symbols: &[Symbol]) -> Result<Vec<(Symbol, String)>> {
        let mut halted = Vec::new();
        for batch in symbols.chunks(INSTRUMENTS_AT_ONCE) {
            let listed = self.instruments(batch).await.map_err(|failure| error("symbols", failure.message()))?;
            let status = |symbol: &Symbol| Some((symbol.clone(), listed.get(symbol)?.halted.clone()?));
            halted.extend(batch.iter().filter_map(status));
        }
        Ok(halted)
    }

    /// The current time by the exchange's clock: by its request for the time, else by the `Date` header of its refusal.
    ///
    /// # Errors
    /// [`Error::Exchange`] if it sent neither, or if its failure is one that no retry would change, such as HTTP 403.
    pub async fn server_time(&self) -> Result<ServerTime> {
        let read = |answer: Value| {
            self.dialect.read_time(&answer).ok_or_else(|| format!("it sent no time; got {}", shortened(&answer)))
        };
        let asked = Instant::now();
        match self.host.ask(&self.dialect.time(), read).await {
            Ok(Answered { answer, .. }) => Ok(ServerTime { ms: answer, refused: None }),
            Err(failure) => {
                let refused = error("the exchange's time", failure.message());
                match (self.host.dated_after(asked), failure) {
                    // No request would succeed, so the failure is reported although its answer has a date.
                    (None, _) | (_, Failure::Lasting(_)) => Err(refused),
                    (Some(ms), _) => Ok(ServerTime { ms, refused: Some(refused) }),
                }
            }
        }
    }

    /// The names of symbols on the exchange's WebSocket, by the rule that its REST API follows; those that it does not list are
    /// left out. Describes why they cannot be had.
    pub(super) async fn stream_names(
        &self,
        symbols: &BTreeSet<Symbol>,
    ) -> std::result::Result<BTreeMap<Symbol, String>, String> {
        if self.dialect.facts().naming == Naming::Plain {
            let is_name = |name: &str| name.len() <= LONGEST_NAME && name.chars().all(char::is_alphanumeric);
            let names = symbols.iter().map(|symbol| (symbol.clone(), symbol.to_string()));
            return Ok(names.filter(|(_, name)| is_name(name)).collect());
        }
        let all: Vec<Symbol> = symbols.iter().cloned().collect();
        let listed = self.instruments(&all).await.map_err(|failure| failure.message().to_owned())?;
        let name = |symbol: &Symbol| Some((symbol.clone(), listed.get(symbol)?.stream_name.clone()));
        Ok(symbols.iter().filter_map(name).collect())
    }

    /// The answer to a request of the exchange's stream. Describes why there is none.
    pub(super) async fn ask(&self, request: &Request) -> std::result::Result<Value, String> {
        let answered = self.host.ask(request, Ok).await;
        answered.map(|answered| answered.answer).map_err(|failure| failure.message().to_owned())
    }

    /// The prices in one answer, by the exchange's names.
    async fn prices_of(&self, names: &[&str]) -> std::result::Result<HashMap<String, Value>, Failure> {
        let read = |answer: Value| self.dialect.read_prices(&answer, names).map(HashMap::from_iter);
        Ok(self.host.ask(&self.dialect.prices(names), read).await?.answer)
    }

    fn read_price(&self, symbol: &Symbol, price: Option<&Value>) -> Result<f64> {
        let number = price.and_then(|price| price.as_f64().or_else(|| price.as_str()?.parse().ok()));
        number.filter(|price| price.is_finite() && *price > 0.0).ok_or_else(|| {
            let got = shortened(price.unwrap_or(&Value::Null));
            error(symbol, &format!("{} sent no price; got {got}", self.host.name()))
        })
    }

    /// The exchange's name of a symbol.
    async fn name_of(&self, symbol: &Symbol) -> std::result::Result<String, Failure> {
        if self.dialect.facts().naming == Naming::Plain {
            return Ok(symbol.to_string());
        }
        let listed = self.instruments(std::slice::from_ref(symbol)).await?;
        let listed = listed.get(symbol).map(|instrument| instrument.name.clone());
        listed.ok_or_else(|| Failure::UnknownSymbol(format!("{} does not list it", self.host.name())))
    }

    /// The exchange's list, or at least these symbols of it. A whole list is kept for an hour, or a minute if it lacks one of
    /// them.
    async fn instruments(&self, symbols: &[Symbol]) -> std::result::Result<Arc<Instruments>, Failure> {
        let mut kept = self.list.lock().await;
        if let Some((since, list)) = &*kept {
            let has_all = symbols.iter().all(|symbol| list.contains_key(symbol));
            if since.elapsed() < if has_all { LIST_AGE } else { MISSING_AGE } {
                return Ok(list.clone());
            }
        }
        let names: Vec<&str> = symbols.iter().map(Symbol::as_str).collect();
        let read = |answer: Value| self.dialect.read_instruments(&answer);
        let listed = self.host.ask(&self.dialect.instruments(&names), read).await?.answer;
        let mut list = Instruments::with_capacity(listed.len());
        for instrument in listed {
            for symbol in instrument.symbols.clone() {
                list.entry(symbol).or_insert_with(|| instrument.clone());
            }
        }
        let list = Arc::new(list);
        *kept = self.dialect.lists_all().then(|| (Instant::now(), list.clone()));
        Ok(list)
    }

    /// The timeframe to request for candles of `timeframe`, and the exchange's name of it: itself, or the longest that divides it.
    fn finer(&self, timeframe: Timeframe) -> Result<(Timeframe, &'static str)> {
        let known = self.dialect.facts().timeframes.iter();
        let known = known.filter_map(|(name, own)| Some((Timeframe::parse(name).ok()?, *own)));
        let dividing = known.filter(|(one, _)| timeframe.millis() % one.millis() == 0);
        dividing.max_by_key(|(one, _)| one.millis()).ok_or_else(|| {
            let known: Vec<&str> = self.dialect.facts().timeframes.iter().map(|(name, _)| *name).collect();
            let allowed = format!("must be a multiple of one that {} has: {}", self.venue.title(), known.join(", "));
            Error::argument("timeframe", allowed, timeframe)
        })
    }

    async fn fetch(&self, market: &Market, from_ms: i64, until_ms: i64) -> Result<Found> {
        let (timeframe, interval) = self.finer(market.timeframe)?;
        let series = Series { market, timeframe, interval };
        if timeframe == market.timeframe {
            return self.fetch_series(&series, from_ms, until_ms, None).await;
        }
        // Whole candles only.
        let step = market.timeframe.millis();
        let opens = |ms: i64| market.timeframe.open_ms(ms + step - 1);
        let mut found = self.fetch_series(&series, opens(from_ms), opens(until_ms), None).await?;
        found.candles = joined(&found.candles, market.timeframe);
        Ok(found)
    }

    /// Fetches page after page. `most` candles suffice.
    async fn fetch_series(
        &self,
        series: &Series<'_>,
        from_ms: i64,
        until_ms: i64,
        most: Option<usize>,
    ) -> Result<Found> {
        let (facts, step) = (self.dialect.facts(), series.timeframe.millis());
        let failed = |failure: Failure| symbol_error(series.market, &series.market.symbol, &failure);
        let mut found = Found::default();
        let now_ms = self.clock.now_ms();
        let mut from = from_ms;
        if let Some(reach) = facts.reach {
            // The candle that is still open is one of them.
            let first_ms = now_ms - reach as i64 * step + 1;
            found.findings.add(Cause::BeyondReach, usize::from(from < first_ms), || {
                format!(
                    "{} has only the newest {reach} candles of {}, back to {}; older ones can be imported",
                    self.venue.title(),
                    series.timeframe,
                    format_iso(first_ms)
                )
            });
            from = from.max(first_ms);
        }
        if from >= until_ms {
            return Ok(found);
        }
        let name = self.name_of(&series.market.symbol).await.map_err(failed)?;
        while from < until_ms && most.is_none_or(|most| found.candles.len() < most) {
            let candles_ago = (now_ms - from).div_euclid(step) + 1;
            let page = self.dialect.page(candles_ago);
            let limit = if facts.seeks { page.min(most.unwrap_or(page)) } else { page };
            let until = if facts.seeks { until_ms } else { until_ms.min(from.saturating_add(limit as i64 * step)) };
            let wanted =
                Wanted { name: &name, interval: series.interval, from_ms: from, until_ms: until, limit, candles_ago };
            let read = |answer: Value| self.read_page(answer, series.timeframe, &wanted);
            let answered = self.host.ask(&self.dialect.candles(&wanted), read).await;
            let Answered { answer: (page, findings), retries, problem } = answered.map_err(failed)?;
            found.findings.merge(findings);
            found.findings.add(Cause::Retried, retries, || problem.unwrap_or_default());
            from = match page.last() {
                _ if !facts.seeks => until,
                Some(last) => last.open_ms + step,
                None => until_ms,
            };
            found.candles.extend(page);
        }
        Ok(found)
    }

    /// The candles of one answer, in order. Describes what is wrong with an answer that cannot be trusted.
    fn read_page(
        &self,
        answer: Value,
        timeframe: Timeframe,
        wanted: &Wanted<'_>,
    ) -> std::result::Result<(Vec<Candle>, Findings), String> {
        let facts = self.dialect.facts();
        let (candles, mut findings) = facts.origin.candles(answer, timeframe)?;
        let (mut candles, settled) = settle(candles, RunEnds::Sure)?;
        findings.merge(settled);
        if facts.seeks && candles.last().is_some_and(|last| last.open_ms < wanted.from_ms) {
            return Err("it ignores `startTime`".to_owned());
        }
        if !facts.seeks {
            let count = candles.len();
            candles.retain(|candle| (wanted.from_ms..wanted.until_ms).contains(&candle.open_ms));
            if count > 0 && candles.is_empty() && facts.reach.is_none() {
                return Err("it ignores the requested times".to_owned());
            }
        }
        Ok((candles, findings))
    }

    /// The open time of the first candle at or after `from_ms`. An exchange that does not seek is asked for its longest candles:
    /// then the time may be earlier, by less than one of them.
    async fn first_of(&self, market: &Market, from_ms: i64) -> Result<Option<i64>> {
        let facts = self.dialect.facts();
        let (mut timeframe, mut interval) = self.finer(market.timeframe)?;
        let mut from = from_ms.max(facts.opened_ms);
        match facts.timeframes.last() {
            // What lies beyond its reach is not requested anyway.
            _ if facts.reach.is_some() => return Ok(None),
            Some((name, own)) if !facts.seeks => {
                (timeframe, interval) = (Timeframe::parse(name)?, own);
                from -= timeframe.millis();
            }
            _ => {}
        }
        let series = Series { market, timeframe, interval };
        let found = self.fetch_series(&series, from, self.clock.now_ms(), Some(1)).await?;
        let is_built = self.finer(market.timeframe)?.0 != market.timeframe;
        let opens = |ms: i64| if is_built { market.timeframe.open_ms(ms) } else { ms };
        Ok(found.candles.first().map(|candle| opens(candle.open_ms).max(from_ms)))
    }
}

/// What is requested page by page.
struct Series<'a> {
    market: &'a Market,
    /// The timeframe of the requested candles, which may be finer than that of the market.
    timeframe: Timeframe,
    /// The exchange's name of it.
    interval: &'static str,
}

/// Candles of `timeframe` from finer ones in order.
fn joined(finer: &[Candle], timeframe: Timeframe) -> Vec<Candle> {
    let same = |one: &Candle, other: &Candle| timeframe.open_ms(one.open_ms) == timeframe.open_ms(other.open_ms);
    let join = |part: &[Candle]| {
        let (first, last) = (part.first()?, part.last()?);
        Some(Candle {
            open_ms: timeframe.open_ms(first.open_ms),
            open: first.open,
            high: part.iter().map(|candle| candle.high).fold(f64::MIN, f64::max),
            low: part.iter().map(|candle| candle.low).fold(f64::MAX, f64::min),
            close: last.close,
            volume: part.iter().map(|candle| candle.volume).sum(),
        })
    };
    finer.chunk_by(same).filter_map(join).collect()
}

impl CandleSource for Exchange {
    fn candles<'a>(&'a self, market: &'a Market, from_ms: i64, until_ms: i64) -> CandleFuture<'a> {
        Box::pin(self.fetch(market, from_ms, until_ms))
    }

    fn first_ms<'a>(&'a self, market: &'a Market, from_ms: i64) -> FirstFuture<'a> {
        Box::pin(self.first_of(market, from_ms))
    }

    fn listing<'a>(&'a self, market: &'a Market) -> ListingFuture<'a> {
        Box::pin(async move {
            match self
                .instruments(std::slice::from_ref(&market.symbol))
                .await
                .map(|list| list.get(&market.symbol).cloned())
            {
                Ok(Some(Instrument { halted: None, .. })) => Listing::Traded,
                Ok(Some(Instrument { halted: Some(status), .. })) => {
                    Listing::Not(format!("{} says that its status is {status}", self.host.name()))
                }
                Ok(None) if self.dialect.lists_all() => Listing::Not(format!("{} does not list it", self.host.name())),
                Err(Failure::UnknownSymbol(said)) => Listing::Not(said),
                // The host serves only candles.
                Ok(None) | Err(_) => Listing::Unknown,
            }
        })
    }
}

impl PriceSource for Exchange {
    fn prices<'a>(&'a self, symbols: &'a [Symbol]) -> PriceFuture<'a> {
        Box::pin(Self::prices(self, symbols))
    }
}

/// The error for a request about one symbol.
fn symbol_error(what: impl std::fmt::Display, symbol: &Symbol, failure: &Failure) -> Error {
    match failure {
        Failure::UnknownSymbol(said) => {
            Error::NotTraded { symbol: symbol.to_string(), said: format!("{what}: {said}") }
        }
        other => error(what, other.message()),
    }
}

fn error(what: impl std::fmt::Display, said: &str) -> Error {
    Error::Exchange(format!("{what}: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Binance distinguishes symbols that it trades, that it stopped trading, and that it does not know.
    #[tokio::test]
    async fn a_market_is_traded_or_not_as_the_exchange_says() {
        use std::io::{Read, Write};
        let status = |status: &str| format!(r#"{{ "symbols": [{{ "symbol": "XUSDT", "status": "{status}" }}] }}"#);
        let unknown = r#"{ "code": -1121, "msg": "Invalid symbol." }"#.to_owned();
        let answers = [
            (200, status("TRADING")),
            (200, status("BREAK")),
            (400, unknown.clone()),
            (404, "nothing here".to_owned()),
            (400, unknown),
        ];
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            for (code, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                assert!(stream.read(&mut request).unwrap() > 0);
                let head = format!("HTTP/1.1 {code} X\r\ncontent-length: {}\r\nconnection: close", body.len());
                stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
            }
        });
        let (exchange, market) =
            (Exchange::new(Venue::Binance, Some(&url)).unwrap(), Market::parse("XUSDT", "1h").unwrap());
        assert_eq!(exchange.listing(&market).await, Listing::Traded);
        for words in ["status is BREAK", "Invalid symbol"] {
            let Listing::Not(why) = exchange.listing(&market).await else { panic!("it is not traded") };
            assert!(why.contains(words), "{why}");
        }
        assert_eq!(exchange.listing(&market).await, Listing::Unknown, "a host that serves candles alone");
        let error = exchange.candles(&market, 0, 1_757_764_800_000).await.unwrap_err();
        assert!(error.is_not_traded() && error.code() == "ERR_EXCHANGE", "{error}");
        assert!(error.to_string().starts_with("XUSDT 1h: 127.0.0.1:"), "{error}");
        server.join().unwrap();
    }

    #[test]
    fn only_an_http_url_will_do() {
        for url in ["", "api.binance.com", "ftp://x", "https://", "file:///etc/passwd"] {
            assert_eq!(Exchange::new(Venue::Binance, Some(url)).unwrap_err().code(), "ERR_INVALID_ARGUMENT", "{url}");
        }
        assert_eq!(
            Exchange::new(Venue::Binance, Some("http://127.0.0.1:8080/x/")).unwrap().host.name(),
            "127.0.0.1:8080"
        );
    }
}
