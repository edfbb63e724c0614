//! The key `alerts` of `scheduler_config.json`: who gets which events, when, and in what words.

use super::kinds::{KINDS, Kind};
use super::quiet::QuietHours;
use super::secret::Secret;
use super::target::Target;
use super::template::{Template, Templates, kinds_named};
use domain::config::raw::{Raw, invalid, list_of, snake};
use domain::config::span::{SECOND, span};
use domain::error::{Error, Result};
use domain::time::Tz;
use serde_json::{Map, Value};
use std::path::Path;
use std::time::Duration;

/// What errors say instead of a value that may be a secret.
const HIDDEN: &str = "a value that is not shown";
const TELEGRAM: &str = "https://api.telegram.org";
/// Telegram takes 20 messages a minute in a group, the others more.
const BETWEEN_MESSAGES: Duration = Duration::from_secs(3);
/// More destinations suggest a mistake.
const MOST: usize = 50;

/// The way to a destination.
#[derive(Debug, Clone, PartialEq)]
pub enum Channel {
    /// One request per event, with the event's JSON.
    Webhook {
        /// Its address.
        url: Secret,
        /// The key of the signature; `None` for no signature.
        secret: Option<Secret>,
    },
    /// A bot of Telegram, which writes to a chat.
    Telegram {
        /// The bot's token.
        token: Secret,
        /// The chat's id, or `@` and the name of a channel.
        chat_id: String,
        /// The server of the Bot API. Default <https://api.telegram.org>.
        url: String,
    },
    /// A webhook of a Discord channel.
    Discord {
        /// Its address.
        url: Secret,
    },
    /// An incoming webhook of Slack.
    Slack {
        /// Its address.
        url: Secret,
    },
}

impl Channel {
    /// Its name in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Telegram { .. } => "telegram",
            Self::Discord { .. } => "discord",
            Self::Slack { .. } => "slack",
        }
    }
}

/// A destination of alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// Its name in status and errors; unique.
    pub name: String,
    /// The way to it.
    pub channel: Channel,
    /// The events it gets, by name.
    pub events: Vec<&'static str>,
    /// Those of them that are sent in quiet hours, too.
    pub urgent: Vec<&'static str>,
    /// How events are worded.
    pub templates: Templates,
    /// When only urgent events are sent.
    pub quiet: Option<QuietHours>,
    /// The shortest time between two messages.
    pub min_interval: Duration,
    /// The file and the key of its entry, for errors.
    place: (String, String),
}

impl Destination {
    /// Whether it gets events of a kind.
    pub fn wants(&self, kind: &Kind) -> bool {
        self.events.contains(&kind.name)
    }

    /// Fetches its secrets from where the configuration says they are. A relative path begins at `home`.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] with the key of a secret that is not there, or is no address.
    pub fn resolve(&self, home: &Path) -> Result<Target> {
        Target::resolve(self, home, &|key, origin, allowed| self.invalid(key, origin, allowed))
    }

    fn invalid(&self, key: &str, value: &str, allowed: &str) -> Error {
        let (file, entry) = &self.place;
        Error::InvalidConfig {
            file: file.clone(),
            key: format!("{entry}.{key}"),
            value: value.to_owned(),
            allowed: allowed.to_owned(),
        }
    }
}

/// Reads the value of the key `alerts`; times of day are in `zone` where an entry names none. Also returns warnings about unknown
/// keys. No error shows a value that may be a secret.
///
/// # Errors
/// [`Error::InvalidConfig`] with the key, the value and what is allowed.
pub fn destinations(given: &Value, file: &str, zone: Tz) -> Result<(Vec<Destination>, Vec<String>)> {
    let entries = match given {
        Value::Null => return Ok((Vec::new(), Vec::new())),
        Value::Array(entries) if entries.len() <= MOST => entries,
        _ => {
            let allowed = format!("must be a list of at most {MOST} destinations");
            return Err(invalid(file, "alerts", &HIDDEN.into(), &allowed));
        }
    };
    let (mut found, mut warnings) = (Vec::<Destination>::new(), Vec::new());
    for (i, entry) in entries.iter().enumerate() {
        let key = format!("alerts[{i}]");
        let Value::Object(entry) = entry else {
            return Err(invalid(file, &key, &HIDDEN.into(), "must be an object with the key `to`"));
        };
        let mut outer = Raw::new(file, Map::from_iter([(key.clone(), entry.clone().into())]));
        let mut raw = outer.nested(&[&key])?;
        let destination = read(&mut raw, file, &key, zone)?;
        if found.iter().any(|other| other.name == destination.name) {
            let allowed = "must be different for each destination; without it, it is what `to` says";
            return Err(destination.invalid("name", &destination.name, allowed));
        }
        found.push(destination);
        warnings.extend(raw.warnings());
    }
    Ok((found, warnings))
}

