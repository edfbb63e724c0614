//! The tools: their names, what they say of themselves, and what they take and answer.

use super::schema;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};
use std::sync::Arc;

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    Statistics,
    Assess,
    Patterns,
    Scorecard,
    Advise,
    Models,
    Predict,
    OpenSignals,
    Signal,
    Report,
    Replay,
    Status,
    Doctor,
    RecordSignal,
    UpdateOutcome,
    AmendSignal,
    CancelSignal,
}

/// What a tool does to the home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Nothing.
    Reads,
    /// Nothing, and it asks the exchange whether it can be reached.
    AsksTheExchange,
    /// It adds a line to the ledger of replays.
    NotesALook,
    /// It adds a signal; the same one again changes nothing.
    Adds,
    /// It changes a signal for good.
    Changes,
    /// It ends a signal for good; once more changes nothing.
    Ends,
}

impl Name {
    /// All tools, those that only read first.
    pub const ALL: [Self; 17] = [
        Self::Statistics,
        Self::Assess,
        Self::Patterns,
        Self::Scorecard,
        Self::Advise,
        Self::Models,
        Self::Predict,
        Self::OpenSignals,
        Self::Signal,
        Self::Report,
        Self::Replay,
        Self::Status,
        Self::Doctor,
        Self::RecordSignal,
        Self::UpdateOutcome,
        Self::AmendSignal,
        Self::CancelSignal,
    ];

