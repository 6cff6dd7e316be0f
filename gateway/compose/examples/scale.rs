//! How long a large graph takes to compose, and how much memory:
//! `cargo run --release -p switchboard-compose --example scale -- 300 10000`.
//!
//! Every subgraph adds to one entity that all of them know, refers to entities of the next one,
//! and shares a value type.

#![allow(clippy::print_stdout)]

use std::fmt::Write as _;
use std::time::Instant;

use switchboard_compose::{SchemaFiles, SubgraphFile, compose};

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|it| it.parse().ok());
    let subgraphs = numbers.next().unwrap_or(300);
    let types = numbers.next().unwrap_or(10_000);
    let files = SchemaFiles {
        subgraphs: (0..subgraphs)
            .map(|it| subgraph(it, subgraphs, types / subgraphs))
            .collect(),
        ..Default::default()
    };
    #[allow(clippy::disallowed_methods)]
    let begun = Instant::now();
    let composed = compose(&files);
    let taken = begun.elapsed();
    match composed {
        Ok(graph) => println!(
            "{} subgraphs, {} composite types, {} calls: {taken:.2?}, {} MB at most",
            graph.subgraphs().len(),
            graph.types().len(),
            graph.resolvers().len(),
            peak_megabytes(),
        ),
        Err(found) => println!("{found}"),
    }
}

fn subgraph(number: usize, subgraphs: usize, types: usize) -> SubgraphFile {
    let next = (number + 1) % subgraphs;
    let mut sdl = String::from(
        "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: [\"@key\", \"@shareable\", \"@external\", \"@requires\"])\n",
    );
    let mut line = |text: String| {
        let _ = writeln!(sdl, "{text}");
    };
    line(format!(
        "type Query {{ s{number}: [S{number}T0!] one{number}(id: ID!): S{number}T0 }}"
    ));
    line(format!(
        "type User @key(fields: \"id\") {{ id: ID! of{number}: S{number}T0 f{number}: String }}"
    ));
    line(format!(
        "type S{next}T0 @key(fields: \"id\") {{ id: ID! name: String @external x{number}: Int @requires(fields: \"name\") }}"
    ));
    line("type Money @shareable { amount: Int! currency: String! }".to_owned());
    for ty in 0..types {
        let below = (ty + 1) % types;
        line(format!(
            "type S{number}T{ty} @key(fields: \"id\") {{ id: ID! name: String price: Money next: S{number}T{below} many: [S{number}T{below}!] user: User other: S{next}T0 a: Int b: Float c: Boolean }}"
        ));
    }
    SubgraphFile {
        name: format!("s{number}"),
        file: format!("s{number}.graphql"),
        sdl,
        url: Some(format!("http://s{number}")),
        ..Default::default()
    }
}

/// What the process has held at most, where the system tells.
fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let words = line.and_then(|line| line.split_whitespace().nth(1));
    words.and_then(|it| it.parse::<u64>().ok()).unwrap_or(0) / 1024
}
