//! Secrets of a configuration: where they come from, without showing what they are.

use std::fmt;
use std::path::{Path, PathBuf};

/// A token or an address, in the configuration or in a place that the configuration names.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// `env:NAME`: an environment variable.
    Environment(String),
    /// `file:PATH`: the content of a file, without white space around it. A relative path begins at the home.
    File(PathBuf),
    /// The text itself.
    Inline(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())
    }
}

impl Secret {
    /// Reads a value of the configuration; `None` if it is empty.
    pub fn parse(text: &str) -> Option<Self> {
        let named = |name: &str| Some(name.trim().to_owned()).filter(|name| !name.is_empty());
        if let Some(name) = text.strip_prefix("env:") {
            return named(name).map(Self::Environment);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return named(path).map(|path| Self::File(path.into()));
        }
        named(text).map(Self::Inline)
    }

    /// Where it comes from.
    pub fn origin(&self) -> String {
        match self {
            Self::Environment(name) => format!("env:{name}"),
            Self::File(path) => format!("file:{}", path.display()),
            Self::Inline(_) => "a text that is not shown".to_owned(),
        }
    }

    /// The secret itself.
    ///
    /// # Errors
    /// Why it cannot be had, phrased to follow the name of a key.
    pub fn resolve(&self, home: &Path) -> Result<String, String> {
        let found = match self {
            Self::Inline(text) => Ok(text.clone()),
            Self::Environment(name) => {
                std::env::var(name).map_err(|_| "names an environment variable that is not set".to_owned())
            }
            Self::File(path) => std::fs::read_to_string(home.join(path))
                .map_err(|e| format!("names a file that cannot be read ({})", e.kind())),
        };
        let found = found?.trim().to_owned();
        if found.is_empty() { Err("names a place that is empty".to_owned()) } else { Ok(found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_where_it_comes_from_and_not_what_it_is() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), " hidden-1\n").unwrap();
        std::fs::write(home.path().join("empty"), " \n").unwrap();
        let of = |text: &str| Secret::parse(text).unwrap();
        assert_eq!(of("file:token").resolve(home.path()), Ok("hidden-1".to_owned()));
        assert_eq!(of("hidden-2").resolve(home.path()), Ok("hidden-2".to_owned()));
        assert_eq!(of("env:PATH").resolve(home.path()), Ok(std::env::var("PATH").unwrap().trim().to_owned()));
        let shown = format!("{:?} {:?} {:?}", of("hidden-2"), of("env: A_NAME"), of("file:token"));
        assert_eq!(shown, "a text that is not shown env:A_NAME file:token");
        for (text, problem) in [
            ("env:SIGNALLOOP_NOT_SET", "names an environment variable that is not set"),
            ("file:none", "names a file that cannot be read (entity not found)"),
            ("file:empty", "names a place that is empty"),
        ] {
            assert_eq!(of(text).resolve(home.path()), Err(problem.to_owned()));
        }
        assert!(["", " ", "env:", "file: "].iter().all(|text| Secret::parse(text).is_none()));
    }
}
