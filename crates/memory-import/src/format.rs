//! The products whose exports can be read.

use std::fmt;
use std::str::FromStr;

/// A product whose export can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// The data export of ChatGPT: `conversations.json`, or several files whose
    /// names begin so.
    ChatGpt,
    /// The data export of Claude: `conversations.json`.
    Claude,
    /// What `get_all` of mem0 returns, as JSON.
    Mem0,
    /// The file of the MCP reference server for memory: `memory.jsonl` or
    /// `memory.json`.
    McpMemory,
    /// Notes in Markdown: one memory for each section.
    Markdown,
    /// Notes of Basic Memory: one memory for each observation, relation and section.
    BasicMemory,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] = [
        Self::ChatGpt,
        Self::Claude,
        Self::Mem0,
        Self::McpMemory,
        Self::Markdown,
        Self::BasicMemory,
    ];

    /// Its name on the command line and in ids and metadata; it never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatGpt => "chatgpt",
            Self::Claude => "claude",
            Self::Mem0 => "mem0",
            Self::McpMemory => "mcp-memory",
            Self::Markdown => "markdown",
            Self::BasicMemory => "basic-memory",
        }
    }

    /// The files that a folder or an archive must contain, for people.
    #[must_use]
    pub const fn expected_files(self) -> &'static str {
        match self {
            Self::ChatGpt | Self::Claude => {
                "conversations.json, or several .json files whose names begin with `conversations`"
            }
            Self::Mem0 => "a .json file",
            Self::McpMemory => "memory.jsonl or memory.json",
            Self::Markdown | Self::BasicMemory => "files that end in .md or .markdown",
        }
    }

    /// Whether a file of a folder or an archive is read; `name` is its path in it.
    pub(crate) fn is_read(self, name: &str) -> bool {
        let file = name.rsplit('/').next().unwrap_or(name).to_lowercase();
        let ends_in = |extensions: &[&str]| extensions.iter().any(|it| file.ends_with(it));
        match self {
            Self::ChatGpt | Self::Claude => {
                file.starts_with("conversations") && ends_in(&[".json"])
            }
            Self::Mem0 => ends_in(&[".json"]),
            Self::McpMemory => matches!(file.as_str(), "memory.json" | "memory.jsonl"),
            Self::Markdown | Self::BasicMemory => ends_in(&[".md", ".markdown"]),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == name)
            .ok_or(UnknownFormat)
    }
}

/// A name that is no [`Format`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown format; it must be chatgpt, claude, mem0, mcp-memory, markdown or basic-memory")]
pub struct UnknownFormat;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_and_the_error_lists_them() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
            assert!(UnknownFormat.to_string().contains(format.as_str()));
        }
        assert_eq!("ChatGPT".parse::<Format>(), Err(UnknownFormat));
    }

    #[test]
    fn files_are_chosen_by_their_last_name() {
        assert!(Format::ChatGpt.is_read("export/conversations-001.json"));
        assert!(!Format::ChatGpt.is_read("conversations/a.json"));
        assert!(!Format::Claude.is_read("shared_conversations.json"));
        assert!(Format::McpMemory.is_read("dist/memory.jsonl"));
        assert!(!Format::McpMemory.is_read("package.json"));
        assert!(Format::Markdown.is_read("a/B.MD"));
        assert!(!Format::Markdown.is_read("a.md/b.txt"));
    }
}
