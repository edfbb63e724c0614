use super::super::data::MAX_ROWS;
use super::*;
use domain::barrier::Outcome;
use domain::signal::{Closing, Record, Said, Signal, Source};
use domain::symbol::Market;
use domain::time::{DAY_MS, HOUR_MS, Tz, format_iso};
use learning::harm::Served;
use replay::ledger::{Ledger, Look, SourceKind};
use replay::{Advice, Decision, Fault, Happened};
use serde_json::{Value, json};

/// 2025-01-06.
const T0: i64 = 1_736_121_600_000;
const EVIL: &str = "</script><script>alert(1)</script><!-- {{script}} &amp;";
const COSTS: Costs = Costs { fee_bps: 20.0, funding_bps_per_day: 0.0, leverage: None };

/// A BUY at 100 with its stop at 98, given so many hours after [`T0`] and closed an hour later with this profit in R, before costs.
fn closed(id: i64, hour: i64, r: f64, take: bool, changes: Value) -> Decision {
    let mut value = json!({ "id": id.to_string(), "pair": "BTCUSDT", "signalType": "BUY", "confidence": 60, "entryPrice": 100,
        "stopLoss": 98, "takeProfit": 104, "timestamp": T0 + hour * HOUR_MS, "strategy": "rsi" });
    value.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let mut record = Record::from(Signal::from_value(value, Source::Caller, Tz::UTC).unwrap());
    let closed_ms = T0 + (hour + 1) * HOUR_MS;
    let (outcome, profit_percent) = (Outcome::by_profit(r), 2.0 * r);
    record.close(Closing { outcome, exit_price: None, profit_percent, closed_ms, excursion: None });
    let said = Said {
        probability: if take { 0.7 } else { 0.3 },
        interval: (0.25, 0.75),
        base_rate: 0.5,
        prior: 0.4,
        shaped: true,
        expected_r: Some(0.125),
        expected_r_interval: None,
        departures: [0.0; 4],
        contributions: None,
        take,
        outcomes: 7,
    };
    let advice = Advice { said, threshold: 0.375, suggested_risk: 0.01, served: Served::All };
    Decision { record, advice: Some(advice) }
}

/// A signal every twelve hours for so many days; those that are taken win more often.
fn run(days: i64, take_all: bool) -> Vec<Decision> {
    let one = |n: i64| {
        let takes = n % 2 == 0;
        let wins = if takes { n % 3 > 0 } else { n % 3 == 0 };
        let changes = json!({ "pair": if n % 5 == 0 { "ETHUSDT" } else { "BTCUSDT" }, "trueProbability": if wins { 0.6 } else { 0.2 } });
        closed(n, 12 * n, if wins { 2.0 } else { -1.0 }, takes || take_all, changes)
    };
    (0..2 * days).map(one).collect()
}

/// A study of these runs: the first, and one without models.
fn study(whole: Vec<Decision>, other: &[Decision]) -> Study {
    let summary = Summary::of(&whole, &COSTS, 1);
    let runs: [(&str, &[Decision]); 2] = [("whole", &whole), ("without models", other)];
    let look = Look::of(5, SourceKind::PastSignals, json!({}), &runs, &COSTS).unwrap();
    let looks = Looks::of(&Ledger::default(), &look);
    let difference = Difference::of(&whole, other, &COSTS, 1);
    let without = WithoutPart {
        without: replay::Part::Models,
        verdict: Verdict::of_part(&difference),
        difference,
        summary: Summary::of(other, &COSTS, 1),
        happened: Happened::default(),
    };
    Study {
        source: "signals",
        from: format_iso(T0),
        until: format_iso(T0 + 400 * DAY_MS),
        markets: look.markets,
        verdict: Verdict::of(&summary, Some(&looks)),
        summary,
        parts: vec![without],
        looks,
        happened: Happened::default(),
        faults: Faults::default(),
        earlier: 7,
        left_out: 3,
        refused: Vec::new(),
        kept: None,
        fee_bps: COSTS.fee_bps,
        costs: COSTS,
        decisions: whole,
    }
}

