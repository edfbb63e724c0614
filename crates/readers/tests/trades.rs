//! Trades of freqtrade, by its own exports.

use super::{NOW, all, fixture, json, options, text};
use domain::signal::Record;
use domain::time::Tz;
use readers::{Options, Signal, from_freqtrade, from_freqtrade_zip};
use serde_json::{Value, json};

/// What a signal earned, by its own fields: price, quantity, fee of the round trip. Before funding, which no signal has.
fn earned(signal: &Signal) -> f64 {
    let number = |key: &str| signal[key].as_f64().unwrap();
    let sign = if signal["signalType"] == "BUY" { 1.0 } else { -1.0 };
    let (entered, left) = (number("quantity") * number("entryPrice"), number("quantity") * number("exitPrice"));
    sign * (left - entered) - (entered + left) * number("feeBps") / 2.0 / 10_000.0
}

fn close(a: f64, b: f64, within: f64) {
    assert!((a - b).abs() < within, "{a} and {b}");
}

#[test]
fn the_total_of_a_backtest_is_reproduced_to_the_cent() {
    for (file, class) in
        [("freqtrade/backtest-result-spot.json", "CrossSpot"), ("freqtrade/backtest-result-futures.json", "Cross")]
    {
        let signals = all(from_freqtrade(&text(file), &options()));
        let result = json(file)["strategy"][class].clone();
        let trades = result["trades"].as_array().unwrap();
        assert_eq!(signals.len() as u64, result["total_trades"].as_u64().unwrap());
        let mut total = 0.0;
        for (signal, trade) in signals.iter().zip(trades) {
            let with_funding = earned(signal) + trade["funding_fees"].as_f64().unwrap();
            close(with_funding, trade["profit_abs"].as_f64().unwrap(), 0.005);
            total += with_funding;
        }
        close(total, result["profit_total_abs"].as_f64().unwrap(), 0.005);
        let shorts = signals.iter().filter(|signal| signal["signalType"] == "SELL").count();
        assert_eq!(shorts as u64, result["trade_count_short"].as_u64().unwrap());
    }
    let parts = |trade: &&Value| trade["orders"].as_array().unwrap().len() > 2;
    let futures = json("freqtrade/backtest-result-futures.json");
    assert!(futures["strategy"]["Cross"]["trades"].as_array().unwrap().iter().filter(parts).count() > 3);
}

#[test]
fn a_trade_is_a_closed_signal() {
    let signals = all(from_freqtrade(&text("freqtrade/backtest-result-spot.json"), &options()));
    let mut first = signals[0].clone();
    assert_eq!(first.shift_remove("id").unwrap().as_str().unwrap().len(), 24);
    let expected = json!({
        "symbol": "ETHUSDT", "timeframe": "1h", "signalType": "BUY", "entryPrice": 2287.7, "stopLoss": 2196.2,
        "timestamp": 1_704_423_600_000i64, "quantity": 0.043, "feeBps": 20.0, "strategy": "cross_up", "taken": false, "source": "freqtrade", "tags": ["CrossSpot"],
        "outcome": "STOPPED_OUT", "exitPrice": 2196.2, "closedAt": 1_704_445_200_000i64,
    });
    assert_eq!(Value::Object(first), expected);
    for signal in signals {
        Record::imported(signal, Tz::UTC, 0.1).unwrap();
    }
}

#[test]
fn the_archive_holds_the_same_trades() {
    let archive = from_freqtrade_zip(&fixture("freqtrade/backtest-result-spot.zip"), &options());
    assert_eq!(archive, from_freqtrade(&text("freqtrade/backtest-result-spot.json"), &options()));
    for broken in [&b"PK"[..], b"PK\x03\x04 and no more", &fixture("freqtrade/backtest-result-spot.zip")[..20_000]] {
        let reading = from_freqtrade_zip(broken, &options());
        assert_eq!((reading.signals.len(), reading.refused[0].place.as_str()), (0, "the archive"));
    }
}

