//! A case's directory: subgraph files, data, operations, and what is expected of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value as Json;

use super::lie::Lie;
use crate::spec::diff::diff;

pub(crate) struct Case {
    directory: PathBuf,
    pub(crate) data: Data,
    /// Name and SDL.
    pub(crate) subgraphs: Vec<(String, String)>,
    pub(crate) operations: Vec<Operation>,
    /// Files that are not what came.
    differences: Vec<String>,
}

/// `data.yaml`; `README.md` explains it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    /// What the case shows.
    pub(crate) about: String,
    pub(crate) world: Map<String, Json>,
    /// Handles of entities that a subgraph does not know.
    #[serde(default)]
    pub(crate) unknown: BTreeMap<String, Vec<String>>,
    /// What REST sources answer.
    #[serde(default)]
    pub(crate) rest: BTreeMap<String, BTreeMap<String, Json>>,
    /// Sources that answer nothing but a status.
    #[serde(default)]
    pub(crate) failing: BTreeMap<String, u16>,
    /// Sources that answer for entities what they should not.
    #[serde(default)]
    pub(crate) lying: BTreeMap<String, Lie>,
}

pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) variables: Map<String, Json>,
}

impl Case {
    pub(crate) fn read(directory: &str) -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        let data = read(&directory.join("data.yaml"));
        let subgraphs = graphql_files(&directory.join("subgraphs"));
        let operations = graphql_files(&directory.join("operations"));
        let operation = |(name, text): (String, String)| {
            let variables = directory.join(format!("operations/{name}.json"));
            let variables = match variables.exists() {
                true => serde_json::from_str(&read(&variables)).expect("variables"),
                false => Map::new(),
            };
            Operation {
                name,
                text,
                variables,
            }
        };
        Self {
            data: serde_yaml_ng::from_str(&data).unwrap_or_else(|bad| panic!("data.yaml: {bad}")),
            subgraphs,
            operations: operations.into_iter().map(operation).collect(),
            directory,
            differences: Vec::new(),
        }
    }

    /// Compares a file with what came. With `UPDATE_SPECS=1` it is rewritten.
    pub(crate) fn compare(&mut self, file: &str, actual: &str) {
        let path = self.directory.join(file);
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if expected == actual {
            return;
        }
        if std::env::var_os("UPDATE_SPECS").is_some() {
            fs::write(&path, actual).unwrap_or_else(|bad| panic!("{}: {bad}", path.display()));
        }
        let difference = format!("{file}\n{}", diff(&expected, actual));
        self.differences.push(difference);
    }

    /// Passes, or panics with everything that is wrong.
    pub(crate) fn finish(self, problems: &[String]) {
        let wrong = problems.iter().chain(&self.differences);
        let wrong: Vec<&str> = wrong.map(String::as_str).collect();
        let about = &self.data.about;
        assert!(wrong.is_empty(), "{about}\n\n{}\n", wrong.join("\n\n"));
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|bad| panic!("{}: {bad}", path.display()))
}

/// The `.graphql` files of a directory: name and text, sorted.
fn graphql_files(directory: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(directory)
        .unwrap_or_else(|bad| panic!("{}: {bad}", directory.display()))
        .map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|it| it == "graphql"))
        .collect();
    files.sort();
    let name = |path: &Path| {
        let name = path.file_stem().expect("a file has a name");
        name.to_string_lossy().into_owned()
    };
    files.iter().map(|it| (name(it), read(it))).collect()
}
