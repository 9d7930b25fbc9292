//! Listings on a terminal: a pseudo-terminal of a given width, made with Python.

#![cfg(unix)]

use std::process::Command;

use crate::test_dir::{Run, TestDir};

/// Runs a command on a terminal of as many columns as the first argument says, and copies
/// what it writes there. Its standard error is that of this program.
const ON_TERMINAL: &str = "
import fcntl, os, pty, struct, sys, termios
errors = os.dup(2)
child, terminal = pty.fork()
if child == 0:
    os.dup2(errors, 2)
    size = struct.pack('HHHH', 24, int(sys.argv[1]), 0, 0)
    fcntl.ioctl(1, termios.TIOCSWINSZ, size)
    os.execv(sys.argv[2], sys.argv[2:])
while True:
    try:
        written = os.read(terminal, 65536)
    except OSError:
        break
    if not written:
        break
    os.write(1, written)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
";

/// What the command writes on a terminal, where lines end with a carriage return.
fn on_terminal(dir: &TestDir, columns: usize, args: &[&str]) -> Vec<String> {
    let on_pipes = dir.command(args);
    let mut command = Command::new("python3");
    command
        .args(["-c", ON_TERMINAL, &columns.to_string()])
        .arg(on_pipes.get_program())
        .args(on_pipes.get_args());
    if let Some(folder) = on_pipes.get_current_dir() {
        command.current_dir(folder);
    }
    for (variable, value) in on_pipes.get_envs() {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    let run = Run::of(command.output().expect("python3 runs")).code(0);
    run.out
        .lines()
        .map(|line| line.trim_end_matches('\r').to_owned())
        .collect()
}

#[test]
fn listings_show_content_whatever_the_width_of_the_terminal() {
    let dir = TestDir::new();
    let id = "0192d3a0-0000-7000-8000-000000000001";
    let line = format!(
        r#"{{"id":"{id}","entity":"mira","content":"Tam sold \u001b[31mme\ta lame horse 水车 at the market of Lindau.","tags":["market"],"timestamp":"2026-03-01T09:30:00Z"}}"#
    );
    dir.run_on(&["import", "-"], line + "\n").code(0);
    let recall = ["recall", "mira", "lame horse", "--explain"];
    for columns in [20, 40, 80, 120, 200] {
        for args in [&["list", "mira"][..], &recall] {
            let lines = on_terminal(&dir, columns, args);
            let shown = lines.join("\n");
            assert!(shown.contains(id), "the id is whole: {shown}");
            assert!(shown.contains("Tam sold \\u{1b"), "{columns}: {shown}");
            assert!(!shown.contains('\u{1b}'), "{columns}: {shown}");
            for line in &lines {
                // Each of the two Chinese characters has two columns.
                let wide = line.matches(['水', '车']).count();
                let width = line.chars().count() + wide;
                assert!(width <= columns || line == id, "{columns}: {line}");
            }
            if columns >= 80 {
                assert!(shown.contains("a lame horse"), "{columns}: {shown}");
            }
        }
    }
    // A terminal that does not say how wide it is gets what a file gets.
    for args in [&["list", "mira"][..], &recall] {
        let in_file = dir.run(args).code(0).out;
        let in_file: Vec<&str> = in_file.lines().collect();
        let shown = on_terminal(&dir, 0, args);
        assert_eq!(shown.len(), in_file.len());
        assert_eq!(shown[0], in_file[0]);
    }
}
