use super::*;
use crate::Decision;
use crate::overfitting::Missing;
use crate::testing::{T0, close, closed, open, said};
use domain::signal::Costs;
use domain::time::DAY_MS;
use serde_json::{Value, json};

const FREE: Costs = Costs { fee_bps: 0.0, funding_bps_per_day: 0.0, leverage: None };

/// Ten months of signals, one a day from `from` on; `take` says by number which are to be taken.
fn run(from: i64, take: impl Fn(i64) -> bool) -> Vec<Decision> {
    let one = |n: i64| {
        let r = if (n * 7919) % 10 < 5 { 1.5 } else { -1.0 };
        said(closed(&n.to_string(), (from + n) * 24, r), 0.5, take(n))
    };
    (0..300).map(one).collect()
}

fn look_at(at_ms: i64, settings: Value, runs: &[(&str, &[Decision])]) -> Look {
    Look::of(at_ms, SourceKind::PastSignals, settings, runs, &FREE).unwrap()
}

#[test]
fn a_run_is_told_by_days_and_months() {
    let signals = [
        said(closed("a", 0, 1.0), 0.6, true),
        said(closed("b", 1, 2.0), 0.6, true),
        said(closed("left", 2, 9.0), 0.6, false),
        said(closed("c", 24 * 40, -1.0), 0.6, true),
        said(open("open", 24 * 60, json!({ "pair": "ETHUSDT" })), 0.6, true),
        open("hold", 24 * 900, json!({ "signalType": "HOLD" })),
    ];
    let look = look_at(5, json!({ "seed": 1 }), &[("whole", &signals), ("withoutModels", &signals[..3])]);
    assert_eq!((look.at_ms, look.from_ms, look.until_ms), (5, T0, T0 + 60 * DAY_MS));
    assert_eq!(look.markets.iter().map(ToString::to_string).collect::<Vec<_>>(), ["BTCUSDT 1h", "ETHUSDT 1h"]);
    let Run { signals, taken, closed, mean_r, days, r_by_month, .. } = &look.runs[0];
    assert_eq!((*signals, *taken, *closed), (5, 4, 3));
    assert!(close(mean_r.unwrap(), 2.0 / 3.0));
    let months: Vec<_> = r_by_month.iter().map(|(month, r)| (month.as_str(), *r)).collect();
    assert_eq!(months, [("2025-01", 3.0), ("2025-02", -1.0), ("2025-03", 0.0)]);
    // 61 days: 3, −1, and nothing on the others.
    assert_eq!((days.days, days.closing_days), (61, 2));
    let mean: f64 = 2.0 / 61.0;
    let deviation = ((10.0 - 61.0 * mean * mean) / 60.0).sqrt();
    assert!(close(days.sharpe.unwrap(), mean / deviation));
    assert_eq!((look.runs[1].name.as_str(), look.runs[1].taken, look.runs[1].days.days), ("withoutModels", 2, 61));
    let none = Look::of(5, SourceKind::Strategy, json!({}), &[("whole", &[])], &FREE);
    assert_eq!((none, Look::of(5, SourceKind::Strategy, json!({}), &[], &FREE)), (None, None));
}

#[test]
fn a_fingerprint_is_that_of_the_signals_alone() {
    let of = |decisions: &[Decision]| fingerprint(decisions.iter().map(|decision| &decision.record.signal));
    let signals = [open("a", 0, json!({})), open("b", 1, json!({}))];
    let same = of(&signals);
    assert!(same.len() == 64 && same.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let [a, b] = signals.clone();
    assert_eq!(of(&[said(b.clone(), 0.5, true), a.clone()]), same, "in any order, whatever was said");
    let mut seen = vec![same, of(std::slice::from_ref(&a)), of(&[])];
    for change in [
        json!({ "pair": "ETHUSDT" }),
        json!({ "timeframe": "4h" }),
        json!({ "timestamp": T0 + 1 }),
        json!({ "entryPrice": 100.5 }),
        json!({ "stopLoss": 97 }),
        json!({ "stopLoss": null }),
        json!({ "takeProfit": 105 }),
        json!({ "takeProfit": null }),
        json!({ "expiresAt": T0 + DAY_MS }),
        json!({ "signalType": "HOLD" }),
    ] {
        seen.push(of(&[open("a", 0, change), b.clone()]));
    }
    seen.push(of(&[open("ab", 0, json!({})), b.clone()]));
    // The same letters, cut differently.
    seen.push(of(&[open("aB", 0, json!({ "pair": "TCUSDT" })), b]));
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count, "each of them differs");
}

