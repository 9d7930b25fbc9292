//! A description of the machine and of its state during a run.

use std::fs::read_to_string;
use std::process::Command;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The machine, and its state when this was made. What the system does not tell
/// is empty or 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The model of the CPU.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// The largest cache of a core.
    pub cache: String,
    /// Main memory, in bytes.
    pub memory: u64,
    /// The operating system's kernel.
    pub kernel: String,
    /// The compiler.
    pub rustc: String,
    /// The revision of the source.
    pub commit: String,
    /// When this was made.
    pub time: DateTime<Utc>,
    /// Runnable threads on average over the last minute.
    pub load: f64,
}

impl Machine {
    /// This machine, now.
    #[must_use]
    pub fn describe() -> Self {
        let memory = field("/proc/meminfo", "MemTotal");
        let kibibytes = memory.split_whitespace().next().unwrap_or_default();
        let load = read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split_whitespace().next().unwrap_or_default();
        let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let commit = output("git", &["rev-parse", "--short", "HEAD"]);
        let is_dirty = !output("git", &["status", "--porcelain"]).is_empty();
        Self {
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cache: field("/proc/cpuinfo", "cache size"),
            memory: kibibytes.parse::<u64>().unwrap_or(0) * 1024,
            kernel: format!("{} {}", std::env::consts::OS, kernel.trim()),
            rustc: output("rustc", &["--version"]),
            commit: commit + if is_dirty { ", with changes" } else { "" },
            time: Utc::now(),
            load: load.parse().unwrap_or(0.0),
        }
    }
}

/// The value of the first `name: value` in a file.
fn field(path: &str, name: &str) -> String {
    let text = read_to_string(path).unwrap_or_default();
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let field = fields.find(|(key, _)| key.trim() == name);
    field.map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

/// What a command prints, in the folder of this crate; empty if it fails.
fn output(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    match command.output() {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_survives_a_file() {
        let machine = Machine::describe();
        assert!(machine.cores > 0);
        let text = serde_json::to_string(&machine).unwrap();
        assert_eq!(serde_json::from_str::<Machine>(&text).unwrap(), machine);
    }
}