    /// The tool of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.as_str() == name)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Statistics => "statistics",
            Self::Assess => "assess",
            Self::Patterns => "patterns",
            Self::Scorecard => "scorecard",
            Self::Advise => "advise",
            Self::Models => "models",
            Self::Predict => "predict",
            Self::OpenSignals => "open_signals",
            Self::Signal => "signal",
            Self::Report => "report",
            Self::Replay => "replay",
            Self::Status => "status",
            Self::Doctor => "doctor",
            Self::RecordSignal => "record_signal",
            Self::UpdateOutcome => "update_outcome",
            Self::AmendSignal => "amend_signal",
            Self::CancelSignal => "cancel_signal",
        }
    }

    /// Whether it changes signals, so that it is there only with `--write`.
    pub fn writes(self) -> bool {
        matches!(self.effect(), Effect::Adds | Effect::Changes | Effect::Ends)
    }

    fn effect(self) -> Effect {
        match self {
            Self::Doctor => Effect::AsksTheExchange,
            Self::Replay => Effect::NotesALook,
            Self::RecordSignal => Effect::Adds,
            Self::UpdateOutcome | Self::AmendSignal => Effect::Changes,
            Self::CancelSignal => Effect::Ends,
            _ => Effect::Reads,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Statistics => "Results of the signals",
            Self::Assess => "Is a signal worth taking",
            Self::Patterns => "Rules in successes and failures",
            Self::Scorecard => "Were the predictions right",
            Self::Advise => "Would other stops and targets have brought more",
            Self::Models => "Models in service",
            Self::Predict => "Prediction of a market",
            Self::OpenSignals => "Open signals",
            Self::Signal => "One signal with its history",
            Self::Report => "The report in short",
            Self::Replay => "Would it have helped",
            Self::Status => "State of the home",
            Self::Doctor => "What is wrong",
            Self::RecordSignal => "Record a signal",
            Self::UpdateOutcome => "Close a signal",
            Self::AmendSignal => "Change a signal",
            Self::CancelSignal => "Cancel a waiting signal",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Statistics => {
                "Results of recorded signals, of the last 30 days unless `days` or `all` says otherwise: success rate with its 95 % \
                 interval, break-even rate, profit after costs, results in R, by symbol, timeframe, strategy and month. Always \
                 report how many signals have closed, and the interval; compare the success rate with the break-even rate, because \
                 a high rate can lose money. Past results do not promise future ones."
            }
            Self::Assess => {
                "Estimates the chances of a BUY or SELL from the outcomes of all closed signals and, if there is a model, from \
                 candles. Nothing is recorded. The probability is an estimate of reaching the target before the stop and the \
                 expiry: report it with its interval, beside the base rate and the break-even threshold, and say how many outcomes \
                 it is based on (`effectiveSampleSize`). With few outcomes it says little. `take` is no financial advice."
            }
            Self::Patterns => {
                "Rules that separate successes from failures of closed signals, such as `BUY with rsi at or above 72`. An empty list \
                 means that nothing stands out from chance. Report each rule with its count, the base rate, the p-value, and \
                 whether it still holds; it describes the past."
            }
            Self::Scorecard => {
                "Compares the predictions stored when signals were recorded with what came of them: log loss beside that of the base \
                 rate, calibration, and whether taking only the recommended signals would have paid, with 95 % intervals. Quote \
                 the verdict; an interval that contains 0 shows nothing."
            }
            Self::Advise => {
                "Replays closed signals on stored candles with other stops, targets and expiries, and says what these would have \
                 brought in R a signal after costs. The intervals hold for all alternatives together. Quote the verdict; an \
                 alternative whose interval contains 0 is not better."
            }
            Self::Models => {
                "The models in service by market, whether they have skill, and how they compare with the base rate on rows they had \
                 not seen. A model without skill predicts the base rate: say that it knows nothing."
            }
            Self::Predict => {
                "The model's prediction for the time after the last stored candle of a market: BUY, SELL or HOLD, with probabilities \
                 in percent, base rates, the break-even probability, and the reasons. It makes no network request. If `stale` is \
                 true, the candles are out of date: say so first."
            }
            Self::OpenSignals => {
                "Signals that are open or wait for their entry, each with where it stands: stop, targets, the share still open. \
                 Current prices are not known here."
            }
            Self::Signal => {
                "One recorded signal by its id: as it was given, its status, what happened to it, and its result in percent and R."
            }
            Self::Report => {
                "The report of the home in short: results of all signals, the verdicts of scorecard and advice, models, and parts \
                 that could not be read. The whole page is the resource `signalloop://report`. It writes no file."
            }
            Self::Replay => {
                "Runs the learning loop over the past with a simulated clock, on the signals given or on those of the home, and tells \
                 what it would have said, taken and earned, with everything known only when it was known. It takes seconds to \
                 minutes and sends progress; cancel it at will. It runs on the candles stored in the home. Each replay is noted \
                 in the home's ledger `replays.jsonl`, because of many looks one looks good by chance: report \
                 `looks`, and do not repeat replays until one pleases."
            }
            Self::Status => {
                "The state of the home: where it is, whether this server may write, when the scheduler's tasks are due and how they \
                 ended, whether conservative mode is on, and warnings about the configuration."
            }
            Self::Doctor => {
                "Checks the home, its configuration, candles, models, the scheduler, the exchange and the clock: what is wrong, why it \
                 matters, and what to do. It asks the exchange whether it can be reached."
            }
            Self::RecordSignal => {
                "Records a signal of the user in the home, for good: it counts in the statistics and is learned from. Record only what \
                 was really given at that time; a signal of the past needs its true `timestamp`. With `outcome` it is recorded as \
                 closed. The same signal again changes nothing; another one under the same id is refused."
            }
            Self::UpdateOutcome => {
                "Closes a signal with its outcome, or with `share` a part of its position, for good: the first outcome stands. Use it \
                 only for an end that really happened; signals close by price by themselves. `changed: false` means that the \
                 signal is unknown or already closed."
            }
            Self::AmendSignal => {
                "Changes the stop, the targets or the expiry of a signal that is open or waits for its entry. The change is an event \
                 of its history. It places no order at an exchange."
            }
            Self::CancelSignal => {
                "Cancels a signal that still waits for its entry, for good. It counts as neither success nor failure. It cancels no \
                 order at an exchange."
            }
        }
    }

    fn input(self) -> Value {
        let market = || json!({ "symbol": schema::symbol(), "timeframe": schema::timeframe() });
        match self {
            Self::Statistics => schema::input(
                json!({
                    "symbol": schema::symbol(), "timeframe": schema::timeframe(),
                    "days": { "type": "number", "exclusiveMinimum": 0, "maximum": 36500, "description": "How many days back; 30 unless given." },
                    "all": { "type": "boolean", "description": "All signals, however old." },
                }),
                &[],
            ),
            Self::Assess => {
                schema::input(json!({ "signal": schema::signal(&["pair", "signalType", "entryPrice"]) }), &["signal"])
            }
            Self::Patterns | Self::Models => schema::input(market(), &[]),
            Self::Scorecard => schema::input(
                json!({ "since": schema::since(), "strategy": schema::strategy(), "symbol": schema::symbol() }),
                &[],
            ),
            Self::Advise => schema::input(
                json!({
                    "since": schema::since(), "strategy": schema::strategy(), "symbol": schema::symbol(),
                    "timeframe": schema::timeframe(),
                }),
                &[],
            ),
            Self::Predict => schema::input(market(), &["symbol"]),
            Self::OpenSignals => schema::input(
                json!({
                    "symbol": schema::symbol(),
                    "limit": { "type": "integer", "minimum": 1, "maximum": 500, "description": "How many of the newest; 50 unless given." },
                }),
                &[],
            ),
            Self::Signal => schema::input(
                json!({ "id": { "type": "string", "description": "The id under which it was recorded." } }),
                &["id"],
            ),
            Self::Report | Self::Status | Self::Doctor => schema::input(json!({}), &[]),
            Self::Replay => schema::input(
                json!({
                    "signals": {
                        "type": "array", "maxItems": super::replaying::MOST_SIGNALS,
                        "items": schema::signal(&["id", "pair", "signalType", "entryPrice", "timestamp"]),
                        "description": "Past signals; those of the home unless given.",
                    },
                    "symbols": { "type": "array", "items": schema::symbol() },
                    "timeframes": { "type": "array", "items": schema::timeframe() },
                    "from": schema::since(),
                    "until": { "type": ["string", "number"], "description": "It ends here; at the last candle unless given." },
                    "without": {
                        "type": "array", "items": { "type": "string", "enum": ["models", "outcomes", "gate", "conservative"] },
                        "description": "Parts of the loop to leave out.",
                    },
                    "maxSeconds": { "type": "number", "exclusiveMinimum": 0, "maximum": 3600, "description": "It is given up after this time; 300 unless given." },
                }),
                &[],
            ),
            Self::RecordSignal => {
                let mut members = schema::signal_members();
                members["outcome"] = json!({ "type": "string", "description": "For a signal that has ended: TOOK_PROFIT, STOPPED_OUT, SUCCESS or FAILURE, with exitPrice or profitLossPercent and closedAt." });
                json!({
                    "type": "object", "properties": members, "additionalProperties": true,
                    "required": ["id", "pair", "signalType", "entryPrice", "timestamp"],
                })
            }
            Self::UpdateOutcome => schema::input(
                json!({
                    "signalId": { "type": "string", "description": "The id of the signal." },
                    "outcome": { "type": "string", "description": "TOOK_PROFIT, STOPPED_OUT, SUCCESS, FAILURE or UNKNOWN." },
                    "exitPrice": { "type": "number", "exclusiveMinimum": 0, "description": "The price at which it was closed." },
                    "profitLossPercent": { "type": "number", "description": "Percent of the entry, before costs; calculated from exitPrice unless given." },
                    "closedAt": { "type": ["string", "number"], "description": "When; now unless given." },
                    "share": { "type": "number", "exclusiveMinimum": 0, "maximum": 100, "description": "Percent of the whole position that was closed; all of it unless given." },
                }),
                &["signalId"],
            ),
            Self::AmendSignal => schema::input(
                json!({
                    "signalId": { "type": "string", "description": "The id of the signal." },
                    "stopLoss": { "type": "number", "exclusiveMinimum": 0, "description": "The stop from now on." },
                    "takeProfits": { "type": "array", "items": { "type": "object" }, "description": "The targets from now on: { price, share }, nearest first; share is percent of the whole position." },
                    "expiresAt": { "type": ["string", "number"], "description": "The expiry from now on." },
                    "reason": { "type": "string", "description": "Your reason, stored in its history." },
                }),
                &["signalId"],
            ),
            Self::CancelSignal => schema::input(
                json!({
                    "signalId": { "type": "string", "description": "The id of the signal." },
                    "at": { "type": ["string", "number"], "description": "When; now unless given." },
                    "reason": { "type": "string", "description": "Your reason, stored in its history." },
                    "replacedBy": { "type": "string", "description": "The id of the signal that replaces it." },
                }),
                &["signalId"],
            ),
        }
    }

    fn output(self) -> Value {
        match self {
            Self::Statistics => schema::statistics(),
            Self::Assess => schema::assessment(),
            Self::Patterns => schema::patterns(),
            Self::Scorecard => schema::scorecard(),
            Self::Advise => schema::advice(),
            Self::Models => schema::models(),
            Self::Predict => schema::prediction(),
            Self::OpenSignals => schema::open_signals(),
            Self::Signal => schema::stored_signal(),
            Self::Report => schema::report(),
            Self::Replay => schema::replay(),
            Self::Status => schema::status(),
            Self::Doctor => schema::doctor(),
            Self::RecordSignal => schema::recorded(),
            Self::UpdateOutcome | Self::AmendSignal | Self::CancelSignal => schema::changed(),
        }
    }

    /// The tool as it is listed.
    pub fn tool(self) -> Tool {
        let effect = self.effect();
        let reads = matches!(effect, Effect::Reads | Effect::AsksTheExchange);
        let annotations = ToolAnnotations::with_title(self.title())
            .read_only(reads)
            .destructive(matches!(effect, Effect::Changes | Effect::Ends))
            .idempotent(reads || matches!(effect, Effect::Adds | Effect::Ends))
            .open_world(effect == Effect::AsksTheExchange);
        Tool::new(self.as_str(), self.description(), object(self.input()))
            .with_title(self.title())
            .with_raw_output_schema(object(self.output()))
            .with_annotations(annotations)
    }
}