#[test]
fn what_is_appended_is_read_and_damage_is_counted() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("deep").join(FILE);
    assert_eq!(Ledger::read(&path).unwrap(), Ledger::default());
    let (decisions, settings) =
        (run(0, |n| n % 3 == 0), json!({ "threshold": 0.1, "without": ["models"], "none": null }));
    let looks: Vec<Look> = (0..3).map(|at| look_at(at, settings.clone(), &[("whole", &decisions)])).collect();
    Ledger::append(&path, &looks[0]).unwrap();
    Ledger::append(&path, &looks[1]).unwrap();
    assert_eq!(Ledger::read(&path).unwrap(), Ledger { looks: looks[..2].to_vec(), damaged: 0 }, "to the bit");
    // A crash cut the second line short; it is damaged once another follows.
    let text = std::fs::read(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 20]).unwrap();
    assert_eq!(Ledger::read(&path).unwrap(), Ledger { looks: looks[..1].to_vec(), damaged: 0 });
    Ledger::append(&path, &looks[2]).unwrap();
    let read = Ledger::read(&path).unwrap();
    assert_eq!(read, Ledger { looks: vec![looks[0].clone(), looks[2].clone()], damaged: 1 });
    std::fs::write(&path, b"{}\n\xff\xfe\n\n").unwrap();
    assert_eq!(Ledger::read(&path).unwrap(), Ledger { looks: Vec::new(), damaged: 2 });
    let folder = Ledger::read(home.path()).unwrap_err();
    assert_eq!(folder.code(), "ERR_IO");
}

#[test]
fn several_writers_append_whole_lines() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(FILE);
    let decisions = run(0, |_| true);
    std::thread::scope(|scope| {
        for at in 0..8 {
            let (path, decisions) = (&path, &decisions);
            scope.spawn(move || Ledger::append(path, &look_at(at, json!({}), &[("whole", decisions)])).unwrap());
        }
    });
    let read = Ledger::read(&path).unwrap();
    let mut times: Vec<i64> = read.looks.iter().map(|look| look.at_ms).collect();
    times.sort_unstable();
    assert_eq!((times, read.damaged), ((0..8).collect(), 0));
}

fn ledger(looks: &[&Look]) -> Ledger {
    Ledger { looks: looks.iter().map(|look| (*look).clone()).collect(), damaged: 0 }
}

