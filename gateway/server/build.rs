//! Lists the playground's built files, so that the binary carries them.
//!
//! A binary built before the playground carries none, and says so on its page.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../playground/dist");
    // A folder that is not there yet would run this at each build; its parent always is.
    let watched = if dist.exists() {
        dist.clone()
    } else {
        dist.join("..")
    };
    println!("cargo::rerun-if-changed={}", watched.display());
    let mut list = String::from("&[\n");
    if dist.join("index.html").is_file() {
        for file in files_below(&dist)? {
            println!("cargo::rerun-if-changed={}", file.display());
            let name = file
                .strip_prefix(&dist)?
                .to_string_lossy()
                .replace('\\', "/");
            let file = file.canonicalize()?;
            writeln!(list, "    ({name:?}, include_bytes!({file:?})),")?;
        }
    }
    list.push_str("]\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(out.join("playground.rs"), list)?;
    Ok(())
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        match path.is_dir() {
            true => files.extend(files_below(&path)?),
            false => files.push(path),
        }
    }
    files.sort();
    Ok(files)
}
