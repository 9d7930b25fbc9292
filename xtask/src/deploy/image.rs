//! The Dockerfile: each of its RUN steps but that which compiles is run here, adapted
//! where it would need root; then the image's command is started and its health check
//! is run against it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use memory_assets::CACHE_ENV;

use super::{Context, read};
use crate::error::TaskError;
use crate::shell;
use crate::tidy::declared_features;

/// The limit for a step.
const LIMIT: Duration = Duration::from_secs(600);

/// The step that builds the command, up to its features.
const BUILD: &str = "cargo build --locked --release --package memory-cli --features ";

/// The folder of the image that the server writes to.
const STATE: &str = "/var/lib/memory";

struct Instruction {
    keyword: String,
    argument: String,
}

/// Runs the steps and returns what is wrong besides.
pub(super) fn check(text: &str, context: &Context) -> Result<Vec<String>, TaskError> {
    let instructions = parse(text);
    let mut findings = Vec::new();
    let manifest = read(&shell::root().join("crates/memory-cli/Cargo.toml"))?;
    let features = declared_features(&manifest);
    for step in instructions.iter().filter(|it| it.keyword == "RUN") {
        if let Some(asked) = step.argument.strip_prefix(BUILD) {
            let unknown = asked
                .split(',')
                .filter(|it| !features.iter().any(|f| f == it));
            findings.extend(unknown.map(|it| format!("memory-cli has no feature {it}")));
            continue;
        }
        let adapted = adapt(&step.argument, context);
        println!("{}\n  here: {adapted}", step.argument);
        let mut shell_command = Command::new("sh");
        shell_command
            .args(["-c", &adapted])
            .current_dir(shell::root())
            .env(CACHE_ENV, &context.cache);
        shell::run_with_limit(&mut shell_command, LIMIT)?;
    }
    findings.extend(missing_stages(&instructions));
    let toolchain = read(&shell::root().join("rust-toolchain.toml"))?;
    findings.extend(other_compiler(&instructions, &toolchain));
    let (entry, command, health) = (
        list(&instructions, "ENTRYPOINT"),
        list(&instructions, "CMD"),
        list(&instructions, "HEALTHCHECK"),
    );
    if entry != ["memory"] {
        findings.push("the entry point of the image is not the command memory".to_owned());
    }
    context.check_arguments(&command)?;
    findings.extend(check_health(&command, &health, context)?);
    Ok(findings)
}

/// What git ignores in docs/deploy, which are secrets, and the build of the image does not:
/// they would stay in its cache.
pub(super) fn missing_ignores(gitignore: &str, dockerignore: &str) -> Vec<String> {
    let lines = |text| str::lines(text).map(str::trim);
    let patterns = lines(gitignore).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is_ignored = |pattern: &str| lines(dockerignore).any(|line| line == pattern);
    let patterns = patterns.map(|pattern| format!("docs/deploy/{pattern}"));
    patterns
        .filter(|pattern| !is_ignored(pattern))
        .map(|pattern| format!("the build of the image copies {pattern}, which git ignores"))
        .collect()
}

/// The instructions of a Dockerfile; a line that ends in `\` continues on the next.
fn parse(text: &str) -> Vec<Instruction> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (keyword, argument) = line.split_once(' ')?;
            Some(Instruction {
                keyword: keyword.to_owned(),
                argument: argument.trim().to_owned(),
            })
        })
        .collect()
}

/// A step as it can run here.
fn adapt(step: &str, context: &Context) -> String {
    let memory = context.memory.display().to_string();
    let state = context.state.display().to_string();
    [
        (
            "apt-get update && apt-get install",
            "apt-get --simulate --quiet install",
        ),
        (
            "--owner=10001 --group=10001",
            "--owner=$(id -u) --group=$(id -g)",
        ),
        ("target/release/memory", memory.as_str()),
        (STATE, state.as_str()),
    ]
    .iter()
    .fold(step.to_owned(), |step, (from, to)| step.replace(from, to))
}

/// Stages that COPY names and FROM does not.
fn missing_stages(instructions: &[Instruction]) -> Vec<String> {
    let named = instructions.iter().filter(|it| it.keyword == "FROM");
    let named: Vec<&str> = named
        .filter_map(|it| Some(it.argument.split_once(" AS ")?.1))
        .collect();
    let copied = instructions.iter().filter(|it| it.keyword == "COPY");
    let copied = copied.filter_map(|it| it.argument.strip_prefix("--from=")?.split(' ').next());
    let missing = copied.filter(|stage| !named.contains(stage));
    missing
        .map(|stage| format!("the image has no stage {stage}"))
        .collect()
}

