//! Reading manifests: Apollo's operation manifest, Relay's map of persisted
//! queries, or any `{ "ID": "document" }`, in a file or a folder of files.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use compose::Diagnostics;
use compose::diagnostic::Diagnostic;
use serde::Deserialize;

const APOLLO: &str = "apollo-persisted-query-manifest";

/// Documents by their id.
pub(super) type Documents = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(untagged)]
enum Manifest {
    Apollo(Apollo),
    Map(BTreeMap<String, String>),
}

/// <https://www.apollographql.com/docs/graphos/platform/security/persisted-queries>: what else it says is not needed.
#[derive(Deserialize)]
struct Apollo {
    format: String,
    version: u64,
    operations: Vec<Operation>,
}

#[derive(Deserialize)]
struct Operation {
    id: String,
    body: String,
}

/// Reads the file, or each `*.json` of the folder.
pub(super) fn read(path: &Path) -> Result<Documents, Diagnostics> {
    let mut documents = Documents::new();
    let mut problems = Diagnostics::default();
    match files(path) {
        Ok(files) if files.is_empty() => problems.push(unreadable(path, "no *.json is in it")),
        Ok(files) => {
            for file in files {
                if let Err(problem) = read_file(&file, &mut documents) {
                    problems.push(*problem);
                }
            }
        }
        Err(error) => problems.push(unreadable(path, &error.to_string())),
    }
    match problems.is_empty() {
        true => Ok(documents),
        false => Err(problems),
    }
}

fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.into()]);
    }
    let entries = std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = entries.collect::<Result<_, _>>()?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort_unstable();
    Ok(files)
}

fn read_file(file: &Path, documents: &mut Documents) -> Result<(), Box<Diagnostic>> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| Box::new(unreadable(file, &error.to_string())))?;
    let manifest = parse(&text).map_err(|why| Box::new(malformed(file, &why)))?;
    for (id, body) in manifest {
        let known = documents.insert(id.clone(), body.clone());
        if known.is_some_and(|known| known != body) {
            let why = format!("`{id}` names two different documents");
            return Err(Box::new(malformed(file, &why)));
        }
    }
    Ok(())
}

fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let manifest: Manifest =
        serde_json::from_str(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => {
                "neither Apollo's operation manifest nor an object of documents by id".to_owned()
            }
            _ => error.to_string(),
        })?;
    match manifest {
        Manifest::Map(documents) => Ok(documents.into_iter().collect()),
        Manifest::Apollo(manifest) if manifest.format == APOLLO && manifest.version == 1 => {
            let operations = manifest.operations.into_iter();
            Ok(operations
                .map(|operation| (operation.id, operation.body))
                .collect())
        }
        Manifest::Apollo(manifest) => Err(format!(
            "`{}` version {} is not known; {APOLLO} version 1 is",
            manifest.format, manifest.version
        )),
    }
}

fn unreadable(path: &Path, why: &str) -> Diagnostic {
    let why = format!("the manifest {} cannot be read: {why}", path.display());
    Diagnostic::error("FILE_NOT_FOUND", why).help("documents.trusted.manifest names it")
}

fn malformed(file: &Path, why: &str) -> Diagnostic {
    Diagnostic::error("MANIFEST", format!("{}: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a folder with these files says.
    fn folder(files: &[(&str, &str)]) -> Result<Documents, String> {
        let folder = std::env::temp_dir().join(format!("switchboard-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let documents = read(&folder).map_err(|problems| problems.to_string());
        std::fs::remove_dir_all(folder).unwrap();
        documents
    }

    fn texts(documents: &Documents) -> Vec<(&str, &str)> {
        let documents = documents.iter();
        documents
            .map(|(id, text)| (id.as_str(), text.as_str()))
            .collect()
    }

    #[test]
    fn apollos_manifest_relays_map_and_any_map_are_read_from_one_folder() {
        let apollo = r#"{ "format": "apollo-persisted-query-manifest", "version": 1, "operations": [
            { "id": "a", "name": "A", "type": "query", "body": "query A { a }" } ] }"#;
        let relay = r#"{ "0ad6f2": "query B { b }" }"#;
        let documents = folder(&[
            ("apollo.json", apollo),
            ("relay.json", relay),
            ("plain.json", r#"{ "c": "{ c }", "a": "query A { a }" }"#),
            ("notes.txt", "not a manifest"),
        ]);
        assert_eq!(
            texts(&documents.unwrap()),
            [
                ("0ad6f2", "query B { b }"),
                ("a", "query A { a }"),
                ("c", "{ c }")
            ]
        );
    }

    #[test]
    fn what_is_wrong_with_a_manifest_is_said_with_its_file() {
        for (text, why) in [
            ("{", "EOF"),
            ("[]", "neither Apollo's operation manifest"),
            (r#"{ "a": 1 }"#, "neither Apollo's operation manifest"),
            (
                r#"{ "format": "x", "version": 1, "operations": [] }"#,
                "`x` version 1 is not known",
            ),
        ] {
            let told = folder(&[("wrong.json", text)]).unwrap_err();
            assert!(told.contains("wrong.json") && told.contains(why), "{told}");
        }
        let two = folder(&[
            ("a.json", r#"{ "a": "{ a }" }"#),
            ("b.json", r#"{ "a": "{ b }" }"#),
        ]);
        assert!(two.unwrap_err().contains("two different documents"));
        assert!(folder(&[]).unwrap_err().contains("no *.json"));
        assert!(read(Path::new("/nowhere.json")).is_err());
    }
}
