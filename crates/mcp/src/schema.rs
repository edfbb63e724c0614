//! The JSON schemas of what tools take and answer. They name what an agent needs to report the numbers rightly; answers may have more
//! members, which `index.d.ts` of the package documents.

use serde_json::{Value, json};

/// An object with these members, of which some are required. Arguments may have no others.
pub fn input(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// An answer that has these members, and perhaps more.
pub fn output(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

pub fn symbol() -> Value {
    json!({ "type": "string", "description": "A pair, such as BTCUSDT or BTC/USDT." })
}

pub fn timeframe() -> Value {
    json!({ "type": "string", "description": "The candle interval: 1m, 5m, 15m, 30m, 1h, 4h, 1d and so on." })
}

pub fn strategy() -> Value {
    json!({ "type": "string", "description": "Only signals of this strategy." })
}

pub fn since() -> Value {
    json!({ "type": ["string", "number"], "description": "Only signals given at this time or later: ISO 8601 (UTC unless it says), or epoch milliseconds." })
}

fn price(description: &str) -> Value {
    json!({ "type": "number", "exclusiveMinimum": 0, "description": description })
}

fn number(description: &str) -> Value {
    json!({ "type": "number", "description": description })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn time(description: &str) -> Value {
    json!({ "type": ["string", "number"], "description": format!("{description} ISO 8601, UTC, or epoch milliseconds.") })
}

/// The members of a signal that an agent may give.
pub fn signal_members() -> Value {
    json!({
        "id": text("Its own id; a signal is recorded once."),
        "pair": symbol(),
        "timeframe": timeframe(),
        "signalType": { "type": "string", "enum": ["BUY", "SELL"] },
        "confidence": { "type": "number", "minimum": 0, "maximum": 100, "description": "Percent, as the strategy states it." },
        "entryPrice": price("The price at which it is entered."),
        "stopLoss": price("For a BUY below the entry, for a SELL above."),
        "takeProfit": price("For a BUY above the entry, for a SELL below."),
        "takeProfits": {
            "type": "array", "description": "Several targets instead of `takeProfit`, nearest first; the shares add up to 100.",
            "items": { "type": "object", "properties": { "price": price("The target."), "share": number("Percent of the position closed there.") } },
        },
        "entryType": { "type": "string", "enum": ["market", "limit", "stop"], "description": "limit and stop wait for their entry." },
        "timestamp": time("When it was given."),
        "expiresAt": time("When it expires."),
        "strategy": text("The name of the strategy."),
        "source": text("Where it comes from, such as a channel."),
        "leverage": number("The value of the position divided by its margin."),
        "feeBps": number("Costs of a round trip in basis points of the price."),
        "taken": { "type": "boolean", "description": "false: followed, but not traded." },
        "indicators": { "type": "object", "description": "Any names with a number, a text or a boolean each." },
    })
}

/// A signal as an argument. Other members are kept with it.
pub fn signal(required: &[&str]) -> Value {
    json!({ "type": "object", "properties": signal_members(), "required": required, "additionalProperties": true })
}

/// A recorded signal.
pub fn stored_signal() -> Value {
    output(
        json!({
            "signal": { "type": "object", "description": "As it was given." },
            "status": { "type": "string", "description": "PENDING (waits for its entry), OPEN, CLOSED or CANCELLED; missing for a HOLD." },
            "history": { "type": "array", "items": { "type": "object" }, "description": "What happened to it, oldest first." },
            "position": { "type": "object", "description": "Where it stands: stop, targets, open share in percent. Missing once it has ended." },
            "closed": {
                "type": "object", "description": "Its end; missing while it is open.",
                "properties": {
                    "outcome": text("TOOK_PROFIT, STOPPED_OUT, SUCCESS, FAILURE, UNKNOWN or CANCELLED."),
                    "profitLossPercent": number("Percent of the entry, before costs."),
                    "netProfitPercent": number("Percent of the entry, after costs."),
                    "realizedR": number("Net profit in units of the risk at entry (the distance to the stop)."),
                },
            },
        }),
        &["signal"],
    )
}

/// A 95 % interval.
fn interval(of: &str) -> Value {
    json!({
        "type": "object", "description": format!("The 95 % interval of {of}. Report it with the figure."),
        "properties": { "low": { "type": "number" }, "high": { "type": "number" } }, "required": ["low", "high"],
    })
}

/// The figures of a set of signals.
fn figures(of: &str) -> Value {
    json!({
        "type": "object", "description": of,
        "properties": {
            "closedSignals": number("Closed signals with a known outcome: what every rate and mean is of. With few of them, say how few."),
            "activeSignals": number("Open now."),
            "successRate": number("Percent of the closed signals that succeeded, 0–100; 0 if none closed. A high rate is not a profit: compare it with breakEvenRate."),
            "successInterval": interval("the success rate, in percent"),
            "breakEvenRate": number("Percent: the success rate at which wins and losses of the realised size cover the costs."),
            "expectancy": number("Mean profit of a closed signal after costs, percent of the entry."),
            "totalProfitLoss": number("Sum of the profits before costs, percentage points of equal stakes. It is no return on capital."),
            "averageR": number("Mean result after costs in R, units of the risk at entry."),
            "sharpeRatio": number("Of a year; missing below 90 days of results, because it would be luck."),
        },
        "required": ["closedSignals", "successRate", "successInterval"],
    })
}

/// Statistics.
pub fn statistics() -> Value {
    let parts = |of: &str| json!({ "type": "object", "description": of, "additionalProperties": { "type": "object" } });
    output(
        json!({
            "overall": figures("All signals that were traded."),
            "bySymbol": parts("The same figures by symbol. The best of many parts looks good by chance."),
            "byTimeframe": parts("By timeframe."),
            "byStrategy": parts("By strategy."),
            "bySignalType": parts("By direction."),
            "byMonth": parts("By month (UTC) of closing."),
            "followed": figures("Signals that were followed but not traded; they count nowhere else."),
            "conservativeMode": { "type": "object", "description": "active: recent results were poor, so bets must meet a stricter rule." },
        }),
        &["overall", "followed", "conservativeMode"],
    )
}

/// An assessment.
pub fn assessment() -> Value {
    output(
        json!({
            "successProbability": number("Estimated probability, 0–1, that the signal reaches its target before its stop and expiry. An estimate, not a fact: report probabilityInterval with it."),
            "probabilityInterval": interval("the probability, 0–1"),
            "baseRate": number("The probability without this signal's candles and indicators, 0–1. What the estimate adds is the difference to it."),
            "threshold": number("The probability, 0–1, at which the signal breaks even after costs."),
            "expectedR": number("Expected profit after costs in R, units of the risk at entry; missing without a stop."),
            "expectedRInterval": interval("the expected profit in R"),
            "take": { "type": "boolean", "description": "It is expected to earn more than it costs. It is no financial advice." },
            "suggestedRisk": number("Share of the capital to risk, 0–1, by a fraction of Kelly's rule; 0 if take is false."),
            "closed": number("Closed signals that it learned from. With 0, it knows nothing but the levels."),
            "effectiveSampleSize": number("How many independent outcomes those are worth."),
            "served": text("all: all evidence. baseRate: the full estimate did harm lately, so only the base rate is used."),
            "reasons": { "type": "array", "items": { "type": "string" } },
            "unusedIndicators": { "type": "array", "items": { "type": "string" }, "description": "Indicators that were not used." },
        }),
        &[
            "successProbability",
            "probabilityInterval",
            "baseRate",
            "threshold",
            "take",
            "closed",
            "effectiveSampleSize",
        ],
    )
}

/// Rules.
pub fn patterns() -> Value {
    let pattern = output(
        json!({
            "rule": text("In words."),
            "count": number("Closed signals that match."),
            "successRate": number("Percent of them that succeeded."),
            "successInterval": interval("the success rate, in percent"),
            "baseRate": number("Percent of all closed signals that succeeded: what the rule must be compared with."),
            "meanR": number("Their mean profit after costs in R, units of the risk at entry; missing if one has no stop."),
            "meanRInterval": interval("meanR, which does not account for the choice among many rules"),
            "baseR": number("Mean R of all closed signals: what meanR must be compared with."),
            "pValue": number("Probability that chance alone produces any rule as strong, with all tried rules counted."),
            "stillHolds": { "type": "boolean", "description": "It still holds in the most recent third; missing if there are too few to tell." },
        }),
        &["rule", "count", "successRate", "baseRate", "pValue"],
    );
    output(json!({ "patterns": { "type": "array", "items": pattern } }), &["patterns"])
}

/// A scorecard.
pub fn scorecard() -> Value {
    output(
        json!({
            "finding": text("What the evidence shows."),
            "verdict": text("The same as a sentence. Quote it rather than the figures alone."),
            "served": text("What `assess` serves now."),
            "overall": { "type": "object", "description": "Log loss (nats a signal) beside that of the base rate, and realised R of all, of those to take and of those to leave, each with the number of signals and a 95 % interval. Missing while no predicted signal has closed." },
            "calibration": { "type": "array", "items": { "type": "object" }, "description": "Stated probabilities beside what came of them." },
        }),
        &["finding", "verdict"],
    )
}

/// Advice on levels.
pub fn advice() -> Value {
    output(
        json!({
            "finding": text("What the evidence shows."),
            "verdict": text("The same as a sentence. Quote it."),
            "alternatives": number("How many alternatives were looked at; their intervals hold for all together."),
            "strategies": { "type": "array", "items": { "type": "object" }, "description": "By strategy: own levels and alternatives, with the difference in R a signal and its interval. An interval that contains 0 shows nothing." },
        }),
        &["finding", "verdict"],
    )
}

/// Models.
pub fn models() -> Value {
    let entry = output(
        json!({
            "version": number("Its version."),
            "ageHours": number("Hours since it was trained."),
            "reason": text("Why it is in service."),
            "model": {
                "type": "object",
                "properties": {
                    "symbol": { "type": "string" }, "timeframe": { "type": "string" },
                    "hasSkill": { "type": "boolean", "description": "It beat the base rate on rows it had not seen. false: it predicts the base rate, and knows nothing." },
                    "logLoss": number("On rows it had not seen; lower is better."),
                    "constantLogLoss": number("The same for the constant base rate: what it must beat."),
                },
            },
            "error": { "type": "object", "description": "Why the file cannot be used." },
        }),
        &["version"],
    );
    output(json!({ "models": { "type": "array", "items": entry } }), &["models"])
}

/// A prediction.
pub fn prediction() -> Value {
    output(
        json!({
            "signal": text("BUY, SELL or HOLD."),
            "confidence": number("Percent, 0–100: the probability of what `signal` says. For a HOLD it is the probability that neither bet succeeds, not a certainty."),
            "probabilities": { "type": "object", "description": "Percent: that a BUY, a SELL, or neither (HOLD) would succeed." },
            "baseRates": { "type": "object", "description": "The same without the model: what it must be compared with." },
            "breakEven": number("Percent: the success probability at which the bet breaks even after costs."),
            "rationale": text("The reasons in words."),
            "candlesUntil": text("When the last candle closed, ISO 8601, UTC."),
            "stale": { "type": "boolean", "description": "Newer candles should exist: do not act on it before they are fetched." },
        }),
        &["signal", "confidence", "probabilities", "baseRates", "rationale", "stale"],
    )
}

/// Open signals.
pub fn open_signals() -> Value {
    output(
        json!({
            "total": number("How many are open or wait for their entry."),
            "signals": { "type": "array", "items": stored_signal(), "description": "The newest of them, in order of recording." },
        }),
        &["total", "signals"],
    )
}

/// What the report says in short.
pub fn report() -> Value {
    output(
        json!({
            "closedSignals": number("Closed signals in it."),
            "activeSignals": number("Open signals."),
            "models": number("Models in service."),
            "problems": { "type": "array", "items": { "type": "string" }, "description": "Parts that could not be read." },
            "resource": text("The resource that is the whole page."),
        }),
        &["closedSignals", "activeSignals", "models", "problems", "resource"],
    )
}

/// A replay.
pub fn replay() -> Value {
    output(
        json!({
            "from": text("When it begins, ISO 8601, UTC."),
            "until": text("When it ends."),
            "verdict": { "type": "object", "description": "advice: whether following the advice helped. signals: whether the signals earn. looks: what many looks leave of it. Each with `words`; quote them." },
            "summary": { "type": "object", "description": "Figures of all signals, of those taken and of those left, in R after costs, with 95 % intervals." },
            "looks": { "type": "object", "description": "How often these signals were replayed: of many looks one looks good by chance." },
            "leftOut": number("Signals that were not replayed: outside its time, or without candles."),
        }),
        &["from", "until", "verdict", "summary", "looks", "leftOut"],
    )
}

/// The state of the home.
pub fn status() -> Value {
    output(
        json!({
            "home": text("The folder."),
            "store": text("Where the signals are."),
            "write": { "type": "boolean", "description": "Whether this server may record and change signals." },
            "scheduler": { "type": "object", "description": "When each task is due, and the result of its last run." },
            "conservativeMode": { "type": "object" },
            "warnings": { "type": "array", "items": { "type": "string" }, "description": "Of the configuration." },
        }),
        &["home", "store", "write", "scheduler", "warnings"],
    )
}

/// What the doctor finds.
pub fn doctor() -> Value {
    let finding = output(
        json!({ "check": { "type": "string" }, "state": text("fine, warning or fault."), "what": { "type": "string" } }),
        &["check", "state", "what"],
    );
    output(
        json!({ "healthy": { "type": "boolean" }, "findings": { "type": "array", "items": finding } }),
        &["healthy", "findings"],
    )
}

/// Whether a record was written.
pub fn recorded() -> Value {
    output(json!({ "recorded": { "type": "boolean" }, "id": { "type": "string" } }), &["recorded", "id"])
}

/// Whether something was changed.
pub fn changed() -> Value {
    output(
        json!({ "changed": { "type": "boolean", "description": "false: the signal is unknown or has ended; nothing was changed." } }),
        &["changed"],
    )
}
