//! What a message says that cannot be read with certainty: refused with line, column and text.

use super::options;
use readers::from_text;

const GOOD: [(&str, &str); 5] = [
    ("pair", "#BTC/USDT"),
    ("side", "LONG"),
    ("entry", "Entry: 100"),
    ("targets", "TP: 110, 120"),
    ("stop", "Stop: 95"),
];

/// Place, problem and value of the refusal of a good message with one line changed.
fn refused(part: &str, line: &str) -> (String, String, String) {
    let lines: Vec<&str> = GOOD.iter().map(|(name, good)| if *name == part { line } else { good }).collect();
    let mut reading = from_text(&lines.join("\n"), &options());
    assert_eq!(reading.signals, [], "{line}");
    assert_eq!(reading.refused.len(), 1, "{line}");
    let refused = reading.refused.remove(0);
    (refused.place, refused.problem, refused.value)
}

#[test]
fn unclear_messages_are_refused_with_their_place() {
    let good: Vec<&str> = GOOD.iter().map(|(_, line)| *line).collect();
    assert_eq!(from_text(&good.join("\n"), &options()).signals.len(), 1);
    let cases = [
        ("stop", "Stop: 95\nSL: 94", "line 6, column 5", "second stop", "94"),
        ("stop", "Stop Targets:\n1) 95\n2) 94", "line 7, column 4", "second stop", "94"),
        ("stop", "Stop 1) 95\n\n2) 94", "line 7, column 4", "second stop", "94"),
        ("stop", "SL\n95\n94", "line 7, column 1", "second stop", "94"),
        ("stop", "Stop: 95\n94", "line 6, column 1", "nothing names", "94"),
        ("stop", "Stop: 95 / 94", "line 5, column 12", "second stop", "94"),
        ("stop", "Stop: 105", "line 5, column 7", "the stop of a BUY must be below", "105"),
        ("stop", "Stop Targets: 5-10%", "line 5, column 17", "range of percentages", "10%"),
        ("stop", "Stop: 95 - 50%", "line 5, column 12", "percentage", "50%"),
        ("stop", "Stop: 5%", "line 5, column 7", "percentage", "5%"),
        ("stop", "Stop: 4H close below 95", "line 5, column 7", "certainty", "4H"),
        ("stop", "SL: 95 if volume is low", "line 5, column 8", "certainty", "if"),
        ("stop", "Stop below the last low", "line 5, column 6", "cannot be read as a price", "below"),
        ("targets", "Targets will follow", "line 4, column 9", "cannot be read as a price", "will"),
        ("entry", "Entry 67k", "line 3, column 7", "cannot be read as a price", "67k"),
        ("stop", "Stop: soon", "line 5, column 7", "cannot be read as a price", "soon"),
        ("stop", "Stop: 0,0315", "line 5, column 7", "certainty", "0,0315"),
        ("stop", "Stop: 0", "line 5, column 7", "above 0", "0"),
        ("stop", "Trailing Stop: 2%", "line 5, column 16", "rule for the stop", "2%"),
        (
            "stop",
            "Stop: 95\nTrailing Configuration:\nStop: Moving Target -\nTrigger: Percent (2%)",
            "line 7, column 1",
            "target as its trigger",
            "Stop",
        ),
        (
            "stop",
            "Stop: 95\nTrailing Configuration:\nStop: Breakeven\nTrigger: Target (3)",
            "line 7, column 1",
            "target of the message",
            "Stop",
        ),
        ("targets", "TP: 110, 90", "line 4, column 10", "a target of a BUY must be above", "90"),
        ("targets", "TP: 120, 110", "line 4, column 10", "farther", "110"),
        ("targets", "TP: 110 (30%), 120 (30%)", "line 4, column 5", "add up to 100", "110"),
        ("targets", "TP: 1100 1200000", "line 1", "100 times away", "1200000 at entry 100"),
        ("targets", "TP: open", "line 4, column 5", "cannot be read as a price", "open"),
        ("targets", "Targets: 110k", "line 4, column 10", "cannot be read as a price", "110k"),
        ("entry", "Entry: 67 250", "line 3, column 11", "the rest of the number", "250"),
        ("entry", "Entry: 100?", "line 3, column 11", "certainty", "?"),
        ("entry", "", "line 1", "price of its entry", "#BTC/USDT LONG TP: 110, 120 Stop: 95"),
        (
            "entry",
            "Entry: market",
            "line 1",
            "price of its entry",
            "#BTC/USDT LONG Entry: market TP: 110, 120 Stop: 95",
        ),
        ("side", "SHORT", "line 5, column 7", "the stop of a SELL must be above", "95"),
        ("side", "LONG\nType: SHORT", "line 3, column 7", "contradicts `LONG` in line 2", "SHORT"),
        ("pair", "#BTC/USDT and #ETH/USDT", "line 1, column 16", "second pair", "ETH"),
        ("pair", "Bitcoin", "line 1", "must say its pair", "Bitcoin LONG Entry: 100 TP: 110, 120 Stop: 95"),
        ("pair", "#BTC/USDT\nTimeframe: 45m", "line 2, column 10", "timeframe", ":"),
        ("pair", "#BTC/USDT\nConfidence: 80 - 90%", "line 2, column 11", "one percentage", ":"),
        ("pair", "#BTC/USDT\nDate: yesterday", "line 2, column 6", "a time", "yesterday"),
    ];
    for (part, line, place, problem, value) in cases {
        let found = refused(part, line);
        assert!(found.0 == place && found.1.contains(problem) && found.2 == value, "{line}: {found:?}");
    }
}

#[test]
fn a_side_that_nothing_shows_is_refused() {
    let refused = |text: &str| from_text(text, &options()).refused.remove(0).problem;
    assert!(refused("#BTC/USDT\nEntry: 90 - 110\nStop: 100").contains("must say LONG or SHORT"));
    assert!(refused("#BTC/USDT LONG\nEntry: 100").contains("a stop or a target"));
    assert!(refused("").contains("must be a message"));
    let many = (1..=17).map(|n| (100 + n).to_string()).collect::<Vec<_>>().join(", ");
    assert!(refused(&format!("#BTC/USDT LONG\nEntry: 100\nTargets: {many}\nStop: 95")).contains("list of 1 to 16"));
}

#[test]
fn prose_is_left_out() {
    let prose = "Stop loss is a must!\nNot financial advice: always trade with care, and never buy more than you can lose.\nRisk 1% of your portfolio\n\
        Entry only with confirmation\nShort term targets are close\nJoin us at t.me/channel2 for 50% off";
    let good: Vec<&str> = GOOD.iter().map(|(_, line)| *line).collect();
    let with = from_text(&format!("{}\n\n{prose}", good.join("\n")), &options());
    assert_eq!(with.refused, []);
    let mut without = from_text(&good.join("\n"), &options()).signals.remove(0).signal;
    without["id"] = with.signals[0].signal["id"].clone();
    assert_eq!(with.signals[0].signal, without);
}
