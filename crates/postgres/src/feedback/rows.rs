//! Rows of the table `signals`: writing records, and reading them back exactly equal.

use domain::barrier::{Direction, Levels, Outcome};
use domain::error::{Error, Resource, Result, because};
use domain::signal::SignalKey;
use domain::signal::{Closing, Excursion, Record, is_strategy};
use domain::symbol::Timeframe;
use domain::time::{Tz, format_iso};
use feedback::canonical::CanonicalLine;
use feedback::line::{self, Facts, Reason};
use feedback::state::{Place, State};
use feedback::writer::WriteBatch;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

/// The columns that memory keeps, by position in [`Known::read`]; `exact` is nearly always null.
pub(super) const KNOWN: &str = "number, change, batch, id, symbol, timeframe, direction, confidence, entry_price, \
    stop_loss, take_profit, given_at, expires_at, outcome, exit_price, profit_percent, closed_at, exact, \
    CASE jsonb_typeof(rest -> 'strategy') WHEN 'string' THEN rest ->> 'strategy' END AS strategy, \
    coalesce(rest -> 'taken' <> 'false'::jsonb, true) AS taken, \
    CASE WHEN rest ?| ARRAY['managed_terms', 'managed_history', 'fee_bps', 'funding_bps_per_day'] THEN rest::text END \
      AS detailed";

/// Closes an existing, open row.
const CLOSE: &str = "\
    ON CONFLICT (number) DO UPDATE SET change = excluded.change, batch = excluded.batch, \
      confidence = excluded.confidence, outcome = excluded.outcome, exit_price = excluded.exit_price, \
      profit_percent = excluded.profit_percent, closed_at = excluded.closed_at, rest = excluded.rest, \
      exact = excluded.exact \
    WHERE s.outcome = 'ACTIVE' \
    RETURNING 1";

/// The statement that writes rows in order and returns their number; it writes nothing if the position is not `$1` any more. If
/// all rows are new, none is searched for to be closed.
///
/// The arrays are unnested in the select list. If each were a table in the FROM clause, it would be stored before it is read.
pub(super) fn write(all_new: bool) -> String {
    let (close, count) =
        if all_new { ("", "cardinality($5)::bigint") } else { (CLOSE, "(SELECT count(*) FROM written)") };
    format!(
        "WITH turn AS (UPDATE signals_position SET position = $2 WHERE position = $1 RETURNING position), \
        written AS ( \
          INSERT INTO signals AS s (number, change, batch, id, symbol, timeframe, direction, confidence, entry_price, \
            stop_loss, take_profit, given_at, expires_at, outcome, exit_price, profit_percent, closed_at, rest, exact) \
          SELECT unnest($5::bigint[]), unnest($6::bigint[]), $3, unnest($7::text[]), unnest($8::text[]), \
            unnest($9::text[]), unnest($10::text[]), unnest($11::float8[]), unnest($12::float8[]), unnest($13::float8[]), \
            unnest($14::float8[]), unnest($15::timestamptz[]), unnest($16::timestamptz[]), unnest($17::text[]), \
            unnest($18::float8[]), unnest($19::float8[]), unnest($20::timestamptz[]), unnest($21::text[])::jsonb, \
            unnest($22::text[]) \
          FROM turn {close}) \
        SELECT {count}, pg_notify($4, position::text) FROM turn"
    )
}

/// Rows to write, column by column.
#[derive(Default)]
pub(super) struct Rows {
    /// The position by which they were decided.
    pub from: i64,
    /// Identifies this batch.
    pub batch: i64,
    /// The keys of their signals.
    pub keys: Vec<SignalKey>,
    number: Vec<i64>,
    change: Vec<i64>,
    id: Vec<String>,
    symbol: Vec<String>,
    timeframe: Vec<&'static str>,
    direction: Vec<&'static str>,
    confidence: Vec<Option<f64>>,
    entry_price: Vec<Option<f64>>,
    stop_loss: Vec<Option<f64>>,
    take_profit: Vec<Option<f64>>,
    given_at: Vec<SystemTime>,
    expires_at: Vec<Option<SystemTime>>,
    outcome: Vec<&'static str>,
    exit_price: Vec<Option<f64>>,
    profit_percent: Vec<Option<f64>>,
    closed_at: Vec<Option<SystemTime>>,
    rest: Vec<String>,
    exact: Vec<Option<String>>,
}

