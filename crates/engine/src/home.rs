//! The location of a home, and which of its files belong to signalloop, so that no output overwrites them.

use domain::error::{Error, Result};
use feedback;
use std::path::{Component, Path, PathBuf};

/// The folders of a home in which every file belongs to signalloop.
const FOLDERS: [&str; 5] = ["feedback", "models", "data", "scheduler", "cache"];
/// The files of a home that signalloop writes or reads.
const FILES: [&str; 6] = [
    "training_config.json",
    "scheduler_config.json",
    "performance.json",
    "performance.lock",
    "replays.jsonl",
    "replays.lock",
];

/// Replaces a leading `~` by the user's home folder. On a command line the shell does this; in an environment file, a
/// service's unit or an option, nothing else does.
pub fn expanded(path: &Path) -> PathBuf {
    let beyond = path.strip_prefix("~").ok().zip(std::env::home_dir());
    beyond.map_or_else(|| path.to_owned(), |(rest, user)| user.join(rest))
}

/// Refuses an output path that is, or leads through links to, a file that signalloop keeps in `home` or in the store
/// that the home links to.
///
/// # Errors
/// [`Error::InvalidArgument`], which names the path and the file it leads to.
pub fn check_output(home: &Path, argument: &'static str, path: &Path) -> Result<()> {
    let (folders, files) = (FOLDERS.map(|name| home.join(name)), FILES.map(|name| home.join(name)));
    let store = feedback::files_in(&home.join("feedback"));
    // Checks both the file at the path itself and the file that a link at the path leads to.
    let replaced = path.parent().zip(path.file_name()).map(|(folder, name)| resolved(folder).join(name));
    for target in replaced.into_iter().chain([resolved(path)]) {
        let kept_in = folders.iter().find(|folder| target.starts_with(resolved(folder)));
        let kept = files.iter().chain(&store).find(|file| target == resolved(file));
        if let Some(kept) = kept_in.or(kept) {
            let problem = format!("must not lead to {}, which signalloop keeps its own files in", kept.display());
            return Err(Error::argument(argument, problem, path.display()));
        }
    }
    Ok(())
}

/// Makes a path absolute and resolves links and `..` in the part of it that exists.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.components().fold(PathBuf::new(), |mut resolved, component| {
        match component {
            Component::ParentDir => drop(resolved.pop()),
            other => resolved.push(other),
        }
        resolved.canonicalize().unwrap_or(resolved)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(home: &Path, path: &Path) -> bool {
        match check_output(home, "path", path) {
            Ok(()) => false,
            Err(error) => {
                assert_eq!(error.code(), "ERR_INVALID_ARGUMENT");
                assert!(error.to_string().contains(&path.display().to_string()), "{error}");
                true
            }
        }
    }

    #[test]
    fn a_tilde_is_the_users_home_folder_and_only_in_front() {
        let user = std::env::home_dir().unwrap();
        for (given, meant) in [("~", user.clone()), ("~/x", user.join("x")), ("~/a/../b", user.join("a/../b"))] {
            assert_eq!(expanded(Path::new(given)), meant, "{given}");
        }
        for given in ["x", "./~/x", "/~/x", "~other/x", ""] {
            assert_eq!(expanded(Path::new(given)), Path::new(given), "{given}");
        }
    }

    #[test]
    fn what_signalloop_keeps_is_refused_by_every_name() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("ml");
        std::fs::create_dir_all(home.join("feedback")).unwrap();
        std::fs::write(home.join("feedback/signals.jsonl"), "").unwrap();
        let kept =
            ["feedback/signals.jsonl", "feedback/new.csv", "models/x", "data/btcusdt_1h.csv", "training_config.json"];
        for name in
            kept.iter().chain(&["feedback/../feedback/x", "missing/../feedback/x", "feedback/no/../signals.jsonl"])
        {
            assert!(refused(&home, &home.join(name)), "{name}");
        }
        for name in ["report.html", "rows.csv", "exports/rows.csv", "../rows.csv", "feedback.csv", "../feedback/x.csv"]
        {
            assert!(!refused(&home, &home.join(name)), "{name}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn links_are_followed() {
        use std::os::unix::fs::symlink;
        let place = tempfile::tempdir().unwrap();
        let (home, beyond) = (place.path().join("ml"), place.path().join("beyond"));
        std::fs::create_dir_all(home.join("feedback")).unwrap();
        std::fs::create_dir(&beyond).unwrap();
        std::fs::write(beyond.join("trades.jsonl"), "").unwrap();
        symlink(beyond.join("trades.jsonl"), home.join("feedback/signals.jsonl")).unwrap();
        symlink(&home, place.path().join("other")).unwrap();
        symlink(home.join("feedback"), place.path().join("short")).unwrap();
        symlink(beyond.join("trades.jsonl"), place.path().join("log")).unwrap();
        for name in ["beyond/trades.jsonl", "beyond/trades.index", "other/feedback/x", "short/signals.jsonl", "log"] {
            assert!(refused(&home, &place.path().join(name)), "{name}");
            assert!(refused(&place.path().join("other"), &place.path().join(name)), "{name}");
        }
        assert!(!refused(&home, &beyond.join("rows.csv")));
        assert!(!refused(&home, &place.path().join("other/rows.csv")));
    }
}
