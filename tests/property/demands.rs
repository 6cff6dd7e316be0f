//! Random demands on the world's types and fields, and random callers who meet some of them.

use std::collections::HashSet;

use compose::Supergraph;
use compose::model::Demand;
use compose::model::Demanded;
use plan::access::Asker;
use rand::Rng;
use rand::rngs::StdRng;

/// Every scope there is.
const SCOPES: [&str; 4] = ["s0", "s1", "s2", "s3"];

/// Types of people.graphql that may demand something as a whole, and posts.graphql's.
const PEOPLE: [&str; 8] = [
    "type User",
    "type Robot",
    "type Address",
    "type City",
    "type Weather",
    "interface Being",
    "enum Role",
    "scalar JSON",
];
const POSTS: [&str; 3] = ["type Post", "type Text", "type Picture"];

/// people.graphql and posts.graphql, with demands here and there.
pub(crate) fn scatter(people: &str, posts: &str, rng: &mut StdRng) -> (String, String) {
    (
        scattered(people, &PEOPLE, rng),
        scattered(posts, &POSTS, rng),
    )
}

fn scattered(sdl: &str, types: &[&str], rng: &mut StdRng) -> String {
    let mut out = String::new();
    let mut fields = false;
    for line in sdl.lines() {
        if !line.starts_with(' ') {
            fields = line.starts_with("type") || line.starts_with("interface");
        }
        out.push_str(line);
        // Keys stay open: a call that is keyed by what is denied is another spec's matter.
        let field = fields && line.starts_with("  ") && !line.starts_with("  id:");
        if field && rng.random_ratio(1, 6) {
            out.push_str(&demand(rng));
        }
        out.push('\n');
    }
    for ty in types {
        if rng.random_ratio(1, 8) {
            out.push_str(&format!("extend {ty}{}\n", demand(rng)));
        }
    }
    out
}

fn demand(rng: &mut StdRng) -> String {
    match rng.random_ratio(1, 5) {
        true => " @authenticated".to_owned(),
        false => {
            let mut one = || SCOPES[rng.random_range(0..SCOPES.len())];
            format!(
                " @requiresScopes(scopes: [[\"{}\"], [\"{}\", \"{}\"]])",
                one(),
                one(),
                one()
            )
        }
    }
}

/// Who asks: nobody, or somebody with some scopes.
pub(crate) struct Caller(Option<HashSet<&'static str>>);

impl Caller {
    pub(crate) fn nobody() -> Self {
        Self(None)
    }

    pub(crate) fn random(rng: &mut StdRng) -> Self {
        let known = rng.random_ratio(3, 4);
        Self(known.then(|| {
            let scopes = SCOPES.into_iter();
            scopes.filter(|_| rng.random_ratio(3, 5)).collect()
        }))
    }

    fn meets(&self, demand: &Demand) -> bool {
        let has = |list: &Vec<String>| list.iter().all(|scope| self.has_scope(scope));
        match demand {
            Demand::Authenticated => self.is_authenticated(),
            Demand::Scopes(lists) => lists.iter().any(has),
            Demand::Policies(_) => false,
        }
    }
}

impl Asker for Caller {
    fn is_authenticated(&self) -> bool {
        self.0.is_some()
    }

    fn has_scope(&self, scope: &str) -> bool {
        self.0.as_ref().is_some_and(|scopes| scopes.contains(scope))
    }
}

/// What a caller may not see: `User`, `User.age`.
pub(crate) fn denied(graph: &Supergraph, caller: &Caller) -> HashSet<String> {
    let unmet = |demanded: &[Demanded]| {
        demanded
            .iter()
            .any(|it| !caller.meets(graph.demand(it.demand)))
    };
    let mut denied = HashSet::new();
    for (name, ty) in graph.types() {
        if unmet(&ty.demands) {
            denied.insert(name.to_string());
        }
        let fields = ty.fields.values().filter(|field| unmet(&field.demands));
        denied.extend(fields.map(|field| format!("{name}.{}", field.name)));
    }
    denied
}
