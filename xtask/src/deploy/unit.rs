//! The systemd unit: its command line is one that the command knows, systemd verifies
//! it, and its sandbox is tight.

use std::fs;
use std::process::Command;

use super::{Context, write_failed};
use crate::error::TaskError;
use crate::shell;

/// The program that the unit starts.
const PROGRAM: &str = "/usr/local/bin/memory";

/// The most exposure that `systemd-analyze security` may find, in tenths of its points
/// from 0 to 10: 2.0 is "OK". The server needs the network, and /proc/cpuinfo.
const MAX_EXPOSURE: &str = "--threshold=20";

pub(super) fn check(text: &str, context: &Context) -> Result<(), TaskError> {
    context.check_arguments(&arguments(text))?;
    // The program is not installed there: systemd would miss it.
    let text = text.replace(PROGRAM, &context.memory.display().to_string());
    let path = context.state.join("memory.service");
    fs::write(&path, text).map_err(write_failed(&path))?;
    let mut verify = Command::new("systemd-analyze");
    shell::run(verify.args(["verify", "--man=no"]).arg(&path))?;
    let mut security = Command::new("systemd-analyze");
    security
        .args(["security", "--offline=true", "--no-pager", MAX_EXPOSURE])
        .arg(&path);
    // Its table is long; the last line has the result.
    let table = shell::read_stdout(&mut security)?;
    println!("{}", table.trim_end().lines().last().unwrap_or_default());
    Ok(())
}

/// The arguments of the unit's program.
fn arguments(text: &str) -> Vec<String> {
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix("ExecStart=")?.strip_prefix(PROGRAM));
    let words = line.unwrap_or_default().split_whitespace();
    words.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_those_of_the_program() {
        let text = "[Service]\nType=exec\nExecStart=/usr/local/bin/memory serve --listen a:1\n";
        assert_eq!(arguments(text), ["serve", "--listen", "a:1"]);
    }
}