impl Rows {
    /// The rows of a batch that was decided by a state at this position.
    ///
    /// # Errors
    /// [`Error::Internal`] if a line that this store made cannot be read.
    pub fn of(batch: &WriteBatch<'_>, state: &State, from: i64, zone: Tz) -> Result<Self> {
        let mut rows = Self { from, batch: rand::random::<i64>(), ..Self::default() };
        let mut seen = HashSet::with_capacity(batch.added.len());
        for (facts, _) in &batch.added {
            // A signal that is recorded and closed in one batch has one row.
            if seen.insert(facts.key)
                && let Some((_, line)) = batch.newest(facts.key)
            {
                let change = from + seen.len() as i64;
                let number = state.place(facts.key).map_or(change, |place| place.offset as i64);
                let record;
                let columns = match line::canonical(line, zone).and_then(Columns::of_canonical) {
                    Some(columns) => columns,
                    None => {
                        record = line::decode(line, zone).map_err(Error::Internal)?;
                        Columns::of(&record)?
                    }
                };
                rows.add(number, change, columns, facts.key, line);
            }
        }
        Ok(rows)
    }

    fn add(&mut self, number: i64, change: i64, columns: Columns<'_>, key: SignalKey, line: &[u8]) {
        let Columns { id, rest, closing, .. } = columns;
        let exact = !is_kept(id, &rest);
        self.keys.push(key);
        self.number.push(number);
        self.change.push(change);
        self.id.push(if exact { readable(id, key) } else { id.to_owned() });
        self.symbol.push(columns.symbol.to_owned());
        self.timeframe.push(columns.timeframe.as_str());
        self.direction.push(columns.direction.map_or("HOLD", Direction::as_str));
        self.confidence.push(columns.confidence);
        self.entry_price.push(columns.entry_price);
        self.stop_loss.push(columns.stop_loss);
        self.take_profit.push(columns.take_profit);
        self.given_at.push(time(columns.timestamp_ms));
        self.expires_at.push(columns.expires_ms.map(time));
        self.outcome.push(closing.map_or(Outcome::Active, |closing| closing.outcome).as_str());
        self.exit_price.push(closing.and_then(|closing| closing.exit_price));
        self.profit_percent.push(closing.map(|closing| closing.profit_percent));
        self.closed_at.push(closing.map(|closing| time(closing.closed_ms)));
        self.rest.push(if exact { rest.replace("\\u0000", "\\ufffd") } else { rest });
        self.exact.push(exact.then(|| String::from_utf8_lossy(line).into_owned()));
    }

    /// The number of rows.
    pub fn count(&self) -> usize {
        self.number.len()
    }

    /// Whether none of them exists yet.
    pub fn all_new(&self) -> bool {
        self.number == self.change
    }

    /// The position of the table after writing.
    pub fn to(&self) -> i64 {
        self.from + self.count() as i64
    }

    /// The parameters of [`write`] from `$3` on, except for the channel's name, `$4`.
    pub fn columns(&self) -> [&(dyn ToSql + Sync); 18] {
        [
            &self.number,
            &self.change,
            &self.id,
            &self.symbol,
            &self.timeframe,
            &self.direction,
            &self.confidence,
            &self.entry_price,
            &self.stop_loss,
            &self.take_profit,
            &self.given_at,
            &self.expires_at,
            &self.outcome,
            &self.exit_price,
            &self.profit_percent,
            &self.closed_at,
            &self.rest,
            &self.exact,
        ]
    }

    /// The number of each signal's row, in the order of its first line.
    pub fn numbers(&self) -> &[i64] {
        &self.number
    }
}

/// A record, column by column.
struct Columns<'a> {
    id: &'a str,
    symbol: &'a str,
    timeframe: Timeframe,
    direction: Option<Direction>,
    confidence: Option<f64>,
    entry_price: Option<f64>,
    stop_loss: Option<f64>,
    take_profit: Option<f64>,
    timestamp_ms: i64,
    expires_ms: Option<i64>,
    closing: Option<Closing>,
    /// The members without a column, as JSON text.
    rest: String,
}

