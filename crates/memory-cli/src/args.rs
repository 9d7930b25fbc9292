//! The command line: global options and the commands.

use clap::builder::NonEmptyStringValueParser;
use clap::{Parser, Subcommand};

use crate::commands::{
    consolidate, export, import, list, recall, reflect, relate, remove, retain, setup, stats,
};
use crate::output::Format;

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  an error that no other code covers
  2  invalid command line or unsupported database URL
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
    /// Database URL
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "URL",
        env = "MEMORY_DB",
        default_value = "sqlite://memory.db",
        // It may hold a password.
        hide_env_values = true,
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) db: String,

    /// Print results and errors as JSON
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Retain one memory and print its id
    Retain(retain::Args),
    /// Print the memories most relevant to a text, best first
    Recall(recall::Args),
    /// Import memories from a JSONL file, skipping those already present
    Import(import::Args),
    /// Export memories as JSONL, in the format that import reads
    Export(export::Args),
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
    /// Download the pinned runtime and model into the cache folder
    Setup(setup::Args),
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
    use super::*;

    #[test]
    fn command_line_definition_is_valid() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
