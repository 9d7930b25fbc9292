//! The command line: global options and the commands.

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Parser, Subcommand};
use memory::Language;

use crate::commands::{
    backup, completions, consolidate, export, get, import, list, maintain_indexes, mcp, recall,
    reembed, reflect, relate, remove, retain, serve, setup, stats, token, update,
};
use crate::output::Format;

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  an error that no other code covers
  2  invalid command line, invalid settings or unsupported database URL
  3  invalid input; import: some lines were refused, the others were imported
  4  the entity has no memory with this id
  5  conflict: the id belongs to a memory with other content, the memory is
     archived or changed meanwhile, or the entity's limit is reached
  6  something required is missing: runtime, model or database
  7  busy or unreachable; the same command may succeed later
  8  the database or a model file is unusable: not ours, from a newer version,
     damaged, read-only, or the disk is full";

/// Long-term memory for AI agents and game characters.
#[derive(Debug, Parser)]
#[command(name = "memory", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,

    /// Print results and errors as JSON
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

// No doc comment: it would replace the description of the command.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SettingsArgs {
    /// Database URL [env: MEMORY_DB] [default: sqlite://memory.db]
    // Not an `env` of the parser: the settings combine their sources.
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "URL",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) db: Option<String>,

    /// URL of a shared cache [env: MEMORY_SHARED_CACHE] [default: none]
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "URL",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) shared_cache: Option<String>,

    /// Settings file in TOML [env: MEMORY_CONFIG]
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "FILE"
    )]
    pub(crate) config: Option<PathBuf>,

    /// Model of the embedder, by name or path [env: MEMORY_MODEL] [default: all-MiniLM-L6-v2]
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "MODEL",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) model: Option<String>,

    /// Language of the texts, where it is known [env: MEMORY_LANGUAGE] [default: detect]
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "CODE",
        hide_possible_values = true,
        value_parser = PossibleValuesParser::new(language_values())
    )]
    pub(crate) language: Option<String>,
}

/// The values of `--language`: each text's own, or the code of one for all.
fn language_values() -> impl Iterator<Item = &'static str> {
    let codes = Language::ALL.into_iter().map(Language::code);
    std::iter::once("detect").chain(codes)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Retain one memory and print its id
    Retain(retain::Args),
    /// Print the memories most relevant to a text, best first
    Recall(recall::Args),
    /// Print one memory with all its values
    Get(get::Args),
    /// Change parts of one memory and print it
    Update(update::Args),
    /// Import memories from JSONL or another product's export, skipping those already present
    Import(import::Args),
    /// Export memories as JSONL, in the format that import reads
    Export(export::Args),
    /// Write a consistent copy of a SQLite database while it is in use
    Backup(backup::Args),
    /// List an entity's memories, newest first
    List(list::Args),
    /// Print the memories most relevant to a text, quoted as data for a prompt
    Reflect(reflect::Args),
    /// Replace each group of near-duplicate memories by one summary
    Consolidate(consolidate::Args),
    /// Remove a summary and restore the memories it replaced
    Undo(consolidate::UndoArgs),
    /// Link one memory to another
    Relate(relate::RelateArgs),
    /// Remove the link from one memory to another
    Unrelate(relate::UnrelateArgs),
    /// List the links of a memory, in both directions
    Related(relate::RelatedArgs),
    /// Remove memories whose importance has decayed
    Prune(remove::PruneArgs),
    /// Remove one memory permanently, including from summaries made from it
    Forget(remove::ForgetArgs),
    /// Count entities and memories
    Stats(stats::Args),
    /// Check runtime, model and database, and say how to fix what is wrong
    Doctor,
    /// Create the database if it is missing, or update its schema
    Migrate,
    /// Compute vectors that an entity's memories lack, with the current model
    Reembed(reembed::Args),
    /// Choose the approximate indexes of very large entities on PostgreSQL, by measuring
    MaintainIndexes(maintain_indexes::Args),
    /// Serve the operations over HTTP until a signal ends it
    Serve(serve::ServeArgs),
    /// Serve an AI agent over standard input and output (Model Context Protocol)
    Mcp(mcp::Args),
    /// Make a token for serve, and print it
    Token(token::Args),
    /// Download the pinned runtime and model into the cache folder
    Setup(setup::Args),
    /// Print a script that makes a shell complete this command
    Completions(completions::CompletionsArgs),
    /// Write manual pages
    Man(completions::ManArgs),
}

impl Cli {
    pub(crate) fn format(&self) -> Format {
        if self.json {
            Format::Json
        } else {
            Format::Human
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn command_line_definition_is_valid() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    /// Every long option of a command, hidden ones and `--help` excluded.
    fn options_of(command: &clap::Command) -> BTreeSet<String> {
        let arguments = command.get_arguments().filter(|argument| {
            !argument.is_hide_set() && !argument.is_global_set() && argument.get_id() != "help"
        });
        arguments
            .filter_map(|argument| argument.get_long())
            .map(|long| format!("--{long}"))
            .collect()
    }

    /// The options that start a table row of a section.
    fn documented_options(section: &str) -> BTreeSet<String> {
        section
            .lines()
            .filter_map(|line| line.strip_prefix("| `--"))
            .filter_map(|row| row.split(['`', ' ']).next())
            .map(|name| format!("--{name}"))
            .collect()
    }

    #[test]
    fn documentation_lists_exactly_the_commands_and_options() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
        let text = std::fs::read_to_string(path).unwrap();
        let sections: BTreeMap<&str, &str> = text
            .split("\n## ")
            .flat_map(|chapter| chapter.split("\n### "))
            .map(|section| section.split_once('\n').unwrap_or((section, "")))
            .collect();
        let command = <Cli as clap::CommandFactory>::command();
        let filters = documented_options(sections["Filters"]);
        assert!(!filters.is_empty());
        let mut names = BTreeSet::new();
        for subcommand in command.get_subcommands() {
            let prefix = format!("`memory {}", subcommand.get_name());
            let (_, section) = sections
                .iter()
                .find(|(title, _)| {
                    let rest = title.strip_prefix(&prefix);
                    rest.is_some_and(|rest| rest.starts_with([' ', '`']))
                })
                .unwrap_or_else(|| panic!("docs/cli.md has no section {prefix}`"));
            let mut documented = documented_options(section);
            if section.contains("| *filters*") {
                documented.extend(filters.clone());
            }
            assert_eq!(documented, options_of(subcommand), "{prefix}");
            names.insert(subcommand.get_name().to_owned());
        }
        let described = sections
            .keys()
            .filter_map(|title| title.strip_prefix("`memory "));
        let described = described.filter_map(|title| title.split([' ', '`']).next());
        assert_eq!(described.map(str::to_owned).collect::<BTreeSet<_>>(), names);

        let globals: BTreeSet<String> = command
            .get_arguments()
            .filter(|argument| argument.is_global_set())
            .filter_map(|argument| argument.get_long())
            .map(|long| format!("--{long}"))
            .collect();
        assert_eq!(documented_options(sections["Global options"]), globals);
    }
}