impl<'a> Columns<'a> {
    fn of(record: &'a Record) -> Result<Self> {
        let Record { signal, closing, .. } = record;
        Ok(Self {
            id: &signal.id,
            symbol: signal.symbol.as_str(),
            timeframe: signal.timeframe,
            direction: signal.direction,
            confidence: signal.confidence,
            entry_price: signal.entry_price,
            stop_loss: signal.stop_loss,
            take_profit: signal.take_profit,
            timestamp_ms: signal.timestamp_ms,
            expires_ms: signal.expires_ms,
            closing: *closing,
            rest: rest(record)?,
        })
    }

    /// From a canonical line, without parsing all of it; `None` for a HOLD, whose prices are not parsed.
    fn of_canonical(line: CanonicalLine<'a>) -> Option<Self> {
        let levels = line.levels?;
        Some(Self {
            id: line.id,
            symbol: line.symbol,
            timeframe: line.timeframe,
            direction: line.direction,
            confidence: line.confidence,
            entry_price: Some(levels.entry),
            stop_loss: levels.stop_loss,
            take_profit: levels.take_profit,
            timestamp_ms: line.timestamp_ms,
            expires_ms: levels.expires_ms,
            closing: line.closing,
            rest: rest_of(&line)?,
        })
    }
}

/// The members of a canonical line without a column, as JSON text; `None` if the other reader must do it.
fn rest_of(line: &CanonicalLine<'_>) -> Option<String> {
    match line.closing.and_then(|closing| closing.excursion) {
        None => Some(format!("{{{}}}", line.rest)),
        Some(Excursion { best_percent, worst_percent }) => {
            let comma = if line.rest.is_empty() { "" } else { "," };
            let number = |percent: f64| serde_json::to_string(&percent).ok();
            let (best, worst) = (number(best_percent)?, number(worst_percent)?);
            Some(format!("{{{}{comma}\"mfe_percent\":{best},\"mae_percent\":{worst}}}", line.rest))
        }
    }
}

/// The members of a record without a column, as JSON text.
fn rest(record: &Record) -> Result<String> {
    let Record { signal, history, closing, said } = record;
    let mut rest = Map::new();
    let value =
        |json: serde_json::Result<Value>| json.map_err(|e| Error::Internal(format!("a record cannot be written: {e}")));
    if let Some(strategy) = &signal.strategy {
        rest.insert("strategy".to_owned(), Value::from(strategy.as_str()));
    }
    if !signal.taken {
        rest.insert("taken".to_owned(), Value::from(false));
    }
    if !signal.indicators.is_empty() {
        rest.insert("indicators".to_owned(), value(serde_json::to_value(&signal.indicators))?);
    }
    if let Some(features) = &signal.features {
        rest.insert("features".to_owned(), value(serde_json::to_value(features))?);
    }
    if let Some(said) = said {
        rest.insert("said".to_owned(), value(serde_json::to_value(said))?);
    }
    if let Some(source) = &signal.source {
        rest.insert("source".to_owned(), Value::from(source.as_str()));
    }
    if !signal.tags.is_empty() {
        rest.insert("tags".to_owned(), Value::from(signal.tags.clone()));
    }
    rest.extend(signal.position.members().map(|(key, number)| (key.to_owned(), Value::from(number))));
    if let Some(terms) = &signal.terms {
        rest.insert("managed_terms".to_owned(), value(serde_json::to_value(terms))?);
    }
    if !history.is_empty() {
        rest.insert("managed_history".to_owned(), value(serde_json::to_value(history))?);
    }
    rest.extend(closing.and_then(|closing| closing.excursion).iter().flat_map(excursion));
    rest.extend(signal.extra.iter().map(|(key, value)| (key.clone(), value.clone())));
    Ok(Value::Object(rest).to_string())
}

/// The members of an excursion.
fn excursion(excursion: &Excursion) -> [(String, Value); 2] {
    let Excursion { best_percent, worst_percent } = *excursion;
    [("mfe_percent", best_percent), ("mae_percent", worst_percent)]
        .map(|(key, percent)| (key.to_owned(), Value::from(percent)))
}

/// Whether text columns and JSONB return exactly what was written. If in doubt, no: for a NUL, a number with an exponent (JSONB
/// turns 1e16 into an integer), or a negative zero.
fn is_kept(id: &str, rest: &str) -> bool {
    let bytes = rest.as_bytes();
    let doubtful = |(at, pair): (usize, &[u8])| match pair {
        [b'-', b'0'] => {
            let end = bytes[at + 1..].iter().find(|byte| !matches!(byte, b'0' | b'.'));
            !end.is_some_and(u8::is_ascii_digit)
        }
        [b'0'..=b'9', b'e' | b'E'] => true,
        _ => false,
    };
    !id.contains('\0') && !rest.contains("\\u0000") && !bytes.windows(2).enumerate().any(doubtful)
}

