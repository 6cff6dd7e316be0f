//! One `#[test]` for each file below `specs/` and each case below `federation/cases/`, so that each is listed, filtered and reported by its own name.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=specs");
    println!("cargo:rerun-if-changed=federation/cases");
    let out = env::var_os("OUT_DIR").expect("cargo names a directory for what is generated");
    let mut specs = String::new();
    write_directory(Path::new("specs"), &mut specs)?;
    fs::write(Path::new(&out).join("specs.rs"), specs)?;
    let mut cases = String::new();
    write_cases(Path::new("federation/cases"), &mut cases)?;
    fs::write(Path::new(&out).join("cases.rs"), cases)
}

/// A test for each directory that holds data, a module for each that holds such directories.
fn write_cases(directory: &Path, tests: &mut String) -> io::Result<()> {
    for path in sorted_entries(directory)? {
        let name = rust_name(&path);
        if path.join("data.yaml").exists() {
            let case = path.display();
            writeln!(
                tests,
                "#[test] fn {name}() {{ crate::federation::run(\"{case}\") }}"
            )
            .expect("a String takes all");
        } else if path.is_dir() {
            writeln!(tests, "mod {name} {{").expect("a String takes all");
            write_cases(&path, tests)?;
            tests.push_str("}\n");
        }
    }
    Ok(())
}

/// A module for each directory, a test for each file.
fn write_directory(directory: &Path, tests: &mut String) -> io::Result<()> {
    for path in sorted_entries(directory)? {
        let name = rust_name(&path);
        if path.is_dir() {
            writeln!(tests, "mod {name} {{").expect("a String takes all");
            write_directory(&path, tests)?;
            tests.push_str("}\n");
        } else if path.extension().is_some_and(|it| it == "md") && name != "readme" {
            let file = path.display();
            writeln!(
                tests,
                "#[test] fn {name}() {{ crate::spec::run({file:?}) }}"
            )
            .expect("a String takes all");
        }
    }
    Ok(())
}

fn sorted_entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn rust_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.to_lowercase().replace(['-', '.', ' '], "_")
}
