//! Path templates, and which one a request's template means.
//!
//! Templates match by shape: `/users/{id}` is `/users/{userId}`. Must not know operations.

/// A path template such as `/users/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    segments: Vec<Segment>,
}

/// What stands between two slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    parts: Vec<PathPart>,
}

/// A part of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPart {
    /// Fixed text.
    Literal(String),
    /// What stands between braces: a parameter's name, or the expression that gives its value.
    Hole(String),
}

/// A path parameter of the contract, and what a request puts in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathBinding {
    /// The parameter's name in the contract.
    pub parameter: String,
    /// What the request's template has there: usually one hole.
    pub given: Vec<PathPart>,
}

impl PathTemplate {
    /// Reads a template. Braces may hold any expression, quoted text with braces and slashes
    /// included; a query string is left out.
    pub fn parse(template: &str) -> Self {
        let mut reader = Reader::default();
        for char in template.strip_prefix('/').unwrap_or(template).chars() {
            if reader.is_outside() && (char == '?' || char == '#') {
                break;
            }
            reader.read(char);
        }
        reader.end_segment();
        PathTemplate {
            segments: reader.segments,
        }
    }

    /// The parameters' names, in order.
    pub fn holes(&self) -> impl Iterator<Item = &str> {
        let parts = self.segments.iter().flat_map(|segment| &segment.parts);
        parts.filter_map(|part| match part {
            PathPart::Hole(name) => Some(name.as_str()),
            PathPart::Literal(_) => None,
        })
    }

    /// The template with nothing between its braces: what two templates of one shape share.
    pub(super) fn shape(&self) -> String {
        let segments = self.segments.iter().map(Segment::shape);
        segments.map(|segment| format!("/{segment}")).collect()
    }

    /// How this template of a contract fits a request's, if it does.
    pub(super) fn fit(&self, request: &PathTemplate) -> Option<Fit> {
        if self.segments.len() != request.segments.len() {
            return None;
        }
        let mut fit = Fit::default();
        for (segment, given) in self.segments.iter().zip(&request.segments) {
            let bindings = segment.bind(given)?;
            fit.literals.push(bindings.is_empty());
            fit.bindings.extend(bindings);
        }
        Some(fit)
    }
}

/// A fit of a contract's template: the more literal from the left, the better.
#[derive(Debug, Default)]
pub(super) struct Fit {
    pub(super) literals: Vec<bool>,
    pub(super) bindings: Vec<PathBinding>,
}

impl Segment {
    /// What a request's segment gives to each hole of this one.
    fn bind(&self, given: &Segment) -> Option<Vec<PathBinding>> {
        if let [PathPart::Hole(parameter)] = self.parts.as_slice() {
            let binding = PathBinding {
                parameter: parameter.clone(),
                given: given.parts.clone(),
            };
            return (!given.parts.is_empty()).then(|| vec![binding]);
        }
        if self.parts.len() != given.parts.len() {
            return None;
        }
        let mut bindings = Vec::new();
        for (part, given) in self.parts.iter().zip(&given.parts) {
            match (part, given) {
                (PathPart::Literal(text), PathPart::Literal(same)) if text == same => {}
                (PathPart::Hole(parameter), PathPart::Hole(_)) => bindings.push(PathBinding {
                    parameter: parameter.clone(),
                    given: vec![given.clone()],
                }),
                _ => return None,
            }
        }
        Some(bindings)
    }

    fn shape(&self) -> String {
        let parts = self.parts.iter().map(|part| match part {
            PathPart::Literal(text) => text.as_str(),
            PathPart::Hole(_) => "{}",
        });
        parts.collect()
    }
}

/// Reads a template one character after the other.
#[derive(Default)]
struct Reader {
    segments: Vec<Segment>,
    parts: Vec<PathPart>,
    text: String,
    depth: usize,
    quoted: bool,
}

impl Reader {
    fn is_outside(&self) -> bool {
        self.depth == 0
    }

    fn read(&mut self, char: char) {
        match char {
            '\'' if !self.is_outside() => self.quoted = !self.quoted,
            '/' if self.is_outside() => return self.end_segment(),
            '{' if self.is_outside() => {
                self.end_literal();
                self.depth = 1;
                return;
            }
            '{' if !self.quoted => self.depth += 1,
            '}' if self.depth == 1 && !self.quoted => return self.end_hole(),
            '}' if !self.is_outside() && !self.quoted => self.depth -= 1,
            _ => {}
        }
        self.text.push(char);
    }

    fn end_hole(&mut self) {
        self.depth = 0;
        let name = std::mem::take(&mut self.text).trim().to_owned();
        self.parts.push(PathPart::Hole(name));
    }

    fn end_literal(&mut self) {
        if !self.text.is_empty() {
            let text = std::mem::take(&mut self.text);
            self.parts.push(PathPart::Literal(text));
        }
    }

    fn end_segment(&mut self) {
        self.end_literal();
        let parts = std::mem::take(&mut self.parts);
        self.segments.push(Segment { parts });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(contract: &str, request: &str) -> Option<Vec<(String, String)>> {
        let fit = PathTemplate::parse(contract).fit(&PathTemplate::parse(request))?;
        let given = |parts: &[PathPart]| format!("{parts:?}");
        let bindings = fit.bindings.iter();
        Some(
            bindings
                .map(|b| (b.parameter.clone(), given(&b.given)))
                .collect(),
        )
    }

    fn hole(contract: &str, request: &str) -> Vec<(String, String)> {
        vec![(contract.to_owned(), format!("[Hole({request:?})]"))]
    }

    #[test]
    fn names_of_parameters_do_not_matter() {
        assert_eq!(
            fit("/users/{userId}", "/users/{id}"),
            Some(hole("userId", "id"))
        );
        assert_eq!(fit("/users/{userId}/x", "/users/{id}"), None);
        assert_eq!(fit("/users", "/orders"), None);
        assert_eq!(fit("/users", "/users?page={$args.page}"), Some(vec![]));
    }

    #[test]
    fn holes_may_hold_expressions_with_braces_and_slashes() {
        let request = "/a/{ $args.x ?? 'b/}' }/c";
        assert_eq!(
            fit("/a/{x}/c", request),
            Some(hole("x", "$args.x ?? 'b/}'"))
        );
    }

    #[test]
    fn segments_of_several_parts_match_part_by_part() {
        let bound = fit("/compare/{base}...{head}", "/compare/{a}...{b}").unwrap();
        assert_eq!(bound[1], ("head".to_owned(), "[Hole(\"b\")]".to_owned()));
        assert_eq!(fit("/compare/{base}...{head}", "/compare/{a}..{b}"), None);
        let bound = fit("/files/{name}", "/files/{id}.json").unwrap();
        assert_eq!(bound[0].1, "[Hole(\"id\"), Literal(\".json\")]");
    }

    #[test]
    fn a_literal_fills_a_parameter_but_no_parameter_fills_a_literal() {
        let bound = fit("/users/{id}", "/users/me").unwrap();
        assert_eq!(bound[0].1, "[Literal(\"me\")]");
        assert_eq!(fit("/users/me", "/users/{id}"), None);
        assert_eq!(fit("/users/{id}", "/users/"), None);
    }

    #[test]
    fn shapes_leave_names_out() {
        assert_eq!(PathTemplate::parse("/a/{b}.{c}/").shape(), "/a/{}.{}/");
        let template = PathTemplate::parse("/a/{b}.{c}/");
        assert_eq!(template.holes().collect::<Vec<_>>(), ["b", "c"]);
    }
}