fn read(raw: &mut Raw<'_>, file: &str, key: &str, zone: Tz) -> Result<Destination> {
    let channel = read_channel(raw, key)?;
    let is_webhook = matches!(channel, Channel::Webhook { .. });
    let mut name = channel.as_str().to_owned();
    let plain = |v: &Value| Some(v.as_str()?.to_owned()).filter(|name| is_name(name));
    raw.set(&["name"], "must be a text of 1 to 40 letters, digits, `-` or `_`", plain, &mut name)?;
    let events = |v: &Value| list_of(parse_event)(v);
    let mut wanted: Vec<&'static str> = KINDS.iter().filter(|kind| kind.by_default).map(|kind| kind.name).collect();
    raw.set(&["events"], &format!("must be a list of some of {}", Kind::names()), events, &mut wanted)?;
    let mut urgent = vec!["conservativeMode"];
    let allowed = format!("must be a list of some of {}; it may be empty", Kind::names());
    let or_none = |v: &Value| if v.as_array().is_some_and(Vec::is_empty) { Some(Vec::new()) } else { events(v) };
    raw.set(&["urgent"], &allowed, or_none, &mut urgent)?;
    let mut own_zone = zone;
    let parse_zone = |v: &Value| v.as_str()?.parse().ok();
    raw.set(&["timezone"], "must be an IANA time zone such as \"Europe/Berlin\"", parse_zone, &mut own_zone)?;
    let mut quiet = None;
    let hours = |v: &Value| QuietHours::parse(v.as_str()?, own_zone).map(Some);
    raw.set(&["quiet_hours"], "must be two times of day such as \"22:00-07:00\"", hours, &mut quiet)?;
    let mut min_interval = if is_webhook { Duration::ZERO } else { BETWEEN_MESSAGES };
    let allowed = "must be a number of seconds, 0 to 86400, or text such as \"1m\"";
    raw.set(&["min_interval"], allowed, span(SECOND, 0.0, 86_400.0), &mut min_interval)?;
    let templates = read_templates(raw, key, &wanted, is_webhook)?;
    let place = (file.to_owned(), key.to_owned());
    Ok(Destination { name, channel, events: wanted, urgent, templates, quiet, min_interval, place })
}

fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=40).contains(&name.len()) && name.chars().all(is_plain)
}

fn parse_event(name: &str) -> Result<&'static str> {
    let unknown = || Error::argument("events", format!("must be some of {}", Kind::names()), name);
    Kind::named(name).map(|kind| kind.name).ok_or_else(unknown)
}

fn read_channel(raw: &mut Raw<'_>, key: &str) -> Result<Channel> {
    const TO: &str = "must be \"webhook\", \"telegram\", \"discord\" or \"slack\"";
    let mut to = String::new();
    let known = |v: &Value| {
        let to = v.as_str()?;
        ["webhook", "telegram", "discord", "slack"].contains(&to).then(|| to.to_owned())
    };
    raw.set(&["to"], TO, known, &mut to)?;
    let secret = "must be \"env:NAME\", \"file:PATH\" or the text itself";
    Ok(match to.as_str() {
        "webhook" => {
            let url = required(raw, key, "url", secret)?;
            Channel::Webhook { url, secret: optional(raw, key, "secret", secret)? }
        }
        "telegram" => {
            let token = required(raw, key, "token", secret)?;
            let mut chat_id = String::new();
            let id = |v: &Value| match v {
                Value::Number(number) => number.as_i64().map(|id| id.to_string()),
                _ => Some(v.as_str()?.trim().to_owned()).filter(|id| !id.is_empty()),
            };
            let allowed =
                "must be the id of a chat such as -1001234567890, or the name of a channel such as \"@alerts\"";
            raw.set(&["chat_id"], allowed, id, &mut chat_id)?;
            if chat_id.is_empty() {
                return Err(said(raw, &format!("{key}.chat_id"), "nothing", allowed));
            }
            let mut url = TELEGRAM.to_owned();
            let allowed = "must be the address of a server of the Bot API, without the token";
            if let Some(Secret::Inline(given)) = optional(raw, key, "url", allowed)? {
                url = given.trim_end_matches('/').to_owned();
            }
            Channel::Telegram { token, chat_id, url }
        }
        "discord" => Channel::Discord { url: required(raw, key, "url", secret)? },
        "slack" => Channel::Slack { url: required(raw, key, "url", secret)? },
        _ => return Err(said(raw, &format!("{key}.to"), "nothing", TO)),
    })
}

