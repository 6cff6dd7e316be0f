//! Names under which a source that takes selections is asked for fields.
//!
//! Owns aliases. A field with other arguments has another name, and so has one
//! that would not merge with a field of another object type beside it:
//! <https://spec.graphql.org/September2025/#sec-Field-Selection-Merging>.
//! What can share a name shares it, so that most operations need no alias.

use apollo_compiler::ast::Type;

use crate::shape::Asked;
use crate::shape::AskedArg;
use crate::shape::Included;
use crate::shape::Prop;
use crate::shape::PropTarget;
use crate::shape::Props;
use crate::shape::Shape;

/// Where a value is read.
pub(super) struct Place<'p> {
    pub(super) path: &'p [String],
    /// They go with the first field of the path.
    pub(super) args: Vec<AskedArg>,
    /// When it is wanted at all; of the first field of the path too.
    pub(super) included: Vec<Included>,
    /// Its type upstream, where that is known.
    pub(super) ty: Option<&'p Type>,
}

impl<'p> Place<'p> {
    /// Without arguments.
    pub(super) fn plain(path: &'p [String], ty: Option<&'p Type>) -> Self {
        Self {
            path,
            args: Vec::new(),
            included: Vec::new(),
            ty,
        }
    }
}

/// The names that one selection has taken.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Of this object type.
    own: Vec<Named>,
    /// Of other object types in the same place.
    beside: Vec<Named>,
}

/// A name, and the type of the leaf behind it; none for an object or where nobody knows.
#[derive(Debug)]
struct Named {
    name: Box<str>,
    leaf: Option<Type>,
}

/// What is read at a name. Only what is alike shares one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Leaf,
    /// An object that leaves of another one are read from.
    Way,
    /// Has a selection of its own, which no other is merged with.
    Object,
}

impl Form {
    fn of(rest: &[String], shape: &Shape) -> Self {
        match (rest.is_empty(), leaf_below(shape)) {
            (false, _) => Form::Way,
            (true, true) => Form::Leaf,
            (true, false) => Form::Object,
        }
    }

    fn of_prop(prop: &Prop) -> Self {
        match prop.targets.first() {
            None => Form::Way,
            Some(target) if leaf_below(&target.shape) => Form::Leaf,
            Some(_) => Form::Object,
        }
    }
}

fn leaf_below(shape: &Shape) -> bool {
    match shape {
        Shape::Leaf(_) => true,
        Shape::List(item) => leaf_below(item),
        Shape::Object(_) | Shape::Abstract(_) => false,
    }
}

impl Names {
    /// For the next object type in the same place.
    pub(super) fn of_another(mut self) -> Self {
        self.beside.append(&mut self.own);
        self
    }

    /// Adds a target at a path of fields.
    pub(super) fn ask(&mut self, props: &mut Props, place: Place<'_>, target: PropTarget) {
        let Some((field, rest)) = place.path.split_first() else {
            return;
        };
        let form = Form::of(rest, &target.shape);
        let known = props.0.iter().position(|prop| {
            form != Form::Object
                && Form::of_prop(prop) == form
                && is_asked(prop, field, &place.args)
        });
        if let Some(prop) = known.and_then(|known| props.0[known].asked.as_mut())
            && prop.included != place.included
        {
            // Wanted for several reasons: it is asked for whichever holds.
            prop.included.clear();
        }
        let index = known.unwrap_or_else(|| {
            let leaf = place.ty.filter(|_| form == Form::Leaf);
            let name = self.take(field, leaf);
            let is_plain = *name == **field && place.args.is_empty() && place.included.is_empty();
            props.0.push(Prop {
                asked: (!is_plain).then(|| {
                    Box::new(Asked {
                        field: field.as_str().into(),
                        args: place.args,
                        included: place.included,
                    })
                }),
                name,
                targets: Vec::new(),
                nested: Props::default(),
            });
            props.0.len() - 1
        });
        let prop = &mut props.0[index];
        match form {
            Form::Way => Names::of_props(&prop.nested).ask(
                &mut prop.nested,
                Place::plain(rest, place.ty),
                target,
            ),
            Form::Leaf | Form::Object => prop.targets.push(target),
        }
    }

    /// The names on a way, where no other type stands.
    fn of_props(props: &Props) -> Self {
        let own = props.0.iter().map(|prop| Named {
            name: prop.name.clone(),
            leaf: None,
        });
        Self {
            own: own.collect(),
            beside: Vec::new(),
        }
    }

    /// The field's own name, else the first that is free with a number behind it.
    fn take(&mut self, field: &str, leaf: Option<&Type>) -> Box<str> {
        let numbered = (2..).map(|number| format!("{field}_{number}"));
        let mut candidates = std::iter::once(field.to_owned()).chain(numbered);
        let name = candidates.find(|name| self.is_free(name, leaf));
        let name: Box<str> = name.unwrap_or_default().into();
        self.own.push(Named {
            name: name.clone(),
            leaf: leaf.cloned(),
        });
        name
    }

    fn is_free(&self, name: &str, leaf: Option<&Type>) -> bool {
        let is = |named: &&Named| *named.name == *name;
        let same_leaf = |named: &Named| leaf.is_some() && named.leaf.as_ref() == leaf;
        !self.own.iter().any(|named| is(&named)) && self.beside.iter().filter(is).all(same_leaf)
    }
}

fn is_asked(prop: &Prop, field: &str, args: &[AskedArg]) -> bool {
    match &prop.asked {
        Some(asked) => *asked.field == *field && asked.args == args,
        None => *prop.name == *field && args.is_empty(),
    }
}
