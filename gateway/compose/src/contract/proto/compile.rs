//! Sources to descriptors, in memory.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use prost_reflect::DescriptorPool;
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::nesting;
use crate::contract::error::{ContractError, Position};
use crate::suggest;

/// What compiling gives.
pub(super) struct Compiled {
    pub(super) pool: DescriptorPool,
    /// How the caller calls the files that are compiled under a shorter name.
    pub(super) given_names: HashMap<String, Arc<str>>,
}

/// The files that a .proto file imports, those built in left out: what a caller has to load before
/// it can compile.
pub fn imports(file: &str, source: &str) -> Result<Vec<String>, ContractError> {
    nesting::check(file, source)?;
    let parsed = File::from_source(file, source).map_err(|error| explain(file, &error))?;
    let imports = &parsed.file_descriptor_proto().dependency;
    let is_ours = |import: &&String| GoogleFileResolver::new().open_file(import).is_err();
    Ok(imports.iter().filter(is_ours).cloned().collect())
}

pub(super) fn compile<'a>(
    sources: impl IntoIterator<Item = (&'a str, &'a str)>,
    roots: &[&str],
) -> Result<Compiled, ContractError> {
    let sources: HashMap<&str, &str> = sources.into_iter().collect();
    let names = ImportNames::of(&sources)?;
    let files = sources
        .iter()
        .map(|(name, source)| (names.imported(name).to_owned(), (*source).to_owned()))
        .collect();
    let mut resolver = ChainFileResolver::new();
    resolver.add(Sources { files });
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    for root in roots {
        if !sources.contains_key(root) {
            return Err(ContractError::new(*root, "the file was not given"));
        }
        let opened = compiler.open_file(names.imported(root));
        opened.map_err(|error| names.restore(explain_with_help(root, &error, &sources)))?;
    }
    Ok(Compiled {
        pool: compiler.descriptor_pool(),
        given_names: names.given,
    })
}

pub(super) fn decode(file: &str, bytes: &[u8]) -> Result<DescriptorPool, ContractError> {
    DescriptorPool::decode(bytes).map_err(|error| {
        ContractError::new(file, format!("not readable as a descriptor set: {error}"))
            .help("write it with `protoc --include_imports --descriptor_set_out=FILE`")
    })
}

/// The files as the compiler asks for them.
#[derive(Debug)]
struct Sources {
    files: HashMap<String, String>,
}

impl FileResolver for Sources {
    /// Every name is taken as it is; there are no directories to look in.
    fn resolve_path(&self, path: &Path) -> Option<String> {
        path.to_str().map(str::to_owned)
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.files.get(name) {
            Some(source) => File::from_source(name, source),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// The names under which files are imported, where these are shorter than those given.
///
/// A compiler must see each file under one name, or its types would be declared twice.
#[derive(Default)]
struct ImportNames {
    imported: HashMap<String, String>,
    given: HashMap<String, Arc<str>>,
}

impl ImportNames {
    fn of(sources: &HashMap<&str, &str>) -> Result<Self, ContractError> {
        let mut names = ImportNames::default();
        let mut ordered: Vec<_> = sources.iter().collect();
        ordered.sort();
        for (file, source) in ordered {
            for import in imports(file, source)? {
                names.add(sources, import);
            }
        }
        Ok(names)
    }

    fn add(&mut self, sources: &HashMap<&str, &str>, import: String) {
        if sources.contains_key(import.as_str()) {
            return;
        }
        let suffix = format!("/{import}");
        let mut longer = sources.keys().filter(|name| name.ends_with(&suffix));
        if let (Some(name), None) = (longer.next(), longer.next()) {
            self.imported
                .entry((*name).to_owned())
                .or_insert_with(|| import.clone());
            self.given.insert(import, Arc::from(*name));
        }
    }

    fn imported<'n>(&'n self, given: &'n str) -> &'n str {
        self.imported.get(given).map_or(given, String::as_str)
    }

    /// An error with the file's name as the caller knows it.
    fn restore(&self, mut error: ContractError) -> ContractError {
        if let Some(given) = self.given.get(&error.file) {
            error.file = given.to_string();
        }
        error
    }
}

fn explain_with_help(
    root: &str,
    error: &protox::Error,
    sources: &HashMap<&str, &str>,
) -> ContractError {
    let explained = explain(root, error);
    if !error.is_file_not_found() {
        return explained;
    }
    let missing = explained.message.split('\'').nth(1).unwrap_or_default();
    match suggest::did_you_mean(&suggest::closest(missing, sources.keys().copied())) {
        Some(question) => explained.help(question),
        None => explained.help("list the imported file under `protos` as well"),
    }
}

/// The compiler keeps its labels to itself, but begins its debug form with `file:line:column: `.
fn explain(root: &str, error: &protox::Error) -> ContractError {
    let file = error.file().unwrap_or(root);
    let detailed = format!("{error:?}");
    let position = detailed
        .strip_prefix(file)
        .and_then(|rest| rest.strip_prefix(':'))
        .and_then(leading_position);
    ContractError::new(file, error.to_string()).at(position)
}

/// The position in `3:17: message`.
fn leading_position(text: &str) -> Option<Position> {
    let mut numbers = text.splitn(3, ':').map(|number| number.trim().parse().ok());
    Some(Position::new(numbers.next()??, numbers.next()??))
}
