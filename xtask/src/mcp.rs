//! `cargo xtask mcp`, also a CI step: the official clients of the Model Context Protocol for
//! Python and JavaScript speak to the command; their transcripts are compared with the one in
//! the repository. A client that is generated from the OpenAPI document uses the server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use memory_assets::CACHE_ENV;

use crate::error::TaskError;
use crate::{setup, shell, venv};

/// The clients, what they need, and the transcript.
const FOLDER: &str = "crates/memory-cli/tests/mcp";

/// The name of the client that sends only some requests: each of its own takes a second.
const INSPECTOR: &str = "inspector, stdio and HTTP in turn";

/// The clients of JavaScript, as `clients.mjs` names them.
const CLIENTS: [&str; 5] = [
    "TypeScript SDK v1, stdio",
    "TypeScript SDK v1, streamable HTTP",
    "TypeScript SDK v2, stdio",
    "TypeScript SDK v2, streamable HTTP",
    INSPECTOR,
];

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Replace the transcript in the repository by that of the Python client
    #[arg(long)]
    renew: bool,
}

/// The CI step.
pub(crate) fn check() -> Result<(), TaskError> {
    run(&Options::default())
}

pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let cache = setup::run(setup::Options::default())?;
    let folder = shell::root().join(FOLDER);
    let packages = install_packages(&cache, &folder)?;
    let python = venv::install(&cache, "mcp-client", &folder.join("requirements.txt"))?;
    let memory = shell::build_memory()?;
    let client = |script: &str| {
        let mut client = Command::new(&python);
        client.arg(folder.join(script)).arg(&memory);
        client.env(CACHE_ENV, &cache);
        client
    };
    shell::run(&mut client("http_client.py"))?;

    let path = folder.join("transcript.txt");
    let transcript = shell::read_stdout(client("client.py").arg(&path))?;
    if options.renew {
        fs::write(&path, &transcript).map_err(write_failed(&path))?;
    }
    let expected = shell::read_text(&path)?;
    let mut clients = Command::new("node");
    clients
        .arg(folder.join("clients.mjs"))
        .arg(&packages)
        .arg(&memory)
        .arg(&path);
    clients.env(CACHE_ENV, &cache);
    let others = shell::read_stdout(&mut clients)?;
    let mut count = differences("Python client", &transcript, &expected);
    for client in CLIENTS {
        let transcript = sections(&others).find(|(name, _)| *name == client);
        let transcript = transcript.map_or("", |(_, transcript)| transcript);
        count += match client {
            INSPECTOR => differences(client, transcript, &marked(&expected)),
            _ => differences(client, transcript, &expected),
        };
    }
    match count {
        0 => Ok(()),
        count => Err(TaskError::Findings {
            count,
            what: "lines of the transcripts differ; if that is meant, `cargo xtask mcp --renew`",
        }),
    }
}

/// Prints the lines that differ, and counts them.
fn differences(client: &str, actual: &str, expected: &str) -> usize {
    let (actual_lines, expected_lines) = (actual.lines().count(), expected.lines().count());
    let mut count = actual_lines.abs_diff(expected_lines);
    for (actual, expected) in actual.lines().zip(expected.lines()) {
        if actual != expected {
            println!("expected: {expected}\nactual:   {actual}");
            count += 1;
        }
    }
    println!("mcp: {client}: {actual_lines} lines, {count} differ");
    count
}

/// The parts of a text that begin with a line `# name`: their names and texts.
fn sections(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = text.strip_prefix("# ").unwrap_or(text).split("\n# ");
    parts.filter_map(|part| part.split_once('\n'))
}

/// The part of a transcript that the inspector has: the requests that begin with `>>`, and
/// their answers.
fn marked(transcript: &str) -> String {
    let mut is_marked = false;
    let mut part = String::new();
    for line in transcript.lines() {
        if line.starts_with('>') {
            is_marked = line.starts_with(">>");
        }
        if is_marked {
            part.push_str(line);
            part.push('\n');
        }
    }
    part
}

/// A folder with exactly the pinned packages of JavaScript. It is made again when the pins
/// change.
fn install_packages(cache: &Path, pins: &Path) -> Result<PathBuf, TaskError> {
    let lock = shell::read_text(&pins.join("package-lock.json"))?;
    for program in ["node", "npm"] {
        let version = shell::read_stdout(Command::new(program).arg("--version"));
        version.map_err(|source| TaskError::NoNode {
            program,
            source: Box::new(source),
        })?;
    }
    let folder = cache.join("mcp-client-node");
    let installed = folder.join("installed.json");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(folder);
    }
    println!("installing the JavaScript clients of MCP");
    fs::create_dir_all(&folder).map_err(write_failed(&folder))?;
    for name in ["package.json", "package-lock.json"] {
        let path = folder.join(name);
        fs::copy(pins.join(name), &path).map_err(write_failed(&path))?;
    }
    let mut npm = Command::new("npm");
    npm.current_dir(&folder)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        // A version of Node that a package does not support is an error.
        .args(["--engine-strict", "--loglevel", "error"]);
    shell::run(&mut npm)?;
    // Last, so that an interrupted installation is not taken for a complete one.
    fs::write(&installed, lock).map_err(write_failed(&installed))?;
    Ok(folder)
}

fn write_failed(path: &Path) -> impl FnOnce(std::io::Error) -> TaskError + use<> {
    let path = path.to_owned();
    |source| TaskError::Write { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_and_missing_lines_are_counted() {
        assert_eq!(differences("client", "a\nb\n", "a\nb\n"), 0);
        for (actual, expected) in [("a\nx\n", "a\nb\n"), ("a\n", "a\nb\n"), ("", "a\n")] {
            assert_eq!(differences("client", actual, expected), 1, "{actual}");
        }
    }

    #[test]
    fn marked_requests_have_their_answers() {
        let transcript = ">> a\n< 1\n< >> 2\n> b\n< 3\n>> c\n! 4\n";
        assert_eq!(marked(transcript), ">> a\n< 1\n< >> 2\n>> c\n! 4\n");
    }

    #[test]
    fn the_transcripts_of_several_clients_are_told_apart() {
        let found: Vec<_> = sections("# one\n> a\n< # b\n# two\n> a\n").collect();
        assert_eq!(found, [("one", "> a\n< # b"), ("two", "> a\n")]);
        assert_eq!(sections("").count(), 0);
    }
}