/// The error for a value that is described, not quoted.
fn said(raw: &Raw<'_>, key: &str, value: &str, allowed: &str) -> Error {
    match raw.invalid(key, value, allowed) {
        Error::InvalidConfig { file, key, allowed, .. } => {
            Error::InvalidConfig { file, key, value: value.to_owned(), allowed }
        }
        other => other,
    }
}

/// A secret. Its value is in no error.
fn optional(raw: &mut Raw<'_>, key: &str, name: &str, allowed: &str) -> Result<Option<Secret>> {
    let mut given = None;
    raw.set(&[name], allowed, |v| Some(Some(v.clone())), &mut given)?;
    let Some(given) = given else { return Ok(None) };
    let hidden = || said(raw, &format!("{key}.{name}"), HIDDEN, allowed);
    given.as_str().and_then(Secret::parse).map(Some).ok_or_else(hidden)
}

fn required(raw: &mut Raw<'_>, key: &str, name: &str, allowed: &str) -> Result<Secret> {
    optional(raw, key, name, allowed)?.ok_or_else(|| said(raw, &format!("{key}.{name}"), "nothing", allowed))
}

/// `template`: one for all events, or an object of templates by event.
fn read_templates(raw: &mut Raw<'_>, key: &str, wanted: &[&'static str], is_webhook: bool) -> Result<Templates> {
    let mut given = None;
    raw.set(&["template"], "", |v| Some(Some(v.clone())), &mut given)?;
    let Some(given) = given else { return Ok(Templates::default()) };
    let place = format!("{key}.template");
    if is_webhook {
        return Err(raw.invalid(&place, "one", "is for messages; a webhook gets the event as JSON"));
    }
    let parse = |place: &str, text: &str, kinds: &[&'static Kind]| {
        Template::parse(text, kinds).map_err(|allowed| raw.invalid(place, text, &allowed))
    };
    let mut templates = Templates::default();
    match &given {
        Value::String(text) => templates.all = Some(parse(&place, text, &kinds_named(wanted))?),
        Value::Object(each) => {
            for (event, text) in each {
                let place = format!("{place}.{event}");
                let unknown = || raw.invalid(&place, "a template", &format!("must be one of {}", Kind::names()));
                // `signal_closed` is `signalClosed`, as for every key.
                let kind = KINDS.iter().find(|kind| snake(kind.name) == snake(event)).ok_or_else(unknown)?;
                let Some(text) = text.as_str() else {
                    return Err(raw.invalid(&place, &text.to_string(), "must be a text"));
                };
                templates.each.push((kind.name, parse(&place, text, &[kind])?));
            }
        }
        other => {
            let allowed = "must be a text, or an object with a text for each event";
            return Err(raw.invalid(&place, &other.to_string(), allowed));
        }
    }
    Ok(templates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_one(entry: Value) -> Result<(Vec<Destination>, Vec<String>)> {
        destinations(&json!([entry]), "scheduler_config.json", "Asia/Tokyo".parse().unwrap())
    }

    #[test]
    fn all_keys_in_both_spellings() {
        let entry = json!({
            "to": "telegram", "name": "phone", "token": "env:TELEGRAM_TOKEN", "chat_id": -1001, "events": ["signalClosed", "warning"],
            "urgent": [], "template": "{{symbol}}", "quietHours": "22:00-07:00", "timezone": "Europe/Berlin",
            "min_interval": "1m", "tokn": "not-to-be-shown",
        });
        let (found, warnings) = read_one(entry).unwrap();
        let one = &found[0];
        let channel = Channel::Telegram {
            token: Secret::Environment("TELEGRAM_TOKEN".into()),
            chat_id: "-1001".into(),
            url: TELEGRAM.into(),
        };
        assert_eq!((one.name.as_str(), &one.channel), ("phone", &channel));
        assert_eq!((&one.events[..], &one.urgent[..]), (&["signalClosed", "warning"][..], &[][..]));
        assert_eq!(one.quiet, QuietHours::parse("22:00-07:00", "Europe/Berlin".parse().unwrap()));
        assert_eq!(one.min_interval, Duration::from_secs(60));
        assert_eq!(warnings, ["scheduler_config.json: unknown key `alerts[0].tokn` is ignored"]);
        let (found, _) =
            read_one(json!({ "to": "slack", "url": "https://hooks.slack.com/services/x", "quiet_hours": "1:00-2:00" }))
                .unwrap();
        assert_eq!((found[0].name.as_str(), found[0].events.len()), ("slack", 8));
        assert_eq!(found[0].quiet, QuietHours::parse("01:00-02:00", "Asia/Tokyo".parse().unwrap()));
        assert_eq!(destinations(&Value::Null, "f", Tz::UTC).unwrap(), (vec![], vec![]));
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_is_shown() {
        const HIDE: &str = "hide-me-9";
        let discord = || json!({ "to": "discord", "url": HIDE });
        for (given, expected) in [
            (json!({ "token": HIDE }), "`alerts` must be a list of at most 50 destinations"),
            (json!([HIDE]), "`alerts[0]` must be an object with the key `to`"),
            (
                json!([{ "url": HIDE }]),
                "`alerts[0].to` must be \"webhook\", \"telegram\", \"discord\" or \"slack\"; got nothing",
            ),
            (json!([{ "to": "pager", "url": HIDE }]), "`alerts[0].to` must be"),
            (json!([{ "to": "telegram", "token": [HIDE], "chat_id": 1 }]), "`alerts[0].token` must be \"env:NAME\""),
            (json!([{ "to": "telegram", "token": HIDE }]), "`alerts[0].chat_id` must be the id of a chat"),
            (json!([discord(), discord()]), "`alerts[1].name` must be different for each destination"),
            (
                json!([{ "to": "slack", "url": HIDE, "events": ["closed"] }]),
                "`alerts[0].events` must be a list of some of signalClosed, ",
            ),
            (json!([{ "to": "slack", "url": HIDE, "urgent": "warning" }]), "`alerts[0].urgent` must be a list"),
            (
                json!([{ "to": "slack", "url": HIDE, "template": "{{version}}", "events": ["signalClosed"] }]),
                "`alerts[0].template` has no placeholder {{version}}; there are at, ",
            ),
            (
                json!([{ "to": "slack", "url": HIDE, "template": { "signalClosed": "{{reason}}" } }]),
                "`alerts[0].template.signalClosed` has no placeholder {{reason}}",
            ),
            (
                json!([{ "to": "slack", "url": HIDE, "template": { "closed": "x" } }]),
                "`alerts[0].template.closed` must be one of signalClosed",
            ),
            (json!([{ "to": "webhook", "url": HIDE, "template": "x" }]), "`alerts[0].template` is for messages"),
            (
                json!([{ "to": "slack", "url": HIDE, "quiet_hours": "22-7" }]),
                "`alerts[0].quiet_hours` must be two times of day",
            ),
            (
                json!([{ "to": "slack", "url": HIDE, "timezone": "Berlin" }]),
                "`alerts[0].timezone` must be an IANA time zone",
            ),
            (
                json!([{ "to": "slack", "url": HIDE, "min_interval": -1 }]),
                "`alerts[0].min_interval` must be a number of seconds",
            ),
            (json!([{ "to": "slack", "url": HIDE, "name": "a b" }]), "`alerts[0].name` must be a text of 1 to 40"),
            (json!([{ "to": "webhook", "url": HIDE, "secret": 5 }]), "`alerts[0].secret` must be"),
        ] {
            let error = destinations(&given, "f.json", Tz::UTC).unwrap_err();
            assert_eq!(error.code(), "ERR_INVALID_CONFIG");
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!format!("{error} {error:?}").contains(HIDE), "{error}");
        }
        let error = |entry| read_one(entry).unwrap().0[0].resolve(Path::new("/nowhere")).unwrap_err().to_string();
        let of_env = error(json!({ "to": "telegram", "token": "env:SIGNALLOOP_NO_TOKEN", "chat_id": 1 }));
        assert_eq!(
            of_env,
            "scheduler_config.json: `alerts[0].token` names an environment variable that is not set; got env:SIGNALLOOP_NO_TOKEN"
        );
        let of_url = error(json!({ "to": "slack", "url": HIDE }));
        assert_eq!(
            of_url,
            "scheduler_config.json: `alerts[0].url` must be an http(s) address; got a text that is not shown"
        );
    }
}
