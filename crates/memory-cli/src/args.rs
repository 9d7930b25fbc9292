//! The command line: global options and the verbs.

use clap::builder::NonEmptyStringValueParser;
use clap::{Parser, Subcommand};

use crate::output::Format;
use crate::verbs::{
    consolidate, export, forget, import, list, prune, recall, reflect, relate, retain, setup, stats,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed in a way that no other code names
  2  the command line does not read, or names a database that no store answers to
  3  input breaks a bound; import: lines were refused, the others are in
  4  the entity has no such memory
  5  the id is taken by a memory with other content; or the memory is archived,
     changed meanwhile, or there is no room for it
  6  something needed is missing: the runtime, the model, the database
  7  busy or unreachable; the same command may succeed later
  8  the database or a file of the model cannot be used: foreign, newer, damaged,
     read-only, or no room on the disk";

/// Long-term memory for AI agents and game characters.
#[derive(Debug, Parser)]
#[command(name = "memory", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// The database
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

    /// Answer in JSON, errors too
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Retain one memory and print its id
    Retain(retain::Args),
    /// Recall what matters to a text, best first
    Recall(recall::Args),
    /// Retain the memories of a JSONL file; those that are there already are passed over
    Import(import::Args),
    /// Write memories as JSONL, in the form that import reads
    Export(export::Args),
    /// List an entity's memories, newest first
    List(list::Args),
    /// Print what matters to a text, quoted as data for a prompt
    Reflect(reflect::Args),
    /// Put one summary in place of each group of near-duplicates
    Consolidate(consolidate::Args),
    /// Take a summary away and make what it stood for live again
    Undo(consolidate::UndoArgs),
    /// Link one memory to another
    Relate(relate::RelateArgs),
    /// Drop the link from one memory to another
    Unrelate(relate::UnrelateArgs),
    /// Print what a memory links to, and what links to it
    RelatedMemory(relate::RelatedArgs),
    /// Remove memories that have faded
    Prune(prune::Args),
    /// Remove one memory for good, in whatever it went into
    Forget(forget::Args),
    /// Count entities and memories
    Stats(stats::Args),
    /// Look for runtime, model and database, and say what is wrong
    Doctor,
    /// Fetch the pinned runtime and model into the cache folder
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
    fn the_command_line_is_well_formed() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
