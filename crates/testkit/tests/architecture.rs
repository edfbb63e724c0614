//! Guards the architecture: each crate imports what `docs/architecture.md` says, and nothing else.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

type Imports = BTreeMap<String, BTreeSet<String>>;

/// From `cargo metadata`: for each crate of the workspace, the other crates it imports (without those that only its
/// tests use), and the third-party libraries it imports.
fn imports() -> (Imports, Imports) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(Path::new(ROOT).join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let short = |name: &str| name.strip_prefix("signalloop-").unwrap_or(name).to_owned();
    let (mut own, mut others) = (Imports::new(), Imports::new());
    for package in metadata["packages"].as_array().unwrap() {
        let name = short(package["name"].as_str().unwrap());
        let (own, others) = (own.entry(name.clone()).or_default(), others.entry(name).or_default());
        for dependency in package["dependencies"].as_array().unwrap().iter().filter(|one| one["kind"].is_null()) {
            let known = if dependency["path"].is_null() { &mut *others } else { &mut *own };
            known.insert(short(dependency["name"].as_str().unwrap()));
        }
    }
    (own, others)
}

/// The rows of the table: `| crate | imports | … |`.
fn documented() -> Imports {
    let text = std::fs::read_to_string(Path::new(ROOT).join("docs/architecture.md")).unwrap();
    let table = text.split("<!-- crates -->").nth(1).expect("the table of crates");
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let imports = cells[1].split(", ").map(|name| name.trim_matches('`')).filter(|name| *name != "–");
        (cells[0].trim_matches('`').to_owned(), imports.map(str::to_owned).collect())
    };
    table.lines().filter(|line| line.starts_with("| `")).map(row).collect()
}

#[test]
fn crates_import_what_the_table_says() {
    let (mut own, _) = imports();
    // Neither is part of the product.
    own.retain(|name, _| !["testkit", "benches"].contains(&name.as_str()));
    assert_eq!(own, documented());
}

/// Only certain crates may open connections, listen, or know Node.
#[test]
fn libraries_stay_where_they_belong() {
    let (_, others) = imports();
    let users = |library: &str| -> Vec<&str> {
        others.iter().filter(|(_, libraries)| libraries.contains(library)).map(|(name, _)| name.as_str()).collect()
    };
    assert_eq!(users("napi"), ["signalloop"]);
    assert_eq!(users("reqwest"), ["exchange"]);
    assert_eq!(users("tokio-postgres"), ["postgres", "testkit"]);
    assert_eq!(users("axum"), ["mcp", "report", "simulator"]);
    assert_eq!(users("rmcp"), ["mcp"]);
    assert_eq!(users("clap"), ["benches", "cli"]);
    assert_eq!(users("smartcore"), ["learning"]);
}

/// The Rust files of a folder and of those below it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The name of the type in `impl … for Name<…> {` or `impl<…> Name<…> {`.
fn implemented(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("impl")?.strip_suffix('{')?;
    let name = rest.rsplit(" for ").next()?.split(" where ").next()?.trim();
    let name = if name.starts_with('<') { name.split_once("> ").map_or(name, |(_, name)| name) } else { name };
    name.split('<').next()?.rsplit("::").next()
}

/// The methods of each type in the text of a crate, tests not counted.
fn count_methods(path: &Path, methods: &mut BTreeMap<String, usize>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut of = None;
    for line in text.lines().take_while(|line| *line != "#[cfg(test)]") {
        if line.starts_with("impl") {
            of = implemented(line);
        } else if line == "}" {
            of = None;
        } else if let (Some(of), Some(item)) = (of, line.strip_prefix("    ")) {
            let is_method = !item.starts_with([' ', '/', '#']) && item.contains("fn ");
            *methods.entry(of.to_owned()).or_default() += usize::from(is_method);
        }
    }
}

/// No type has more than 25 methods but those that say why.
#[test]
fn types_with_many_methods_say_why() {
    let mut checked = 0;
    for entry in std::fs::read_dir(Path::new(ROOT).join("crates")).unwrap() {
        let (mut methods, mut text) = (BTreeMap::new(), String::new());
        for path in sources(&entry.unwrap().path().join("src")) {
            count_methods(&path, &mut methods);
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
        // Of the type that is declared next after it.
        let reasons = text.split("It has more than 25 methods because").skip(1);
        let reasoned: Vec<&str> =
            reasons.filter_map(|after| after.split_once(" struct ")?.1.split([' ', '<', '(']).next()).collect();
        for (name, count) in methods {
            assert!(
                count <= 25 || reasoned.contains(&name.as_str()),
                "{name} has {count} methods and does not say why"
            );
            checked += 1;
        }
    }
    assert!(checked > 200, "{checked} types");
}

/// Each file belongs to the crate in whose folder it is: no crate compiles a file of another.
#[test]
fn no_crate_compiles_a_file_of_another() {
    let attribute = ["#[path", " = "].concat();
    let folders = [Path::new(ROOT).join("crates"), Path::new(ROOT).join("src")];
    let mut found: Vec<PathBuf> = folders.iter().flat_map(|folder| sources(folder)).collect();
    assert!(found.len() > 200);
    found.retain(|path| std::fs::read_to_string(path).unwrap().contains(&attribute));
    assert_eq!(found, Vec::<PathBuf>::new());
}