fn object(schema: Value) -> Arc<JsonObject> {
    match schema {
        Value::Object(members) => Arc::new(members),
        _ => Arc::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_is_found_by_its_name_and_describes_itself() {
        for name in Name::ALL {
            assert_eq!(Name::named(name.as_str()), Some(name));
            let tool = name.tool();
            assert!(tool.description.unwrap().len() > 80, "{name:?}");
            assert_eq!(tool.input_schema["type"], "object");
            let output = tool.output_schema.unwrap();
            let members = output["properties"].as_object().unwrap();
            for required in output["required"].as_array().unwrap() {
                assert!(members.contains_key(required.as_str().unwrap()), "{name:?}: {required}");
            }
        }
        assert_eq!(Name::named("train"), None);
    }

    #[test]
    fn what_writes_is_not_called_read_only() {
        for name in Name::ALL {
            let annotations = name.tool().annotations.unwrap();
            assert!(!(name.writes() && annotations.read_only_hint == Some(true)), "{name:?}");
        }
        assert_eq!(Name::ALL.iter().filter(|name| name.writes()).count(), 4);
        let hints = |name: Name| name.tool().annotations.map(|a| (a.destructive_hint, a.idempotent_hint)).unwrap();
        assert_eq!(hints(Name::RecordSignal), (Some(false), Some(true)));
        assert_eq!(hints(Name::UpdateOutcome), (Some(true), Some(false)));
    }
}
