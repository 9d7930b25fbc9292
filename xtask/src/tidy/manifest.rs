//! Reading a manifest by lines, so that findings can name them. It knows what
//! our manifests use of TOML, not all of TOML.

/// A table of a manifest.
pub(super) struct Table<'a> {
    /// What stands between its brackets.
    pub(super) name: &'a str,
    /// The line of its header.
    pub(super) line: usize,
    /// Its keys.
    pub(super) entries: Vec<Entry<'a>>,
}

/// A key of a table.
pub(super) struct Entry<'a> {
    pub(super) line: usize,
    pub(super) key: &'a str,
    /// What stands after the `=`; of a value of several lines, all of them.
    pub(super) value: String,
    /// Whether the line above is a comment.
    pub(super) is_commented: bool,
}

impl Table<'_> {
    /// Whether the table says `key = value`.
    pub(super) fn says(&self, key: &str, value: &str) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.key == key && entry.value == value)
    }
}

/// The tables of a manifest, in order.
pub(super) fn tables(text: &str) -> Vec<Table<'_>> {
    let mut tables: Vec<Table<'_>> = Vec::new();
    let mut above = "";
    let mut open = false;
    for (index, raw) in text.lines().enumerate() {
        let line = without_comment(raw).trim();
        let Some(table) = tables.last_mut().filter(|_| open || !line.starts_with('[')) else {
            if let Some(name) = line.strip_prefix('[') {
                let name = name.trim_matches(['[', ']']);
                tables.push(Table {
                    name,
                    line: index + 1,
                    entries: Vec::new(),
                });
            }
            continue;
        };
        if open {
            if let Some(entry) = table.entries.last_mut() {
                entry.value.push_str(line);
                open = is_open(&entry.value);
            }
        } else if let Some((key, value)) = line.split_once('=') {
            open = is_open(value);
            table.entries.push(Entry {
                line: index + 1,
                key: key.trim(),
                value: value.trim().to_owned(),
                is_commented: above.trim_start().starts_with('#'),
            });
        }
        above = raw;
    }
    tables
}

/// The line up to a `#` that no string holds.
fn without_comment(line: &str) -> &str {
    let mut in_string = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => in_string = !in_string,
            '#' if !in_string => return &line[..at],
            _ => {}
        }
    }
    line
}

/// Whether a value has a bracket that is still to be closed.
fn is_open(value: &str) -> bool {
    let count = |bracket| value.matches(bracket).count();
    count('[') > count(']') || count('{') > count('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"[package]
name = "sample" # a comment

[features]
# What it adds.
fast = [
    "dep:fast",
]
bare = []

[dependencies]
fast = { workspace = true, optional = true }
"#;

    #[test]
    fn tables_keys_and_lines_are_found() {
        let tables = tables(SAMPLE);
        let names: Vec<_> = tables
            .iter()
            .map(|table| (table.name, table.line))
            .collect();
        assert_eq!(
            names,
            [("package", 1), ("features", 4), ("dependencies", 11)]
        );
        assert!(tables[0].says("name", "\"sample\""));
        let features = &tables[1].entries;
        assert_eq!((features[0].key, features[0].line), ("fast", 6));
        assert_eq!(features[0].value, "[\"dep:fast\",]");
        assert!(features[0].is_commented);
        assert_eq!((features[1].key, features[1].line), ("bare", 9));
        assert!(!features[1].is_commented);
    }
}
