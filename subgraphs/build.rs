//! Turns the services' protos into Rust and into descriptors for server reflection,
//! in process: no protoc is needed on the machine.

use std::{env, fs, path::PathBuf};

const PROTOS: &str = "../schema";

fn main() -> anyhow::Result<()> {
    ["products", "inventory"].into_iter().try_for_each(generate)
}

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script where to write through the environment"
)]
fn generate(service: &str) -> anyhow::Result<()> {
    let file = format!("{service}.proto");
    println!("cargo::rerun-if-changed={PROTOS}/{file}");
    let mut compiler = protox::Compiler::new([PROTOS])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_file(&file)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(
        out.join(format!("{service}.bin")),
        compiler.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