/// A compiler other than the one that the repository asks for: the build would download
/// that one too.
fn other_compiler(instructions: &[Instruction], toolchain: &str) -> Option<String> {
    let mut images = instructions.iter().filter(|it| it.keyword == "FROM");
    let version = images.find_map(|it| it.argument.strip_prefix("rust:")?.split('-').next())?;
    let is_same = toolchain.contains(&format!("channel = \"{version}\""));
    (!is_same).then(|| format!("the image has Rust {version}, not that of rust-toolchain.toml"))
}

/// The JSON array of the last instruction with this keyword.
fn list(instructions: &[Instruction], keyword: &str) -> Vec<String> {
    let mut found = instructions.iter().rev().filter(|it| it.keyword == keyword);
    let array = found
        .next()
        .and_then(|it| Some(&it.argument[it.argument.find('[')?..]));
    array
        .and_then(|array| serde_json::from_str(array).ok())
        .unwrap_or_default()
}

/// Starts the image's command and runs the health check, which succeeds; and again
/// without the server, where it fails.
fn check_health(
    command: &[String],
    health: &[String],
    context: &Context,
) -> Result<Vec<String>, TaskError> {
    let state = context.state.display().to_string();
    let mut make_token = Command::new(&context.memory);
    make_token.arg("token").arg(context.state.join("tokens"));
    shell::read_stdout(&mut make_token)?;
    let arguments = command.iter().map(|word| match word.as_str() {
        "0.0.0.0:7070" => "127.0.0.1:0".to_owned(),
        word => word.replace(STATE, state.as_str()),
    });
    let mut serve = Command::new(&context.memory);
    serve
        .args(arguments)
        .env(CACHE_ENV, &context.cache)
        .env("MEMORY_DB", format!("sqlite://{state}/memory.db"))
        .stdout(Stdio::piped());
    let mut server = serve.spawn().map_err(|source| TaskError::Start {
        command: "memory serve".to_owned(),
        source,
    })?;
    let port = port(&mut server);
    let is_healthy = || {
        let words = health.iter().map(|word| word.replace("7070", &port));
        let mut words = words.collect::<Vec<_>>().into_iter();
        let mut probe = Command::new(words.next().unwrap_or_default());
        shell::run(
            probe
                .args(words)
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )
        .is_ok()
    };
    let was_healthy = is_healthy();
    let mut stop = Command::new("kill");
    let stopped = shell::run(stop.args(["-TERM", &server.id().to_string()]));
    // It may have ended by itself.
    let ended = server.wait().is_ok_and(|status| status.success());
    stopped?;
    let mut findings = Vec::new();
    if !was_healthy {
        findings.push("the health check of the image fails against its server");
    }
    if !ended {
        findings.push("the image's server does not end in order on SIGTERM");
    }
    if is_healthy() {
        findings.push("the health check of the image succeeds without a server");
    }
    Ok(findings.into_iter().map(str::to_owned).collect())
}

/// The port in the line that the server prints when it is ready; empty without one.
fn port(server: &mut Child) -> String {
    let mut line = String::new();
    if let Some(stdout) = server.stdout.take() {
        // An error leaves the line empty.
        let _ = BufReader::new(stdout).read_line(&mut line);
    }
    let port = line.trim().rsplit(':').next();
    port.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_the_build_would_copy_are_found() {
        let gitignore = "# Secrets.\n.env\nmetrics-token\n";
        let found = missing_ignores(gitignore, ".git\ndocs/deploy/.env\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("docs/deploy/metrics-token"), "{found:?}");
        let all = "docs/deploy/.env\ndocs/deploy/metrics-token\n";
        assert!(missing_ignores(gitignore, all).is_empty());
    }

    #[test]
    fn instructions_continue_after_a_backslash() {
        let text = "# A comment.\nFROM a AS build\n\nRUN one \\\n  two\nCMD [\"x\", \"y z\"]\n";
        let parsed = parse(text);
        let arguments: Vec<&str> = parsed.iter().map(|it| it.argument.as_str()).collect();
        assert_eq!(arguments, ["a AS build", "one    two", "[\"x\", \"y z\"]"]);
        assert_eq!(list(&parsed, "CMD"), ["x", "y z"]);
        assert!(list(&parsed, "ENTRYPOINT").is_empty());
    }

    #[test]
    fn stages_must_be_named() {
        let text = "FROM a AS build\nCOPY . .\nCOPY --from=build /x /y\nCOPY --from=other /x /y\n";
        assert_eq!(
            missing_stages(&parse(text)),
            ["the image has no stage other"]
        );
    }

    #[test]
    fn the_compiler_must_be_that_of_the_repository() {
        let instructions = parse("FROM rust:1.2.3-bookworm AS build\nFROM debian\n");
        let same = other_compiler(&instructions, "channel = \"1.2.3\"\n");
        assert_eq!(same, None);
        assert!(other_compiler(&instructions, "channel = \"1.2.4\"\n").is_some());
    }
}