/// An id in a form that a text column can hold.
fn readable(id: &str, key: SignalKey) -> String {
    if id.contains('\0') { format!("{} ({key})", id.replace('\0', "\u{fffd}")) } else { id.to_owned() }
}

/// All times of records are after 1973.
fn time(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms.unsigned_abs())
}

fn millis(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// A value of a row, by position of its column.
fn column<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T> {
    row.try_get(at).map_err(|e| {
        let name = row.columns().get(at).map_or("?", |column| column.name());
        let what = format!("column {name} of the table signals cannot be read");
        Error::storage(Resource::FeedbackStore, because(what, e))
    })
}

/// A row of [`KNOWN`], in the form that the state needs.
pub(super) struct Known {
    pub number: i64,
    pub change: i64,
    pub batch: i64,
    pub facts: std::result::Result<Facts<'static>, Reason>,
}

impl Known {
    /// # Errors
    /// [`Error::Storage`] if the columns do not match this schema.
    pub fn read(row: &Row, zone: Tz) -> Result<Self> {
        let facts = match column::<Option<&str>>(row, 17)? {
            Some(line) => line::facts(line.as_bytes(), zone).map(Facts::into_owned),
            None if column::<Option<&str>>(row, 20)?.is_some() => detailed_facts(row, zone)?,
            None => facts(row)?.map_err(|e| e.to_string()),
        };
        Ok(Self { number: column(row, 0)?, change: column(row, 1)?, batch: column(row, 2)?, facts })
    }

    pub fn place(&self) -> Place {
        Place { offset: self.number as u64, len: 0 }
    }
}

/// The outer error is a column of the wrong type, the inner one an impossible value.
fn facts(row: &Row) -> Result<Result<Facts<'static>>> {
    let at = |at| column::<Option<SystemTime>>(row, at).map(|at| at.map(millis));
    let (timestamp_ms, expires_ms, closed_ms) = (millis(column(row, 11)?), at(12)?, at(16)?);
    let [entry, stop_loss, take_profit] = [column::<Option<f64>>(row, 8)?, column(row, 9)?, column(row, 10)?];
    let (timeframe, direction, outcome): (&str, &str, &str) = (column(row, 5)?, column(row, 6)?, column(row, 13)?);
    let closing = (column(row, 14)?, column::<Option<f64>>(row, 15)?, closed_ms);
    let mut facts = Facts {
        key: SignalKey::of(column(row, 3)?),
        symbol: Cow::Owned(column(row, 4)?),
        timeframe: Timeframe::H1,
        direction: None,
        confidence: column(row, 7)?,
        timestamp_ms,
        levels: None,
        closing: None,
        strategy: column::<Option<String>>(row, 18)?.filter(|text| is_strategy(text)).map(Cow::Owned),
        taken: column(row, 19)?,
        trade: None,
        details: None,
    };
    let mut complete = || {
        facts.timeframe = Timeframe::parse(timeframe)?;
        facts.direction = Direction::named(direction);
        facts.levels = match (facts.direction, entry) {
            (None, _) => None,
            (Some(direction), entry) => {
                let levels = Levels::checked(direction, entry.unwrap_or(f64::NAN), stop_loss, take_profit)?;
                Some(Levels { since_ms: timestamp_ms, expires_ms, ..levels })
            }
        };
        facts.closing = match (Outcome::named(outcome), closing) {
            (Some(Outcome::Active), _) => None,
            (Some(outcome), (exit_price, Some(profit_percent), Some(closed_ms))) => {
                Some(Closing { outcome, exit_price, profit_percent, closed_ms, excursion: None })
            }
            _ => {
                let problem = format!("{outcome} is not an outcome, or its profit or time is missing");
                return Err(Error::storage(Resource::FeedbackStore, problem));
            }
        };
        Ok(())
    };
    let completed = complete();
    Ok(completed.map(|()| facts))
}

/// Of a managed signal, and of one that states its costs, all columns count.
fn detailed_facts(row: &Row, zone: Tz) -> Result<std::result::Result<Facts<'static>, Reason>> {
    let record = record_of(row, &KNOWN_COLUMNS, zone)?;
    Ok(record.map(|record| Facts::of(&record)))
}

