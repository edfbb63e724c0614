//! The pages: each is one HTML document that contains its script, style and data, and needs no network.

use super::data::Report;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::error::{Error, Result};
use ring::digest::{SHA256, digest};
use std::sync::LazyLock;

const TEMPLATE: &str = include_str!("assets/page.html");
/// Includes uPlot 1.6.32, MIT, Leon Sorokin: <https://github.com/leeoniya/uPlot>. Its licence is in the same folder and
/// in the page.
const STYLE: &str = concat!(include_str!("assets/uplot/uPlot.min.css"), include_str!("assets/page.css"));
/// What the scripts of all pages begin with.
const COMMON: &str = concat!(
    "'use strict'\n/* uPlot 1.6.32\n",
    include_str!("assets/uplot/LICENSE"),
    "*/\n",
    include_str!("assets/uplot/uPlot.iife.min.js"),
    "\n",
    include_str!("assets/format.js"),
    include_str!("assets/charts.js"),
    include_str!("assets/layout.js"),
    include_str!("assets/looks.js"),
);

static REPORT: LazyLock<Page> = LazyLock::new(|| {
    let parts = [
        include_str!("assets/filters.js"),
        include_str!("assets/one.js"),
        include_str!("assets/signals.js"),
        include_str!("assets/home.js"),
        include_str!("assets/page.js"),
    ];
    Page::new("signalloop report", &parts)
});

static REPLAY: LazyLock<Page> = LazyLock::new(|| Page::new("signalloop replay", &[include_str!("assets/replay.js")]));

/// Where a page is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Opened from a file: it makes no requests.
    File,
    /// Loaded from a server, which it polls for news.
    Served,
}

/// The content security policy of the report's page. A page may run its own script, apply its own style and, where it is served,
/// query its own server. Script and style are allowed by their hashes, so injected code never runs.
pub fn policy(place: Place) -> &'static str {
    REPORT.policy(place)
}

/// The page of a report. `json` is the result of [`to_json`].
pub fn render(json: &str, place: Place) -> String {
    REPORT.render(json, place)
}

/// The page of a replay, as a file.
pub(super) fn render_replay(json: &str) -> String {
    REPLAY.render(json, Place::File)
}

/// A page without its data.
struct Page {
    title: &'static str,
    script: String,
    /// In a file, and from a server.
    policies: [String; 2],
}

impl Page {
    /// Of a script that begins with [`COMMON`] and ends with these parts.
    fn new(title: &'static str, parts: &[&str]) -> Self {
        let script = format!("{COMMON}{}", parts.concat());
        let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes())));
        let policy = |connect: &str| {
            format!(
                "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src {connect}; base-uri 'none'; \
                 form-action 'none'",
                hash(&script),
                hash(STYLE)
            )
        };
        let policies = [policy("'none'"), policy("'self'")];
        Self { title, script, policies }
    }

    fn policy(&self, place: Place) -> &str {
        &self.policies[usize::from(place == Place::Served)]
    }

    fn render(&self, json: &str, place: Place) -> String {
        let data = embedded(json);
        let live = if place == Place::Served { "served" } else { "file" };
        let parts: [(&str, &str); 6] = [
            ("title", self.title),
            ("policy", self.policy(place)),
            ("style", STYLE),
            ("place", live),
            ("data", &data),
            ("script", &self.script),
        ];
        let mut page = String::with_capacity(self.assets() + data.len());
        let mut rest = TEMPLATE;
        // In one pass, so that inserted parts are not searched for placeholders.
        while let Some((before, after)) = rest.split_once("{{") {
            page.push_str(before);
            let (name, after) = after.split_once("}}").unwrap_or((after, ""));
            page.push_str(parts.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| *text));
            rest = after;
        }
        page.push_str(rest);
        page
    }

    /// How long the page is without its data, in bytes.
    fn assets(&self) -> usize {
        TEMPLATE.len() + STYLE.len() + self.script.len()
    }
}

/// A report as JSON.
///
/// # Errors
/// [`Error::Internal`].
pub fn to_json(report: &Report) -> Result<String> {
    serde_json::to_string(report).map_err(|e| Error::Internal(format!("cannot encode the report: {e}")))
}

/// JSON that is safe inside a `<script>` element: nothing in it can end the element, or begin a comment.
fn embedded(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::super::data::PatternPart;
    use super::super::results::Interval;
    use super::*;
    use serde_json::{Value, json};

    const EVIL: &str = "</script><script>alert(1)</script><!-- {{script}} &amp;";

    fn data_of(page: &str) -> &str {
        let (_, after) = page.split_once(r#"<script type="application/json" id="data">"#).unwrap();
        after.split_once("</script>").unwrap().0
    }

    #[test]
    fn untrusted_text_is_escaped() {
        let rule = PatternPart {
            rule: format!("{EVIL} at or above 1"),
            count: 40,
            successes: 30,
            success_rate: 75.0,
            success_interval: Interval { low: 60.0, high: 86.0 },
            base_rate: 50.0,
            mean_r: Some(0.4),
            mean_r_interval: Some(Interval { low: 0.1, high: 0.7 }),
            base_r: Some(0.0),
            p_value: 0.005,
            since_ms: 0,
            still_holds: Some(true),
        };
        let report = json!({ "home": EVIL, "signals": { "patterns": [rule] } });
        let page = render(&report.to_string(), Place::File);
        assert_eq!(page.matches("alert(1)").count(), 2, "in the data, and nowhere else");
        assert!(!page.contains("<script>alert") && !data_of(&page).contains(['<', '>', '&']));
        let read: Value = serde_json::from_str(data_of(&page)).unwrap();
        assert_eq!(read, report);
        assert_eq!(page.matches("</script>").count(), 2, "the data's end and the script's own");
    }

    #[test]
    fn the_template_is_complete_and_the_policy_has_its_hashes() {
        for page in [&*REPORT, &*REPLAY] {
            for place in [Place::File, Place::Served] {
                let text = page.render("{}", place);
                assert!(!text.contains("{{") || page.script.contains("{{"), "a place without a part");
                for (open, close, kind) in
                    [("<style>", "</style>", "style-src"), ("<script>", "</script>", "script-src")]
                {
                    let (_, after) = text.split_once(open).unwrap();
                    let own = after.split_once(close).unwrap().0;
                    let hash = BASE64_STANDARD.encode(digest(&SHA256, own.as_bytes()));
                    assert!(page.policy(place).contains(&format!("{kind} 'sha256-{hash}'")), "{kind}");
                }
                assert!(text.contains(&format!("content=\"{}\"", page.policy(place))));
                assert!(text.contains(&format!("<title>{}</title>", page.title)));
                assert!(
                    !text.contains("http-equiv=\"refresh\"") && !text.contains(" src=") && !text.contains("@import")
                );
            }
            assert_ne!(page.policy(Place::File), page.policy(Place::Served));
        }
        assert_ne!(REPLAY.policy(Place::File), policy(Place::File));
    }

    #[test]
    fn the_assets_stay_small() {
        for page in [&*REPORT, &*REPLAY] {
            let bytes = page.assets();
            assert!(bytes < 150_000, "{bytes} bytes of assets in each {}, and in the addon", page.title);
        }
    }
}
