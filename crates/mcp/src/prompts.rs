//! The prompts: questions that a user may choose from a menu.

use rmcp::model::{ErrorData, GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};

/// The value of an argument, by its name.
type Given<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What every prompt asks for.
const HONESTY: &str = "Give each figure with the number of closed signals it is of and its 95 % interval, and compare it with the base \
    rate or the break-even rate. Where an interval contains the value for no effect, say that nothing is shown. Do not call a \
    probability a certainty, and give no financial advice.";

struct Known {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    arguments: &'static [(&'static str, &'static str, bool)],
    text: fn(&Given) -> String,
}

const ALL: [Known; 3] = [
    Known {
        name: "review-week",
        title: "Review this week's signals",
        description: "What the signals of the last days brought, and what of it is more than chance.",
        arguments: &[("days", "How many days back; 7 unless given.", false)],
        text: |argument| {
            let days = argument("days").unwrap_or_else(|| "7".to_owned());
            format!(
                "Review my trading signals of the last {days} days. Call `statistics` with days={days}, and once more with all=true to \
                 compare; then `open_signals`, `scorecard` and `status`. Tell me: how many signals were given and closed, what \
                 they brought after costs in percent and R, which strategies or symbols differ by more than chance, whether the \
                 predictions were right, what is open, and whether conservative mode is on. {HONESTY}"
            )
        },
    },
    Known {
        name: "worth-taking",
        title: "Is this signal worth taking",
        description: "Asks what earlier outcomes say of a signal.",
        arguments: &[("signal", "The signal in any form: pair, direction, entry, stop, target, indicators.", true)],
        text: |argument| {
            let signal = argument("signal").unwrap_or_default();
            format!(
                "Is this signal worth taking?\n\n{signal}\n\nRead pair, direction, entry, stop and target from it, ask me for what is \
                 missing rather than guess, and call `assess`. Then call `patterns` for its symbol. Tell me the estimated \
                 probability with its interval, the base rate, the break-even threshold, the expected R with its interval, on how \
                 many outcomes it rests, and the reasons. Do not record the signal. {HONESTY}"
            )
        },
    },
    Known {
        name: "find-weaknesses",
        title: "What could be better",
        description: "Looks for what costs money: levels, patterns, markets, models without skill.",
        arguments: &[("strategy", "Only this strategy.", false)],
        text: |argument| {
            let only = argument("strategy").map_or_else(String::new, |name| format!(" of the strategy `{name}`"));
            format!(
                "Find out what could be better about my signals{only}. Call `doctor`, `statistics` with all=true, `patterns`, `scorecard`, \
                 `advise` and `models`. Name only what the evidence shows beyond chance, the strongest first, and say what would \
                 have to be seen to decide the rest. Do not run replays until one pleases: each is noted, and counts. {HONESTY}"
            )
        },
    },
];

/// All prompts.
pub fn list() -> Vec<Prompt> {
    ALL.iter()
        .map(|known| {
            let argument = |&(name, description, required): &(&str, &str, bool)| {
                PromptArgument::new(name).with_description(description).with_required(required)
            };
            let arguments = known.arguments.iter().map(argument).collect();
            Prompt::new(known.name, Some(known.description), Some(arguments)).with_title(known.title)
        })
        .collect()
}

/// The text of a prompt.
///
/// # Errors
/// Invalid parameters, for an unknown name, and for a missing or unknown argument.
pub fn get(name: &str, arguments: JsonObject) -> Result<GetPromptResult, ErrorData> {
    let wrong = |problem: String| ErrorData::invalid_params(problem, None);
    let known =
        ALL.iter().find(|known| known.name == name).ok_or_else(|| wrong(format!("there is no prompt `{name}`")))?;
    if let Some(other) = arguments.keys().find(|key| !known.arguments.iter().any(|(name, ..)| name == key)) {
        return Err(wrong(format!("the prompt `{name}` has no argument `{other}`")));
    }
    let argument = |name: &str| arguments.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    if let Some((missing, ..)) =
        known.arguments.iter().find(|(name, _, required)| *required && argument(name).is_none())
    {
        return Err(wrong(format!("the prompt `{name}` needs the argument `{missing}`, a text")));
    }
    let message = PromptMessage::new_text(Role::User, (known.text)(&argument));
    Ok(GetPromptResult::new(vec![message]).with_description(known.description))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(name: &str, arguments: serde_json::Value) -> Result<GetPromptResult, ErrorData> {
        get(name, arguments.as_object().cloned().unwrap())
    }

    #[test]
    fn arguments_are_put_in_and_checked() {
        let text = |result: GetPromptResult| serde_json::to_string(&result.messages).unwrap();
        assert!(text(with("review-week", json!({})).unwrap()).contains("days=7"));
        assert!(text(with("review-week", json!({ "days": "30" })).unwrap()).contains("days=30"));
        assert!(text(with("worth-taking", json!({ "signal": "BUY SOL" })).unwrap()).contains("BUY SOL"));
        for (name, arguments, problem) in [
            ("worth-taking", json!({}), "needs the argument `signal`"),
            ("review-week", json!({ "weeks": "1" }), "has no argument `weeks`"),
            ("other", json!({}), "there is no prompt `other`"),
        ] {
            let error = with(name, arguments).unwrap_err();
            assert!(error.message.contains(problem), "{}", error.message);
        }
    }

    #[test]
    fn every_tool_that_a_prompt_names_exists() {
        for known in &ALL {
            let text = (known.text)(&|_| Some("x".to_owned()));
            let quoted = text.split('`').skip(1).step_by(2).filter(|name| *name != "x");
            for name in quoted {
                assert!(crate::tools::Name::named(name).is_some(), "{}: {name}", known.name);
            }
        }
    }
}
