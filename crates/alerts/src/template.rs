//! Templates: text with `{{placeholders}}`.

use super::kinds::{KINDS, Kind, fact};
use serde_json::Value;

/// Most characters of a template. With its values cut, the shortest message that a channel takes has room for it.
pub const LONGEST: usize = 1000;

/// A checked template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(String),
}

impl Template {
    /// Reads a template whose placeholders `kinds` have: each of them at least one.
    ///
    /// # Errors
    /// What is wrong, phrased to follow the key's name.
    pub fn parse(text: &str, kinds: &[&'static Kind]) -> Result<Self, String> {
        if text.trim().is_empty() || text.chars().count() > LONGEST {
            return Err(format!("must be a text of 1 to {LONGEST} characters"));
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, after)) = after.split_once("}}") else {
                return Err("must close every {{ with }}".to_owned());
            };
            let name = name.trim();
            if !kinds.iter().any(|kind| kind.has(name)) {
                let mut known: Vec<&str> = kinds.iter().flat_map(|kind| kind.placeholders()).collect();
                known.sort_unstable();
                known.dedup();
                return Err(format!("has no placeholder {{{{{name}}}}}; there are {}", known.join(", ")));
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Value(name.to_owned()));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The template of a kind where none is given.
    pub fn of(kind: &'static Kind) -> Self {
        // A test reads each of them.
        Self::parse(kind.template, &[kind]).unwrap_or_else(|_| Self(vec![Part::Value("type".to_owned())]))
    }

    /// Whether events of this kind have everything that it asks for.
    pub fn fits(&self, kind: &Kind) -> bool {
        self.0.iter().all(|part| match part {
            Part::Text(_) => true,
            Part::Value(name) => kind.has(name),
        })
    }

    /// The text of an event of at most `limit` UTF-16 units. `escape` is applied to values, not to the template's own text. Values
    /// are cut until it fits.
    pub fn render(&self, event: &Value, escape: &dyn Fn(&str) -> String, limit: usize) -> String {
        let mut longest = limit;
        loop {
            let text = self.render_cut(event, escape, longest);
            if units(&text) <= limit || longest == 0 {
                return text;
            }
            longest /= 2;
        }
    }

    fn render_cut(&self, event: &Value, escape: &dyn Fn(&str) -> String, longest: usize) -> String {
        let shown = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Value(name) => escape(&cut(&fact(event, name), longest)),
        };
        self.0.iter().map(shown).collect::<String>().trim().to_owned()
    }
}

/// The first `longest` characters, with an ellipsis where more were cut off.
fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some(_) if longest == 0 => String::new(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// The length by which channels count.
pub fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The templates of a destination: one for all events, or by event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Templates {
    /// For all events that have its placeholders.
    pub all: Option<Template>,
    /// By the name of the event.
    pub each: Vec<(&'static str, Template)>,
}

impl Templates {
    /// The template for a kind of event.
    pub fn of(&self, kind: &'static Kind) -> Template {
        let own = self.each.iter().find(|(name, _)| *name == kind.name).map(|(_, template)| template);
        let own = own.or(self.all.as_ref().filter(|template| template.fits(kind)));
        own.cloned().unwrap_or_else(|| Template::of(kind))
    }
}

/// All kinds, for templates of a destination that gets them all.
pub fn kinds_named(names: &[&'static str]) -> Vec<&'static Kind> {
    KINDS.iter().filter(|kind| names.contains(&kind.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_templates_of_all_kinds_are_right() {
        for kind in &KINDS {
            Template::parse(kind.template, &[kind]).unwrap();
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let closed = kinds_named(&["signalClosed"]);
        let problem = |text: &str| Template::parse(text, &closed).unwrap_err();
        assert!(
            problem("{{symbol}} {{version}}").starts_with("has no placeholder {{version}}; there are at, closedAt, ")
        );
        assert_eq!(problem("{{symbol"), "must close every {{ with }}");
        assert_eq!(problem(" "), "must be a text of 1 to 1000 characters");
        assert_eq!(problem(&"x".repeat(1001)), "must be a text of 1 to 1000 characters");
    }

    #[test]
    fn an_event_that_lacks_a_placeholder_has_its_own_words() {
        let kinds = kinds_named(&["signalClosed", "warning"]);
        let all = Template::parse("{{ symbol }}: {{outcome}}", &kinds).unwrap();
        let templates = Templates { all: Some(all), each: Vec::new() };
        let render = |event: serde_json::Value| {
            templates.of(Kind::of(&event).unwrap()).render(&event, &|text| format!("<{text}>"), 100)
        };
        assert_eq!(
            render(json!({ "type": "signalClosed", "signal": { "symbol": "A", "outcome": "TOOK_PROFIT" } })),
            "<A>: <TOOK_PROFIT>"
        );
        assert_eq!(render(json!({ "type": "warning", "message": "disk" })), "Warning: <disk>");
    }
}