fn data_of(page: &str) -> Value {
    let (_, after) = page.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    serde_json::from_str(after.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn the_page_has_the_figures_of_the_study() {
    let study = study(run(200, false), &run(200, true));
    let page = replay_page(&study).unwrap();
    assert_eq!(replay_page(&study).unwrap(), page, "the same each time");
    assert!(page.contains("<title>signalloop replay</title>"));
    let data = data_of(&page);
    let whole = serde_json::to_value(&study).unwrap();
    assert_eq!(data["verdict"], whole["verdict"]);
    assert_eq!(data["looks"], whole["looks"]);
    assert_eq!(data["markets"], json!(["BTCUSDT 1h", "ETHUSDT 1h"]));
    assert_eq!((&data["from"], &data["earlier"], &data["leftOut"]), (&whole["from"], &json!(7), &json!(3)));
    assert_eq!(data["costs"], json!({ "feePercent": 0.2, "fundingPercentPerDay": 0.0 }));
    for (at, name) in ["all", "taken", "left", "oracle"].iter().enumerate() {
        let (set, of) = (&data["sets"][at], &whole["summary"][name]);
        assert_eq!(set["name"], *name);
        for figure in
            ["signals", "closed", "successShare", "meanR", "totalR", "maxDrawdownR", "sharpeRatio", "meanRInterval"]
        {
            assert!(!of[figure].is_null() && set[figure] == of[figure], "{name}.{figure}: {}", set[figure]);
        }
    }
    let part = &data["parts"][0];
    assert_eq!((&part["without"], &part["difference"]), (&json!("models"), &whole["parts"][0]["difference"]));
    assert_eq!(part["verdict"]["finding"], "helped");
    assert_eq!(data["score"]["logLoss"], whole["summary"]["scorecard"]["overall"]["logLoss"]);
    let bins = data["calibration"].as_array().unwrap();
    assert_eq!(bins.iter().map(|bin| bin["count"].as_u64().unwrap()).sum::<u64>(), 400);
    let names = |table: &str| data[table].as_array().unwrap().iter().map(|row| row["name"].clone()).collect::<Vec<_>>();
    assert_eq!(
        (names("bySymbol"), names("byStrategy")),
        (vec![json!("BTCUSDT"), json!("ETHUSDT")], vec![json!("rsi")])
    );
    assert_eq!((names("byMonth").first(), names("byMonth").len()), (Some(&json!("2025-01")), 7));
    assert_eq!(
        (&data["bySymbol"][1]["all"]["signals"], &data["bySymbol"][1]["taken"]["signals"]),
        (&json!(80), &json!(40))
    );
}

#[test]
fn the_sums_end_at_the_figures() {
    let study = study(run(200, false), &run(200, true));
    let page = ReplayPage::of(&study);
    let Sums { in_r, step_ms, times, lines, drawdown } = &page.sums;
    assert_eq!((*in_r, *step_ms, times.len()), (true, 12 * HOUR_MS, 401));
    assert!(times.is_sorted_by(|a, b| a < b) && drawdown.len() == times.len());
    for (line, set) in lines.iter().zip(&page.sets) {
        assert_eq!((line.name, line.values[0], line.values.len()), (set.name, 0.0, times.len()));
        assert!((line.values.last().unwrap() - set.figures.total_r).abs() < 1e-3, "{}", line.name);
    }
    let deepest = drawdown.iter().copied().fold(0.0, f64::min);
    let expected = study.summary.taken.figures.max_drawdown_r;
    assert!(expected > 1.0 && (deepest + expected).abs() < 1e-3, "{deepest} {expected}");
    assert!(drawdown.iter().all(|fall| *fall <= 0.0));
}

#[test]
fn a_point_has_the_deepest_fall_of_its_step_and_a_fall_lasts() {
    // All in the first days of two years, so that a point is two days: up 2 R, down 3 R, up 2 R in one, then none that is taken.
    let free = Costs::default();
    let mut decisions: Vec<Decision> =
        [2.0, -1.0, -1.0, -1.0, 2.0].iter().zip(0..).map(|(r, n)| closed(n, n, *r, true, json!({}))).collect();
    decisions.push(closed(8, 24 * 3, -1.0, false, json!({})));
    decisions.push(closed(9, 24 * 700, 1.0, true, json!({})));
    let sums = Sums::of(&Row::all(&decisions, &free), &free, false);
    assert_eq!((sums.step_ms, sums.times[0]), (2 * DAY_MS, T0));
    assert_eq!(sums.lines.iter().map(|line| line.name).collect::<Vec<_>>(), ["all", "taken", "left"]);
    assert_eq!(sums.lines[0].values, [0.0, 1.0, 0.0, 1.0]);
    assert_eq!(sums.lines[1].values, [0.0, 1.0, 1.0, 2.0]);
    assert_eq!(sums.lines[2].values, [0.0, 0.0, -1.0, -1.0]);
    assert_eq!(sums.drawdown, [0.0, -3.0, -1.0, 0.0]);
}

#[test]
fn without_stops_the_sums_are_in_percent_and_nothing_closed_draws_nothing() {
    let free = Costs::default();
    let decisions =
        [closed(1, 0, 1.5, true, json!({ "stopLoss": null })), closed(2, 5, -1.0, false, json!({ "stopLoss": null }))];
    let sums = Sums::of(&Row::all(&decisions, &free), &free, false);
    assert_eq!((sums.in_r, sums.lines[0].values.clone()), (false, vec![0.0, 3.0, 1.0]));
    assert_eq!(Sums::of(&[], &free, true), Sums::default());
}

#[test]
fn names_and_messages_of_others_are_escaped() {
    let mut whole = run(20, false);
    // A strategy's name has at most 64 characters.
    whole.push(closed(99, 1, 1.0, true, json!({ "strategy": EVIL })));
    let mut study = study(whole, &run(20, true));
    let market = Market::parse("BTCUSDT", "1h").unwrap();
    study.faults = Faults { count: 1, first: vec![Fault { at: format_iso(T0), market, problem: EVIL.to_owned() }] };
    study.refused = vec![Refused { place: "line 1".to_owned(), reason: EVIL.to_owned() }];
    study.happened.notes = vec![Note { at: format_iso(T0), kind: "warning", market: None, text: EVIL.to_owned() }];
    let page = replay_page(&study).unwrap();
    assert!(!page.contains("<script>alert"));
    assert_eq!(page.matches("</script>").count(), 2, "the data's end and the script's own");
    let data = data_of(&page);
    for text in [
        &data["byStrategy"][1]["name"],
        &data["faults"]["first"][0]["problem"],
        &data["refused"][0]["reason"],
        &data["notes"][0]["text"],
    ] {
        assert_eq!(text, EVIL);
    }
}

#[test]
fn a_large_replay_is_a_small_page() {
    let strategy =
        |n: i64| json!({ "strategy": format!("strategy {}", n % 70), "pair": format!("COIN{}USDT", n % 60) });
    let whole: Vec<Decision> =
        (0..20_000).map(|n| closed(n, n * 2, if n % 3 == 0 { 2.0 } else { -1.0 }, n % 2 == 0, strategy(n))).collect();
    let mut study = study(whole, &run(20, true));
    let note = Note { at: format_iso(T0), kind: "warning", market: None, text: "a warning".to_owned() };
    study.happened.notes = vec![note; 1000];
    study.refused = vec![Refused { place: "line 1".to_owned(), reason: "no price".to_owned() }; 5000];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("replay.html");
    write_replay(&study, &path).unwrap();
    let page = std::fs::read_to_string(path).unwrap();
    assert!(page.len() < 300_000, "{} bytes", page.len());
    let data = data_of(&page);
    let rows = |table: &str| data[table].as_array().unwrap().len();
    assert_eq!((rows("byStrategy"), &data["moreStrategies"]), (MAX_ROWS, &json!(20)));
    assert_eq!((rows("bySymbol"), &data["moreSymbols"]), (MAX_ROWS, &json!(10)));
    assert_eq!((rows("notes"), &data["moreNotes"]), (MAX_NOTES, &json!(800)));
    assert_eq!((rows("refused"), &data["moreRefused"]), (MAX_REFUSED, &json!(4900)));
    assert!(data["sums"]["times"].as_array().unwrap().len() <= 402);
}
