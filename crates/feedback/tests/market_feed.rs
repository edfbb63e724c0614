//! A reader that follows the closed signals of a market has what one reads that asks for all of them: in order and out of order, with
//! closings by another store, with compactions and restarts.

use domain::signal::{Ended, Record};
use domain::symbol::Market;
use domain::time::Tz;
use feedback::{ClosingCursor, FeedbackStore, StatsFilter};
use proptest::prelude::*;
use serde_json::json;
use testkit::{T0, open, quick_home};

const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];

#[derive(Debug, Clone)]
enum Step {
    /// A signal with its end, so many minutes after the last one or before it, by this store or another one.
    Close {
        minutes: i64,
        symbol: usize,
        taken: bool,
        known: bool,
        elsewhere: bool,
    },
    Read,
    Compact,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let minutes = prop_oneof![6 => 0i64..4, 2 => -3i64..0, 1 => -2000i64..-100];
    let close =
        (minutes, 0usize..2, prop::bool::weighted(0.8), prop::bool::weighted(0.9), prop::bool::weighted(0.2)).prop_map(
            |(minutes, symbol, taken, known, elsewhere)| Step::Close { minutes, symbol, taken, known, elsewhere },
        );
    prop::collection::vec(
        prop_oneof![12 => close, 5 => Just(Step::Read), 1 => Just(Step::Compact), 1 => Just(Step::Restart)],
        1..80,
    )
}

/// A reader of a market.
#[derive(Default)]
struct Reader {
    cursors: [ClosingCursor; 2],
    ended: Vec<Ended>,
    records: Vec<Record>,
    /// How often it received all of them, and how many closings in all.
    begun: usize,
    received: usize,
}

impl Reader {
    fn read(&mut self, store: &FeedbackStore, market: &Market) {
        let new = store.newly_ended(market, &mut self.cursors[0], |ended, taken| taken.then_some(ended)).unwrap();
        new.add_to(&mut self.ended);
        let new = store.newly_closed(Some(market), &mut self.cursors[1], T0, |record| Ok(Some(record))).unwrap();
        self.begun += usize::from(new.are_all);
        self.received += new.closings.len();
        new.add_to(&mut self.records);
        let filter = StatsFilter::of_market(market);
        assert_eq!(self.ended, store.ended(&filter, &store.costs()).unwrap());
        let mut records = Vec::new();
        let since = StatsFilter { since_ms: Some(T0), ..filter };
        store
            .closed_records(&since, |record| {
                records.push(record);
                Ok(())
            })
            .unwrap();
        assert_eq!(self.records, records);
    }
}

async fn followed(steps: Vec<Step>) {
    let home = quick_home();
    let (mut store, other) = (open(home.path()), open(home.path()));
    let markets = SYMBOLS.map(|symbol| Market::parse(symbol, "1h").unwrap());
    let mut readers: [Reader; 2] = Default::default();
    let mut now_ms = T0 + 10_000 * 60_000;
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Close { minutes, symbol, taken, known, elsewhere } => {
                let closed_ms = now_ms + minutes * 60_000;
                now_ms = now_ms.max(closed_ms);
                let mut signal = json!({
                    "id": format!("{number}"), "symbol": SYMBOLS[symbol], "signalType": "BUY", "confidence": 80,
                    "entryPrice": 100, "stopLoss": 95, "takeProfit": 110, "timestamp": closed_ms - 60_000, "taken": taken,
                    "outcome": "UNKNOWN", "closedAt": closed_ms,
                });
                if known {
                    signal["outcome"] = json!("TOOK_PROFIT");
                }
                let store = if elsewhere { &other } else { &store };
                assert!(store.record(Record::given(signal, Tz::UTC).unwrap()).await.unwrap());
            }
            Step::Read => readers.iter_mut().zip(&markets).for_each(|(reader, market)| reader.read(&store, market)),
            Step::Compact => drop(store.compact().await.unwrap()),
            Step::Restart => {
                store.close().await;
                store = open(home.path());
            }
        }
    }
    readers.iter_mut().zip(&markets).for_each(|(reader, market)| reader.read(&store, market));
    store.close().await;
    other.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_reader_has_what_closed(steps in steps()) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(followed(steps));
    }
}

#[tokio::test]
async fn what_was_received_is_not_read_again() {
    let home = quick_home();
    let store = open(home.path());
    let market = Market::parse("BTCUSDT", "1h").unwrap();
    let mut reader = Reader::default();
    let close = async |id: String, closed_ms: i64| {
        let signal = json!({
            "id": id, "symbol": "BTCUSDT", "signalType": "BUY", "confidence": 80, "entryPrice": 100, "stopLoss": 95,
            "takeProfit": 110, "timestamp": closed_ms - 1, "outcome": "STOPPED_OUT", "closedAt": closed_ms,
        });
        store.record(Record::given(signal, Tz::UTC).unwrap()).await.unwrap();
    };
    for number in 0..20 {
        close(format!("s{number}"), T0 + number * 60_000).await;
        reader.read(&store, &market);
    }
    assert_eq!((reader.begun, reader.received), (1, 20), "each once");
    // One that closed between two that were received.
    close("earlier".to_owned(), T0 + 90_000).await;
    reader.read(&store, &market);
    assert_eq!((reader.begun, reader.received), (2, 41));
    reader.read(&store, &market);
    assert_eq!((reader.begun, reader.received), (2, 41));
    store.close().await;
}