#[test]
fn the_rest_api_tells_of_the_same_trades() {
    let rest = all(from_freqtrade(&text("freqtrade/trades-rest.json"), &options()));
    let backtest = all(from_freqtrade(&text("freqtrade/backtest-result-futures.json"), &options()));
    assert_eq!(rest.len(), 9);
    for signal in &rest {
        // The class is not in these trades, so it is not in the tags, and not in the id.
        let same = |other: &&Signal| {
            ["symbol", "timestamp", "entryPrice", "signalType"].iter().all(|key| other[*key] == signal[*key])
        };
        let mut other = backtest.iter().find(same).unwrap().clone();
        other.shift_remove("tags");
        // Nobody traded the backtest.
        assert_eq!(other.shift_remove("taken"), Some(json!(false)));
        other["id"] = signal["id"].clone();
        assert_eq!(&other, signal);
    }
    assert!(rest.iter().any(|signal| signal["symbol"] == "1000PEPEUSDT" && signal["leverage"] == 3.0));
    // As `show-trades --print-json` prints them.
    let list = json("freqtrade/trades-rest.json")["trades"].to_string();
    assert_eq!(all(from_freqtrade(&list, &options())), rest);
}

/// The first trade of the spot backtest with a change.
fn changed(change: impl FnOnce(&mut Value)) -> readers::Reading {
    let mut trade = json("freqtrade/backtest-result-spot.json")["strategy"]["CrossSpot"]["trades"][0].clone();
    change(&mut trade);
    from_freqtrade(&json!({ "trades": [trade] }).to_string(), &options())
}

#[test]
fn an_open_trade_is_an_open_signal() {
    let open = all(changed(|trade| {
        for key in ["close_date", "close_timestamp", "close_rate", "profit_abs", "exit_reason"] {
            trade[key] = Value::Null;
        }
        trade["is_open"] = json!(true);
        trade["orders"].as_array_mut().unwrap().truncate(1);
    }));
    assert!(!open[0].contains_key("outcome") && !open[0].contains_key("exitPrice"));
    assert_eq!(open[0]["entryPrice"], 2287.7);
}

#[test]
fn a_wrong_trade_is_refused_with_its_path_and_the_others_are_read() {
    let cases: [(&str, Value, &str); 9] = [
        ("open_rate", json!("much"), "trades[0].open_rate"),
        ("open_rate", json!(-1), "trades[0].open_rate"),
        ("open_rate", json!(4000), "trades[0].profit_abs"),
        ("pair", json!("BTC/USDT:USDT-240628"), "trades[0].pair"),
        ("is_short", json!("no"), "trades[0].is_short"),
        ("open_timestamp", json!(5), "trades[0].open_timestamp"),
        ("close_rate", Value::Null, "trades[0].close_rate"),
        ("close_timestamp", json!(1_704_423_599_999i64), "trades[0]"),
        ("initial_stop_loss_abs", json!(2300.0), "trades[0]"),
    ];
    for (key, value, place) in cases {
        let reading = changed(|trade| trade[key] = value.clone());
        assert_eq!(reading.signals, [], "{key} {value}");
        assert_eq!(reading.refused[0].place, place, "{key} {value}: {}", reading.refused[0]);
    }
    let mut file = json("freqtrade/backtest-result-spot.json");
    file["strategy"]["CrossSpot"]["trades"][3]["open_rate"] = json!("NaN");
    let reading = from_freqtrade(&file.to_string(), &options());
    assert_eq!((reading.signals.len(), reading.refused.len()), (14, 1));
    let refused = &reading.refused[0];
    assert_eq!(refused.place, "strategy.CrossSpot.trades[3].open_rate");
    assert_eq!(refused.value, "\"NaN\"");
    let error = domain::error::Error::from(refused.clone());
    assert_eq!(error.code(), "ERR_INVALID_ARGUMENT");
    assert!(error.to_string().contains("strategy.CrossSpot.trades[3].open_rate"), "{error}");
    for (no_file, place) in [
        ("", "line 1, column 0"),
        ("[", "line 1, column 1"),
        ("5", "the file"),
        ("{}", "the file"),
        ("{\"strategy\":{\"A\":{}}}", "strategy.A.trades"),
    ] {
        assert_eq!(from_freqtrade(no_file, &options()).refused[0].place, place, "{no_file}");
    }
}

#[test]
fn ids_stay_and_carry_the_prefix() {
    let read = |options: &Options| all(from_freqtrade(&text("freqtrade/backtest-result-spot.json"), options));
    let (first, again) = (read(&options()), read(&Options::at(NOW + 1)));
    assert_eq!(first, again);
    let prefixed = read(&Options { id_prefix: "bot-a:".to_owned(), ..options() });
    assert_eq!(prefixed[0]["id"].as_str().unwrap(), format!("bot-a:{}", first[0]["id"].as_str().unwrap()));
    let mut ids: Vec<&str> = first.iter().map(|signal| signal["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), first.len());
}
