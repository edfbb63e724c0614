//! The keys of both configuration files with their explanations, read from the tables of the documentation: what is
//! explained there is what `signalloop init` writes.

/// The document of `training_config.json`.
pub const TRAINING: &str = include_str!("../../../../docs/configuration.md");
/// The document of `scheduler_config.json`.
pub const SCHEDULER: &str = include_str!("../../../../docs/scheduler.md");

/// A key, as its table explains it; without marks of Markdown.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// With the path to it: `signal.stop_atr`, `<task>.interval`. Without a second spelling.
    pub name: String,
    /// What holds without it; may be empty.
    pub default: String,
    /// Which values are allowed.
    pub allowed: String,
    /// What it sets.
    pub meaning: String,
}

/// The keys of a document, in its order.
pub fn keys(document: &str) -> Vec<Key> {
    let key = |row: Vec<String>| match <[String; 4]>::try_from(row) {
        Ok([names, default, allowed, meaning]) => {
            let name = names.split(',').next().unwrap_or_default().trim().to_owned();
            Some(Key { name, default, allowed, meaning })
        }
        Err(_) => None,
    };
    rows(document, "| key | default | allowed | meaning |").into_iter().filter_map(key).collect()
}

/// What each task of the scheduler does, by its name.
pub fn tasks(document: &str) -> Vec<(String, String)> {
    let task = |row: Vec<String>| match <[String; 3]>::try_from(row) {
        Ok([name, by_default, what]) => Some((name, format!("{what} (default: {by_default})"))),
        Err(_) => None,
    };
    rows(document, "| task | by default | what |").into_iter().filter_map(task).collect()
}

/// The rows of the table with this heading, as plain cells.
fn rows(document: &str, heading: &str) -> Vec<Vec<String>> {
    let rows = document.lines().skip_while(|line| *line != heading).skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(plain).collect()).collect()
}

/// A cell without marks: `` `x` `` and `[x](y)` become `x`.
fn plain(cell: &str) -> String {
    let mut text = cell.trim().replace('`', "").replace("**", "");
    while let Some((before, rest)) = text.split_once('[') {
        let Some((words, (_, after))) =
            rest.split_once("](").and_then(|(words, rest)| Some((words, rest.split_once(')')?)))
        else {
            break;
        };
        text = format!("{before}{words}{after}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_found_and_their_cells_are_plain() {
        let (training, scheduler) = (keys(TRAINING), keys(SCHEDULER));
        let names = |keys: &[Key]| keys.iter().map(|key| key.name.clone()).collect::<Vec<_>>();
        for name in ["symbols", "timeframes", "history_days", "exchange_url", "fee_bps", "signal.stop_atr"] {
            assert!(names(&training).iter().any(|known| known == name), "{name}");
        }
        assert!(names(&scheduler).iter().any(|name| name == "<task>.interval"));
        let tasks = tasks(SCHEDULER);
        let names: Vec<&str> = tasks.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["watch", "fetch", "retrain", "update", "evaluate"]);
        for key in training.iter().chain(&scheduler) {
            assert!(!key.meaning.is_empty() && !key.allowed.is_empty(), "{key:?}");
            let text = format!("{}{}{}", key.default, key.allowed, key.meaning);
            assert!(!text.contains("](") && !text.contains('`'), "{key:?}");
        }
    }

    #[test]
    fn links_become_their_words() {
        assert_eq!(plain(" see [a b](c.md#d) and [`e`](f.md) "), "see a b and e");
        assert_eq!(plain("`[\"1h\", \"4h\"]`"), "[\"1h\", \"4h\"]");
    }
}
