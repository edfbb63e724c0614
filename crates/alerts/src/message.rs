//! Messages for people: each channel's escaping, its longest message, and several events in one message.

use super::config::Destination;
use super::kinds::Kind;
use super::outbox::Entry;
use super::template::units;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Room for the line that counts what a summary leaves out.
const COUNTS: usize = 400;

/// How a channel writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    Webhook,
    Telegram { chat_id: String },
    Discord,
    Slack,
}

impl Format {
    /// The longest message, in UTF-16 units.
    pub fn limit(&self) -> usize {
        match self {
            Self::Telegram { .. } => 4096,
            Self::Discord => 2000,
            Self::Slack | Self::Webhook => 40_000,
        }
    }

    /// A value as text that the channel shows as it is.
    ///
    /// Sources: <https://core.telegram.org/bots/api#html-style>, <https://docs.slack.dev/messaging/formatting-message-text>,
    /// <https://support.discord.com/hc/en-us/articles/210298617>.
    pub fn escape(&self, text: &str) -> String {
        match self {
            Self::Webhook => text.to_owned(),
            Self::Telegram { .. } | Self::Slack => text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
            Self::Discord => text.chars().fold(String::new(), |mut escaped, c| {
                if c.is_ascii_punctuation() && !matches!(c, '.' | ',' | '%' | '+' | '/' | '?' | '!' | ';' | '$' | '\'')
                {
                    escaped.push('\\');
                }
                escaped.push(c);
                escaped
            }),
        }
    }

    /// The body of the request.
    pub fn body(&self, text: &str) -> String {
        match self {
            Self::Webhook => json!({ "text": text }),
            Self::Telegram { chat_id } => json!({
                "chat_id": chat_id, "text": text, "parse_mode": "HTML", "link_preview_options": { "is_disabled": true },
            }),
            // No name in a message calls anyone.
            Self::Discord => json!({ "content": text, "allowed_mentions": { "parse": [] } }),
            Self::Slack => json!({ "text": text, "unfurl_links": false, "unfurl_media": false }),
        }
        .to_string()
    }

    fn text_of(&self, destination: &Destination, event: &Value, limit: usize) -> String {
        let Some(kind) = Kind::of(event) else { return String::new() };
        destination.templates.of(kind).render(event, &|value| self.escape(value), limit)
    }
}

/// What a host says about a refusal: Telegram's `description`, Discord's `message`, others' text.
pub(crate) fn words_of_refusal(said: &Value, body: &[u8]) -> String {
    let named = ["description", "message", "error"].iter().find_map(|name| said[*name].as_str());
    let text = named.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    // A page is no reason.
    if text.trim_start().starts_with('<') { String::new() } else { text.trim().to_owned() }
}

/// One message of the first events, and how many of them it holds: those that fit, at least one.
pub(crate) fn burst(format: &Format, destination: &Destination, events: &[&Entry]) -> (String, usize) {
    let (mut text, mut held) = (String::new(), 0);
    for entry in events {
        let line = format.text_of(destination, &entry.event, format.limit());
        if held > 0 && units(&text) + 1 + units(&line) > format.limit() {
            break;
        }
        if held > 0 {
            text.push('\n');
        }
        text.push_str(&line);
        held += 1;
    }
    (text, held)
}

/// One message of all that was held in quiet hours: the first that fit, and how many of each kind follow.
pub(crate) fn summary(format: &Format, destination: &Destination, events: &[&Entry]) -> String {
    let mut text = match events.len() {
        1 => "1 alert of the quiet hours:".to_owned(),
        count => format!("{count} alerts of the quiet hours:"),
    };
    let room = format.limit() - COUNTS;
    for (at, entry) in events.iter().enumerate() {
        let line = format.text_of(destination, &entry.event, room / 2);
        if units(&text) + 1 + units(&line) > room {
            let mut more = BTreeMap::<&str, usize>::new();
            for entry in &events[at..] {
                *more.entry(Kind::of(&entry.event).map_or("other", |kind| kind.name)).or_default() += 1;
            }
            let more: Vec<String> = more.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            return format!("{text}\nand {}", more.join(", "));
        }
        text = format!("{text}\n{line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::destinations;
    use domain::time::Tz;
    use proptest::prelude::*;

    fn formats() -> [(Format, &'static str); 3] {
        [(Format::Telegram { chat_id: "1".into() }, "telegram"), (Format::Discord, "discord"), (Format::Slack, "slack")]
    }

    fn destination(to: &str) -> Destination {
        let entry = json!([{ "to": to, "url": "http://a", "token": "t", "chat_id": 1 }]);
        destinations(&entry, "f", Tz::UTC).unwrap().0.remove(0)
    }

    /// The text that a channel shows for an escaped one.
    fn shown(format: &Format, escaped: &str) -> Option<String> {
        if *format == Format::Discord {
            let (mut text, mut chars) = (String::new(), escaped.chars());
            while let Some(c) = chars.next() {
                match c {
                    '\\' => text.push(chars.next()?),
                    // Anything of Discord's markup would be read as such.
                    '*' | '_' | '~' | '`' | '|' | '>' | '<' | '#' | '[' | ']' | '(' | ')' | '@' | ':' | '-' => {
                        return None;
                    }
                    c => text.push(c),
                }
            }
            return Some(text);
        }
        if escaped.contains(['<', '>']) {
            return None;
        }
        let text = escaped.replace("&lt;", "<").replace("&gt;", ">");
        (text.matches('&').count() == text.matches("&amp;").count()).then(|| text.replace("&amp;", "&"))
    }

    fn entries(texts: &[String]) -> Vec<Entry> {
        let one = |text: &String| Entry::new(Vec::new(), json!({ "type": "warning", "message": text }));
        texts.iter().map(one).collect()
    }

    proptest! {
        /// Every channel shows a value as it is: no character of it becomes markup, a mention or a link.
        #[test]
        fn what_is_escaped_is_shown_as_it_was(text in "[ -~äß€😀\n]{0,200}") {
            for (format, _) in formats() {
                prop_assert_eq!(shown(&format, &format.escape(&text)), Some(text.clone()));
            }
        }

        /// Messages fit, hold at least one event, and none is left out or told twice.
        #[test]
        fn bursts_and_summaries_fit(texts in prop::collection::vec("[a&<*😀]{0,9000}", 1..12)) {
            let entries = entries(&texts);
            let all: Vec<&Entry> = entries.iter().collect();
            for (format, to) in formats() {
                let destination = destination(to);
                let (mut rest, mut lines) = (&all[..], 0);
                while !rest.is_empty() {
                    let (text, held) = burst(&format, &destination, rest);
                    prop_assert!(held > 0 && units(&text) <= format.limit());
                    prop_assert_eq!(text.lines().count(), held);
                    lines += held;
                    rest = &rest[held..];
                }
                prop_assert_eq!(lines, all.len());
                let text = summary(&format, &destination, &all);
                prop_assert!(units(&text) <= format.limit(), "{} of {}", units(&text), format.limit());
            }
        }
    }
}
