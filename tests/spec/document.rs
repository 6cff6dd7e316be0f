//! A spec file: a title, the behaviour in a sentence or two, and fenced blocks.
//!
//! Owns finding the blocks and telling them apart by their info strings. What a block means is for others.

use std::ops::Range;

/// One file of `specs/`.
pub(crate) struct Spec {
    /// The first heading.
    pub(crate) title: String,
    /// In the order of the file.
    pub(crate) blocks: Vec<Block>,
}

/// One fenced block: ```` ```language name argument ````.
pub(crate) struct Block {
    pub(crate) language: String,
    /// `users.graphql`, `operation`, `upstream`, `response`.
    pub(crate) name: String,
    /// `upstream users`: the source; `response /data/user`: the place.
    pub(crate) argument: Option<String>,
    pub(crate) text: String,
    /// Where the text stands in the file.
    pub(crate) range: Range<usize>,
}

/// What the harness knows, beside files with a dot in their name.
const KNOWN: [&str; 14] = [
    "graphql operation",
    "graphql api",
    "yaml config",
    "yaml upstream",
    "json variables",
    "json headers",
    "json claims",
    "json response",
    "text calls",
    "text log",
    "text plan",
    "text policies",
    "text queued",
    "text diagnostics",
];

const SUPERGRAPH: &str = "supergraph.graphql";

impl Spec {
    /// Reads a file; the error says which rule of `specs/README.md` it breaks.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let blocks = blocks(text)?;
        let title = text.lines().find_map(|line| line.strip_prefix("# "));
        let spec = Self {
            title: title
                .ok_or("a spec begins with `# ` and a title")?
                .to_owned(),
            blocks,
        };
        spec.check(text)?;
        Ok(spec)
    }

    fn check(&self, text: &str) -> Result<(), String> {
        let before = text.split("```").next().unwrap_or_default();
        let prose = before.lines().filter(|line| !line.starts_with('#'));
        if prose.map(str::trim).all(str::is_empty) {
            return Err("a spec says its behaviour in a sentence before the first block".into());
        }
        if let Some(unknown) = self.blocks.iter().find(|block| !block.is_known()) {
            return Err(format!("nobody knows what ```{} is", unknown.info()));
        }
        if self.block("operation").is_some() {
            for needed in ["response", "calls"] {
                self.block(needed)
                    .ok_or(format!("an operation needs a block `{needed}`"))?;
            }
        } else if self.expected().next().is_none() {
            return Err("a spec expects something: diagnostics, an API, or a response".into());
        }
        Ok(())
    }

    /// The first block of this name.
    pub(crate) fn block(&self, name: &str) -> Option<&Block> {
        self.all(name).next()
    }

    /// Every block of this name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |block| block.name == name)
    }

    /// The text of a block that is there or empty.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.block(name).map_or("", |block| &block.text)
    }

    /// Documents: blocks that are named as files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(|block| block.is_file())
    }

    /// Subgraph files: GraphQL, named as a file.
    pub(crate) fn subgraphs(&self) -> impl Iterator<Item = &Block> {
        self.files()
            .filter(|block| block.name.ends_with(".graphql") && block.name != SUPERGRAPH)
    }

    /// A ready-made supergraph, in place of subgraph files.
    pub(crate) fn supergraph(&self) -> Option<&Block> {
        self.block(SUPERGRAPH)
    }

    fn expected(&self) -> impl Iterator<Item = &Block> {
        let names = ["response", "diagnostics", "api", "plan"];
        self.blocks
            .iter()
            .filter(move |block| names.contains(&block.name.as_str()))
    }
}

impl Block {
    fn is_file(&self) -> bool {
        self.name.contains('.')
    }

    fn is_known(&self) -> bool {
        let kind = format!("{} {}", self.language, self.name);
        self.is_file() || KNOWN.contains(&kind.as_str())
    }

    /// The info string, for messages.
    pub(crate) fn info(&self) -> String {
        let argument = self.argument.iter().map(|it| format!(" {it}"));
        format!(
            "{} {}{}",
            self.language,
            self.name,
            argument.collect::<String>()
        )
    }
}

fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let mut found = Vec::new();
    let mut open: Option<(String, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let Some(info) = line.trim_end().strip_prefix("```") else {
            continue;
        };
        open = match open.take() {
            None => Some((info.to_owned(), at)),
            Some((info, from)) => {
                found.push(block(&info, text, from..start)?);
                None
            }
        };
    }
    match open {
        Some((info, _)) => Err(format!("the block ```{info} has no end")),
        None => Ok(found),
    }
}

fn block(info: &str, text: &str, range: Range<usize>) -> Result<Block, String> {
    let mut words = info.split_whitespace().map(str::to_owned);
    let (Some(language), Some(name)) = (words.next(), words.next()) else {
        return Err(format!("```{info} needs a language and a name"));
    };
    Ok(Block {
        language,
        name,
        argument: words.next(),
        text: expand(&text[range.clone()]),
        range,
    })
}

/// `‹a*3000›` stands for 3,000 times `a`, so that a long text can be read.
fn expand(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, repeated, after)) = split_repeat(rest) {
        out.push_str(before);
        out.push_str(&repeated);
        rest = after;
    }
    out + rest
}

fn split_repeat(text: &str) -> Option<(&str, String, &str)> {
    let (before, rest) = text.split_once('‹')?;
    let (inside, after) = rest.split_once('›')?;
    let (what, times) = inside.rsplit_once('*')?;
    Some((before, what.repeat(times.parse().ok()?), after))
}

/// The inverse of [`expand`], for runs of one letter that nobody wants to read.
pub(crate) fn collapse(text: &str) -> String {
    const UNREADABLE: usize = 200;
    let letters: Vec<char> = text.chars().collect();
    let runs = letters.chunk_by(|a, b| a == b);
    let shorten = |run: &[char]| match run {
        [letter, ..] if run.len() >= UNREADABLE => format!("‹{letter}*{}›", run.len()),
        run => run.iter().collect(),
    };
    runs.map(shorten).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_by_their_info_strings() {
        let spec = Spec::parse("# T\n\nSays so.\n\n```text diagnostics\na\nb\n```\n").unwrap();
        assert_eq!(spec.title, "T");
        assert_eq!(spec.text("diagnostics"), "a\nb\n");
    }

    #[test]
    fn an_operation_without_its_calls_is_refused() {
        let text =
            "# T\n\nSays so.\n\n```graphql operation\n{ a }\n```\n```json response\n{}\n```\n";
        let refused = Spec::parse(text).err();
        assert_eq!(
            refused.as_deref(),
            Some("an operation needs a block `calls`")
        );
    }

    #[test]
    fn long_runs_are_written_short_and_read_long() {
        let long = "x".repeat(300);
        assert_eq!(expand("[‹x*300›]"), format!("[{long}]"));
        assert_eq!(collapse(&format!("[{long}]")), "[‹x*300›]");
    }
}
