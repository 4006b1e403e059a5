//! From a key to its place in the file, and back: what makes an error point at a line.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// A key with its tables, such as `protocol[0].input[1].role`. List items count from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeyPath(Vec<Step>);

impl KeyPath {
    pub(super) fn key(&self, name: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(name.to_owned()));
        Self(steps)
    }

    pub(super) fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(name) if i == 0 => f.write_str(name)?,
                Step::Key(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A line and a column, both from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Position {
    /// The place of a byte offset.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

/// Where `path` stands in the document; where it is absent, its innermost table that is there.
pub(super) fn position(text: &str, document: &Spanned<DeTable<'_>>, path: &KeyPath) -> Option<Position> {
    let mut found = None;
    let mut value: Option<&DeValue<'_>> = None;
    for step in &path.0 {
        let next = match (value, step) {
            (None, Step::Key(name)) => entry(document.get_ref(), name),
            (Some(DeValue::Table(table)), Step::Key(name)) => entry(table, name),
            (Some(DeValue::Array(items)), Step::Index(index)) => {
                items.get(*index).map(|item| (item.span().start, item.get_ref()))
            }
            _ => None,
        };
        let Some((offset, inner)) = next else { break };
        found = Some(offset);
        value = Some(inner);
    }
    found.map(|offset| Position::of(text, offset))
}

fn entry<'d, 't>(table: &'d DeTable<'t>, name: &str) -> Option<(usize, &'d DeValue<'t>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    Some((key.span().start, value.get_ref()))
}

/// The innermost key whose name or value covers a byte offset.
pub(super) fn path_at(document: &Spanned<DeTable<'_>>, offset: usize) -> KeyPath {
    let mut path = KeyPath::default();
    descend(document.get_ref(), offset, &mut path);
    path
}

fn descend(table: &DeTable<'_>, offset: usize, path: &mut KeyPath) -> bool {
    for (key, value) in table {
        let inner = path.key(key.get_ref());
        if key.span().contains(&offset) {
            *path = inner;
            return true;
        }
        if let Some(found) = descend_value(value, offset, inner) {
            *path = found;
            return true;
        }
    }
    false
}

fn descend_value(value: &Spanned<DeValue<'_>>, offset: usize, mut path: KeyPath) -> Option<KeyPath> {
    // The span of a table with a header covers the header only: its keys are looked at whatever it says.
    let covered = match value.get_ref() {
        DeValue::Table(table) => descend(table, offset, &mut path),
        DeValue::Array(items) => {
            let inner = items.iter().enumerate().find_map(|(i, item)| descend_value(item, offset, path.index(i)));
            if let Some(inner) = inner {
                return Some(inner);
            }
            false
        }
        _ => false,
    };
    (covered || value.span().contains(&offset)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = 1\n[b]\nc = { d = 2 }\n[[e]]\nf = 3\n[[e]]\nf = [4,\n 5]\n";

    #[test]
    fn a_key_and_its_place_lead_to_each_other() {
        let document = DeTable::parse(TEXT).unwrap();
        let root = KeyPath::default();
        for (path, text, line, column) in [
            (root.key("a"), "a", 1, 1),
            (root.key("b").key("c").key("d"), "b.c.d", 3, 7),
            (root.key("e").index(1).key("f"), "e[1].f", 7, 1),
            (root.key("e").index(1).key("f").index(1), "e[1].f[1]", 8, 2),
        ] {
            assert_eq!(path.to_string(), text);
            let place = position(TEXT, &document, &path).unwrap();
            assert_eq!(place, Position { line, column }, "{text}");
            let offset = TEXT.split_inclusive('\n').take(line - 1).map(str::len).sum::<usize>() + column - 1;
            assert_eq!(path_at(&document, offset), path);
        }
    }

    #[test]
    fn an_absent_key_is_placed_at_its_table() {
        let document = DeTable::parse(TEXT).unwrap();
        let absent = KeyPath::default().key("b").key("x");
        assert_eq!(position(TEXT, &document, &absent), Some(Position { line: 2, column: 2 }));
        assert_eq!(position(TEXT, &document, &KeyPath::default().key("x")), None);
    }
}