#[test]
fn the_same_settings_again_are_a_look_and_no_trial() {
    let (third, half) = (run(0, |n| n % 3 == 0), run(0, |n| n % 2 == 0));
    let first = look_at(1, json!({ "a": 1, "b": 0.1 }), &[("whole", &third)]);
    let alone = Looks::of(&Ledger::default(), &first);
    assert_eq!((alone.looks, alone.trials), (1, 1));
    assert_eq!(alone.deflated_sharpe, Err(Missing::TooFewTrials { have: 1, need: 2 }));
    assert_eq!(Looks::of(&ledger(&[&first]), &first), alone, "counted once, whether it was appended before or not");
    let again = look_at(2, json!({ "b": 0.1, "a": 1 }), &[("whole", &third)]);
    let of = Looks::of(&ledger(&[&first]), &again);
    assert_eq!((of.looks, of.trials), (2, 1));
    // Even if the same settings brought something else, such as in another version.
    let changed = look_at(2, json!({ "a": 1, "b": 0.1 }), &[("whole", &half)]);
    let of = Looks::of(&ledger(&[&first]), &changed);
    assert_eq!((of.looks, of.trials), (2, 1));
    // Other settings that take the same signals leave nothing to choose from.
    let alike = look_at(3, json!({ "a": 2 }), &[("whole", &third)]);
    let of = Looks::of(&ledger(&[&first, &again]), &alike);
    assert_eq!((of.looks, of.trials), (3, 1));
    let other = look_at(4, json!({ "a": 3 }), &[("whole", &half), ("withoutGate", &third)]);
    let of = Looks::of(&ledger(&[&first, &again, &alike]), &other);
    assert_eq!((of.looks, of.trials), (4, 2));
    let deflated = of.deflated_sharpe.unwrap();
    assert_eq!((deflated.trials, Some(deflated.sharpe)), (2, other.runs[0].days.sharpe));
    let overfitting = of.overfitting.unwrap();
    assert_eq!((overfitting.trials, overfitting.months), (2, 11));
    let value = serde_json::to_value(of).unwrap();
    assert!(value["deflatedSharpe"]["probability"].is_f64() && value["overfitting"]["splits"] == 252);
    let value = serde_json::to_value(alone).unwrap();
    assert_eq!(value["overfitting"], json!({ "reason": "tooFewTrials", "have": 1, "need": 2 }));
}

#[test]
fn trials_are_of_the_same_markets_at_the_same_time() {
    let moved = |mut decisions: Vec<Decision>, pair: &str| {
        let symbol = open("x", 0, json!({ "pair": pair })).record.signal.symbol;
        decisions.iter_mut().for_each(|decision| decision.record.signal.symbol = symbol.clone());
        decisions
    };
    let this = look_at(9, json!({}), &[("whole", &run(0, |n| n % 3 == 0))]);
    let eth = look_at(1, json!({}), &[("whole", &moved(run(0, |n| n % 5 == 0), "ETHUSDT"))]);
    let later = look_at(2, json!({}), &[("whole", &run(400, |n| n % 5 == 0))]);
    let overlapping = look_at(3, json!({}), &[("whole", &run(200, |n| n % 7 == 0))]);
    let mut wider = run(-60, |n| n % 2 == 0);
    wider.extend(run(60, |n| n % 2 == 0).into_iter().map(|mut decision| {
        decision.record.signal.id += "+";
        decision
    }));
    let wider = look_at(4, json!({}), &[("whole", &wider)]);
    let before = look_at(5, json!({}), &[("whole", &run(-400, |n| n % 5 == 0))]);
    let trials = |others: &[&Look]| {
        let looks = Looks::of(&ledger(others), &this);
        (looks.looks, looks.trials, looks.overfitting.map(|found| found.trials))
    };
    let few = Err(Missing::TooFewTrials { have: 1, need: 2 });
    assert_eq!(trials(&[&eth, &later, &before]), (1, 1, few));
    // It overlaps, and does not cover all months.
    assert_eq!(trials(&[&overlapping]), (1, 2, few));
    assert_eq!(trials(&[&eth, &later, &overlapping, &wider]), (1, 3, Ok(2)));
}

#[test]
fn a_line_of_the_ledger_has_these_members() {
    let look = look_at(1, json!({ "k": 1 }), &[("whole", &run(0, |_| true))]);
    let Value::Object(line) = serde_json::to_value(&look).unwrap() else { panic!("an object") };
    let keys: Vec<&str> = line.keys().map(String::as_str).collect();
    assert_eq!(keys, ["atMs", "source", "signals", "markets", "fromMs", "untilMs", "settings", "runs"]);
    assert_eq!(line["source"], "pastSignals");
    let run = &line["runs"][0];
    assert_eq!((run["closingDays"].as_u64(), run["taken"].as_u64()), (Some(300), Some(300)));
}
