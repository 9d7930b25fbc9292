//! What to do about a database that cannot be opened: hints in errors, and the doctor's
//! fixes. The stores say what happened, and know no commands.

use memory::{ErrorKind, MemoryError};

use crate::exit::Failure;

const CREATE: &str = "create it with memory retain, memory import, memory serve, memory mcp or \
                      memory migrate, or name another with --db or MEMORY_DB";
const OTHER_FILE: &str = "name another file with --db or MEMORY_DB";
const RESTORE: &str = "restore a backup, or import an export into a new file";

/// Adds to the error for a database file what can be done with this command.
pub(crate) fn add_file_hint(mut error: MemoryError) -> MemoryError {
    if let MemoryError::Store {
        kind,
        message,
        operation: "open",
        ..
    } = &mut error
    {
        let hint = match kind {
            ErrorKind::Missing if !lacks_folder(message) => CREATE,
            ErrorKind::ReadOnly if has_old_schema(message) => "memory migrate updates it",
            ErrorKind::ForeignData => OTHER_FILE,
            ErrorKind::Corrupt => RESTORE,
            _ => return error,
        };
        message.push_str("; ");
        message.push_str(hint);
    }
    error
}

/// As [`add_file_hint`], for a database on a server.
#[cfg(feature = "postgres")]
pub(crate) fn add_server_hint(mut error: MemoryError) -> MemoryError {
    if let MemoryError::Store { kind, message, .. } = &mut error
        && matches!(kind, ErrorKind::Missing | ErrorKind::ReadOnly)
    {
        message.push_str("; memory migrate creates and updates the schema");
    }
    error
}

/// Adds to the error for an unsupported URL which servers the command supports.
pub(crate) fn add_supported_urls(mut error: MemoryError) -> MemoryError {
    if let MemoryError::Configuration { message } = &mut error
        && message.starts_with("unsupported URL scheme")
    {
        message.push_str(match cfg!(feature = "postgres") {
            true => "; for PostgreSQL write postgres://user@host/database",
            false => "; PostgreSQL needs a build with --features postgres",
        });
    }
    error
}

/// How to fix a database that cannot be opened.
pub(crate) fn suggest_fix(failure: &Failure, is_server: bool) -> Option<&'static str> {
    Some(match failure.kind() {
        "missing" if lacks_folder(failure.message()) => {
            "create the folder, or name another database with --db or MEMORY_DB"
        }
        "missing" => CREATE,
        "foreign_data" => OTHER_FILE,
        "newer_schema" => "use the newer version of memory that wrote it",
        "corrupt" => RESTORE,
        "unavailable" if failure.message().contains("too many open files") => {
            "raise the limit of open files (ulimit -n), or stop what has them open"
        }
        "unavailable" if is_server => {
            "check that the server runs, and that --db or MEMORY_DB names its host and port"
        }
        "unavailable" => "wait for the process that is using it, or stop that process",
        "read_only" if has_old_schema(failure.message()) => "run memory migrate",
        "read_only" => {
            "give this user read and write permission for the file and its folder, or run memory \
             as the user that owns them"
        }
        "configuration" => "name a database such as sqlite://memory.db with --db or MEMORY_DB",
        _ => return None,
    })
}

/// Whether a store says that the folder of its file is missing.
fn lacks_folder(message: &str) -> bool {
    message.contains("does not exist; create it first")
}

/// Whether a store says that it would have to migrate its schema.
fn has_old_schema(message: &str) -> bool {
    let phrases = [
        "the schema of the database has version",
        "the schema has version",
    ];
    phrases.iter().any(|phrase| message.contains(phrase))
}
