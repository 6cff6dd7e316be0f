use super::*;

const KNOWN: &str = "query Known { a }";
const OTHER: &str = "query Other { b }";

/// A manifest in a folder of its own, removed with the value.
struct Manifest(PathBuf);

impl Manifest {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("switchboard-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let text = serde_json::json!({ "known": KNOWN, Hash::of(KNOWN).to_string(): KNOWN });
        std::fs::write(folder.join("manifest.json"), text.to_string()).unwrap();
        Self(folder)
    }

    fn settings(&self, mode: Mode, allow_text: bool) -> TrustedSettings {
        TrustedSettings {
            manifest: self.0.clone(),
            mode,
            allow_text,
        }
    }

    fn documents(&self, mode: Mode, allow_text: bool, automatic: bool) -> Documents {
        let settings = Settings {
            automatic: automatic.then_some(1 << 20),
            trusted: Some(self.settings(mode, allow_text)),
        };
        Documents::new(&settings, None).unwrap()
    }
}

impl Drop for Manifest {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn automatic() -> Documents {
    let settings = Settings {
        automatic: Some(1 << 20),
        trusted: None,
    };
    Documents::new(&settings, None).unwrap()
}

fn query(hash: impl ToString) -> PersistedQuery {
    PersistedQuery {
        version: 1,
        sha256_hash: hash.to_string(),
    }
}

fn by_hash(documents: &Documents, text: Option<&str>, query: &PersistedQuery) -> String {
    let asked = Asked {
        text,
        persisted: Some(query),
        ..Asked::default()
    };
    ask(documents, asked)
}

fn by_text(documents: &Documents, text: &str) -> String {
    let text = Some(text);
    let asked = Asked {
        text,
        ..Asked::default()
    };
    ask(documents, asked)
}

fn by_id(documents: &Documents, id: &str, text: Option<&str>) -> String {
    let id = Some(id);
    let asked = Asked {
        id,
        text,
        ..Asked::default()
    };
    ask(documents, asked)
}

/// What runs, or why nothing does. What runs is valid, and so remembered.
fn ask(documents: &Documents, asked: Asked<'_>) -> String {
    match documents.resolve(&asked) {
        Ok(meant) => {
            documents.remember(&meant);
            meant.text().to_owned()
        }
        Err(NotMeant::NotTrusted) => "DOCUMENT_NOT_TRUSTED".to_owned(),
        Err(NotMeant::Refused(refusal)) => refusal.code.as_str().to_owned(),
    }
}

#[test]
fn a_document_is_sent_once_and_named_from_then_on() {
    let documents = automatic();
    let hash = query(Hash::of(KNOWN));
    assert_eq!(
        by_hash(&documents, None, &hash),
        "PERSISTED_QUERY_NOT_FOUND"
    );
    assert_eq!(by_hash(&documents, Some(KNOWN), &hash), KNOWN);
    assert_eq!(by_hash(&documents, None, &hash), KNOWN);
    let written = format!("sha256:{}", Hash::of(KNOWN));
    assert_eq!(by_id(&documents, &written, None), KNOWN);
}

#[test]
fn what_did_not_prove_valid_is_not_remembered() {
    let documents = automatic();
    let hash = query(Hash::of("{ garbage"));
    let asked = Asked {
        text: Some("{ garbage"),
        persisted: Some(&hash),
        ..Asked::default()
    };
    assert!(documents.resolve(&asked).is_ok());
    assert_eq!(
        by_hash(&documents, None, &hash),
        "PERSISTED_QUERY_NOT_FOUND"
    );
}

#[test]
fn a_document_under_another_ones_hash_is_refused() {
    let documents = automatic();
    let hash = query(Hash::of(KNOWN));
    for _ in 0..2 {
        let told = by_hash(&documents, Some(OTHER), &hash);
        assert_eq!(told, "PERSISTED_QUERY_MISMATCH");
        assert_eq!(by_hash(&documents, Some(KNOWN), &hash), KNOWN);
    }
    let told = by_hash(&documents, Some(KNOWN), &query("no hash"));
    assert_eq!(told, "PERSISTED_QUERY_MISMATCH");
}

#[test]
fn a_client_is_told_where_nothing_is_remembered() {
    let off = Documents::new(&Settings::default(), None).unwrap();
    let hash = query(Hash::of(KNOWN));
    assert_eq!(by_hash(&off, None, &hash), "PERSISTED_QUERY_NOT_SUPPORTED");
    assert_eq!(by_hash(&off, Some(KNOWN), &hash), KNOWN);
    assert_eq!(by_id(&off, "known", None), "PERSISTED_QUERY_NOT_SUPPORTED");
    let later = PersistedQuery { version: 2, ..hash };
    let told = by_hash(&automatic(), None, &later);
    assert_eq!(told, "PERSISTED_QUERY_NOT_SUPPORTED");
}

#[test]
fn what_was_registered_outlives_a_reload() {
    let settings = Settings {
        automatic: Some(1 << 20),
        trusted: None,
    };
    let old = Documents::new(&settings, None).unwrap();
    let hash = query(Hash::of(KNOWN));
    by_hash(&old, Some(KNOWN), &hash);
    let new = Documents::new(&settings, Some(&old)).unwrap();
    assert_eq!(by_hash(&new, None, &hash), KNOWN);
}

#[test]
fn only_what_the_manifest_names_runs_where_it_is_enforced() {
    let manifest = Manifest::new();
    let documents = manifest.documents(Mode::Enforce, false, true);
    assert_eq!(by_id(&documents, "known", None), KNOWN);
    assert_eq!(by_hash(&documents, None, &query(Hash::of(KNOWN))), KNOWN);
    for told in [
        by_id(&documents, "other", None),
        by_id(&documents, "other", Some(KNOWN)),
        by_text(&documents, KNOWN),
        by_text(&documents, OTHER),
        by_text(&documents, "{ __schema { types { name } } }"),
        by_hash(&documents, None, &query(Hash::of(OTHER))),
        by_hash(&documents, Some(OTHER), &query(Hash::of(OTHER))),
    ] {
        assert_eq!(told, "DOCUMENT_NOT_TRUSTED");
    }
    assert_eq!(
        by_id(&documents, "known", Some(OTHER)),
        "PERSISTED_QUERY_MISMATCH"
    );
}

#[test]
fn a_trusted_document_may_be_sent_as_text_where_the_operator_allows_it() {
    let manifest = Manifest::new();
    let documents = manifest.documents(Mode::Enforce, true, false);
    assert_eq!(by_text(&documents, KNOWN), KNOWN);
    assert_eq!(by_text(&documents, OTHER), "DOCUMENT_NOT_TRUSTED");
    assert_eq!(by_id(&documents, "known", None), KNOWN);
}

#[test]
fn others_run_where_the_manifest_is_not_enforced() {
    let manifest = Manifest::new();
    for mode in [Mode::Log, Mode::Off] {
        let documents = manifest.documents(mode, false, false);
        assert_eq!(by_text(&documents, OTHER), OTHER);
        assert_eq!(by_id(&documents, "known", None), KNOWN);
        assert_eq!(
            by_id(&documents, "other", None),
            "PERSISTED_QUERY_NOT_FOUND"
        );
        assert_eq!(by_id(&documents, "other", Some(OTHER)), OTHER);
    }
}

#[test]
fn only_the_operator_names_operations() {
    let manifest = Manifest::new();
    let documents = manifest.documents(Mode::Log, false, false);
    let operation = |text, asked: Option<&str>| {
        let asked_for = Asked {
            text: Some(text),
            ..Asked::default()
        };
        let meant = documents.resolve(&asked_for).unwrap();
        meant.operation(asked).map(str::to_owned)
    };
    assert_eq!(operation(KNOWN, None).as_deref(), Some("Known"));
    assert_eq!(operation(KNOWN, Some("Known")).as_deref(), Some("Known"));
    assert_eq!(operation(KNOWN, Some("Invented")), None);
    assert_eq!(operation(OTHER, None), None);
}

#[test]
fn each_operation_of_a_manifest_is_listed() {
    let manifest = Manifest::new();
    let text = "query A { a } query B { b }";
    let file = manifest.0.join("more.json");
    std::fs::write(
        file,
        serde_json::json!({ "two": text, "none": "{ a }" }).to_string(),
    )
    .unwrap();
    let documents = manifest.documents(Mode::Off, false, false);
    let operations = documents.trusted_operations();
    let mut listed: Vec<_> = operations.map(|(id, _, name)| (id, name)).collect();
    listed.retain(|(id, _)| ["two", "none", "known"].contains(id));
    listed.sort_unstable();
    assert_eq!(
        listed,
        [
            ("known", Some("Known")),
            ("none", None),
            ("two", Some("A")),
            ("two", Some("B"))
        ]
    );
}

#[test]
fn changes_of_manifests_are_told_from_changes_of_other_files() {
    let manifest = Manifest::new();
    let folder = &manifest.0;
    let settings = |path: PathBuf| Settings {
        automatic: None,
        trusted: Some(TrustedSettings {
            manifest: path,
            ..manifest.settings(Mode::Log, false)
        }),
    };
    let one = settings(folder.join("manifest.json"));
    assert!(one.concerns(&folder.join("manifest.json")));
    assert!(one.concerns(&folder.join("..data")));
    assert!(!one.concerns(&folder.join("other.json")));
    let all = settings(folder.clone());
    assert!(all.concerns(&folder.join("new.json")));
    assert!(!all.concerns(&folder.join("notes.txt")));
    assert!(!all.concerns(Path::new("/elsewhere/manifest.json")));
    assert!(!Settings::default().concerns(&folder.join("manifest.json")));
}
