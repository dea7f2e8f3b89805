//! From a key's path to its line and column.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, Table, TableLike, Value};

use super::error::Source;

/// Steps from the root: keys, and numbers of list entries.
pub(super) type KeyPath = Vec<String>;

/// A path as operators read it: `listener[1].bind`.
pub(super) fn render(path: &[String]) -> String {
    let mut text = String::new();
    for step in path {
        if !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
            text.push_str(&format!("[{step}]"));
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(step);
        }
    }
    text
}

/// What of an entry is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Its key.
    Key,
    /// Its value.
    Value,
}

/// A parsed file that knows where everything stands, and the variables that
/// override it.
pub(super) struct Places {
    file: PathBuf,
    document: Document<String>,
    variables: Vec<(KeyPath, String)>,
}

impl Places {
    /// Parse a file's text.
    ///
    /// # Errors
    /// It is no TOML; with the place, and what the parser says.
    pub(super) fn parse(
        file: &Path,
        text: &str,
        variables: Vec<(KeyPath, String)>,
    ) -> Result<Self, (Source, String)> {
        match Document::parse(text.to_owned()) {
            Ok(document) => Ok(Self {
                file: file.to_owned(),
                document,
                variables,
            }),
            Err(error) => {
                let offset = error.span().map_or(text.len(), |span| span.start);
                Err((
                    source_at(file, text, offset),
                    error.message().replace('\n', ", "),
                ))
            }
        }
    }

    /// Where a path stands; the nearest thing around it if it is not there.
    pub(super) fn find(&self, path: &[String], part: Part) -> Source {
        let variable = self.variables.iter().find(|(set, _)| path.starts_with(set));
        if let Some((_, name)) = variable {
            return Source::Environment(name.clone());
        }
        let span = self.span(path, part);
        if span.is_none()
            && let Some(name) = self.variable_below(path)
        {
            return Source::Environment(name.to_owned());
        }
        let offset = span.map_or(0, |span| span.start);
        source_at(&self.file, self.document.raw(), offset)
    }

    /// A variable that sets something below a path.
    pub(super) fn variable_below(&self, path: &[String]) -> Option<&str> {
        self.variables
            .iter()
            .find(|(set, _)| set.starts_with(path))
            .map(|(_, name)| name.as_str())
    }

    fn span(&self, path: &[String], part: Part) -> Option<Range<usize>> {
        let mut node = Node::Table(self.document.as_table());
        let mut best = None;
        for (depth, step) in path.iter().enumerate() {
            let is_last = depth + 1 == path.len();
            let Some((key, next)) = node.step(step) else {
                break;
            };
            let found = match (key, next.span()) {
                (Some(key), value) if part == Part::Key || !is_last => Some(key).or(value),
                (key, value) => value.or(key),
            };
            best = found.or(best);
            // The header of a table says more than its first key's place.
            if !is_last && let Node::Table(table) = next {
                best = table.span().or(best);
            }
            node = next;
        }
        best
    }
}

/// Something that can be stepped into.
#[derive(Clone, Copy)]
enum Node<'a> {
    Item(&'a Item),
    Table(&'a Table),
    Value(&'a Value),
}

impl<'a> Node<'a> {
    /// The entry under a key or a number, and where the key stands.
    fn step(self, step: &str) -> Option<(Option<Range<usize>>, Node<'a>)> {
        match self {
            Node::Table(table) => keyed(table, step),
            Node::Item(Item::Table(table)) => keyed(table, step),
            Node::Item(Item::ArrayOfTables(tables)) => {
                Some((None, Node::Table(tables.get(step.parse().ok()?)?)))
            }
            Node::Item(Item::Value(value)) | Node::Value(value) => match value {
                Value::InlineTable(table) => keyed(table, step),
                Value::Array(array) => Some((None, Node::Value(array.get(step.parse().ok()?)?))),
                _ => None,
            },
            Node::Item(Item::None) => None,
        }
    }

    fn span(self) -> Option<Range<usize>> {
        match self {
            Node::Item(item) => item.span(),
            Node::Table(table) => table.span(),
            Node::Value(value) => value.span(),
        }
    }
}

fn keyed<'a>(table: &'a dyn TableLike, step: &str) -> Option<(Option<Range<usize>>, Node<'a>)> {
    let (key, item) = table.get_key_value(step)?;
    let node = match item {
        Item::Table(table) => Node::Table(table),
        item => Node::Item(item),
    };
    Some((key.span(), node))
}

fn source_at(file: &Path, text: &str, offset: usize) -> Source {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Source::File {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
    }
}