/// The columns that a record's line is made of.
pub(super) const WHOLE: &str = "number, exact, id, symbol, timeframe, direction, confidence, entry_price, stop_loss, \
    take_profit, given_at, expires_at, outcome, exit_price, profit_percent, closed_at, rest::text";

/// The number of a row of [`WHOLE`], and its line in the form of the log, without the newline.
///
/// # Errors
/// [`Error::Storage`] if it is not a record.
pub(super) fn line_of(row: &Row, zone: Tz) -> Result<(i64, Vec<u8>)> {
    let number = column(row, 0)?;
    if let Some(line) = column::<Option<&str>>(row, 1)? {
        return Ok((number, line.as_bytes().to_vec()));
    }
    let unfit = |what: &dyn std::fmt::Display| {
        Error::storage(Resource::FeedbackStore, format!("row {number} of the table signals: {what}"))
    };
    let record = record_of(row, &WHOLE_COLUMNS, zone)?.map_err(|reason| unfit(&reason))?;
    let mut line = line::encode(&record)?;
    line.pop();
    Ok((number, line))
}

/// Where a query has the columns of a record.
struct Positions {
    /// `id`, `symbol`, `timeframe`, `direction`.
    texts: [usize; 4],
    /// `confidence`, `entry_price`, `stop_loss`, `take_profit`, `exit_price`, `profit_percent`.
    numbers: [usize; 6],
    /// `given_at`, `expires_at`, `closed_at`.
    times: [usize; 3],
    outcome: usize,
    /// `rest`, as text.
    rest: usize,
}

/// Of [`KNOWN`].
const KNOWN_COLUMNS: Positions =
    Positions { texts: [3, 4, 5, 6], numbers: [7, 8, 9, 10, 14, 15], times: [11, 12, 16], outcome: 13, rest: 20 };
/// Of [`WHOLE`].
const WHOLE_COLUMNS: Positions =
    Positions { texts: [2, 3, 4, 5], numbers: [6, 7, 8, 9, 13, 14], times: [10, 11, 15], outcome: 12, rest: 16 };

/// The record of a row; the inner error is an impossible value.
fn record_of(row: &Row, at: &Positions, zone: Tz) -> Result<std::result::Result<Record, Reason>> {
    let mut object = Map::new();
    for (at, key) in at.texts.into_iter().zip(["signal_id", "symbol", "timeframe", "signal_type"]) {
        object.insert(key.to_owned(), Value::from(column::<&str>(row, at)?));
    }
    let numbers = ["confidence", "entry_price", "stop_loss", "take_profit", "exit_price", "profit_loss_percent"];
    for (at, key) in at.numbers.into_iter().zip(numbers) {
        if let Some(value) = column::<Option<f64>>(row, at)? {
            object.insert(key.to_owned(), Value::from(value));
        }
    }
    for (at, key) in at.times.into_iter().zip(["timestamp", "expires_at", "closed_at"]) {
        if let Some(value) = column::<Option<SystemTime>>(row, at)? {
            object.insert(key.to_owned(), Value::from(format_iso(millis(value))));
        }
    }
    object.insert("outcome".to_owned(), Value::from(column::<&str>(row, at.outcome)?));
    match serde_json::from_str(column(row, at.rest)?) {
        Ok(Value::Object(rest)) => object.extend(rest),
        Ok(_) => return Ok(Err("its rest is not an object".to_owned())),
        Err(e) => return Ok(Err(e.to_string())),
    }
    Ok(Record::from_json(object, zone).map_err(|e| e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_jsonb_would_change_is_kept_as_text() {
        for kept in ["{\"a\":-0.05,\"b\":[-0.5,0.0,10.0]}", "{\"a\":0.000001}", "{\"a\":-1}", "{\"a\":\"x-y\"}"] {
            assert!(is_kept("id", kept), "{kept}");
        }
        for changed in
            ["{\"a\":-0.0}", "{\"a\":-0}", "{\"a\":[-0.00,1]}", "{\"a\":1e16}", "{\"a\":1E-7}", "{\"a\":\"\\u0000\"}"]
        {
            assert!(!is_kept("id", changed), "{changed}");
        }
        assert!(!is_kept("a\0", "{}"));
    }
}
