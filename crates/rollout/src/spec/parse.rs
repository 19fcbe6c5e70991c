//! Text to spec.

use crossfade_yaml::{ExpandError, Node, Resolve, TypedError, YamlError, expand, from_node, parse};

use super::validate::{At, Problem, problems};
use super::{Routing, Spec};

/// Why a text is no spec. Displays one line for each mistake: `file:line:column: field: what; remedy`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpecError {
    #[error(transparent)]
    Yaml(#[from] YamlError),
    #[error(transparent)]
    Expand(#[from] ExpandError),
    #[error(transparent)]
    Typed(#[from] TypedError),
    #[error("{}", lines(.0))]
    Invalid(Vec<TypedError>),
}

fn lines(errors: &[TypedError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl Spec {
    /// Reads a spec. `source` names the text in messages; `resolve` answers `${env:X}` and its kin.
    ///
    /// # Errors
    /// The first mistake of form, or else all mistakes of meaning.
    pub fn parse(text: &str, source: &str, resolve: &dyn Resolve) -> Result<Self, SpecError> {
        let mut node = parse(text, source)?;
        expand(&mut node, resolve)?;
        let spec: Self = from_node(&node)?;
        let found = problems(&spec);
        if found.is_empty() {
            Ok(spec)
        } else {
            Err(SpecError::Invalid(found.iter().map(|p| place(&node, p)).collect()))
        }
    }
}

/// The problem at the place of its field, or of the nearest one around it that the text has.
fn place(root: &Node, problem: &Problem) -> TypedError {
    let mut mark = &root.mark;
    let mut node = Some(root);
    for at in &problem.path {
        node = node.and_then(|node| match at {
            At::Key(key) => node.get(key),
            At::Index(index) => node.as_list()?.get(*index),
        });
        match node {
            Some(found) => mark = &found.mark,
            None => break,
        }
    }
    TypedError::refused(mark, &problem.field(), problem.message.clone())
}

impl Routing {
    /// The windows as the routing core has them.
    ///
    /// # Errors
    /// If they do not fit each other.
    pub fn window(&self) -> Result<crossfade_routing::Window, crossfade_routing::WindowError> {
        crossfade_routing::Window::new(self.overlap.0, self.skew.0, self.gamma.0)
    }
}
