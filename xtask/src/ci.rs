//! `cargo xtask ci`: every check that is required before a merge, in order.

use std::time::{Duration, Instant};

use clap::Args;

use crate::error::TaskError;
use crate::{
    boundaries, deny, deploy, features, inspector, libtorch, mcp, observability, outside, package,
    python, quality, rig, shell, test, tidy,
};

struct Step {
    name: &'static str,
    action: Action,
}

enum Action {
    /// Cargo with these arguments and environment variable.
    Cargo(
        &'static [&'static str],
        Option<(&'static str, &'static str)>,
    ),
    /// A task of this program.
    Task(fn() -> Result<(), TaskError>),
}

/// Quick checks first.
const STEPS: &[Step] = &[
    Step {
        name: "format",
        action: Action::Cargo(&["fmt", "--all", "--check"], None),
    },
    Step {
        name: "tidy",
        action: Action::Task(tidy::run),
    },
    Step {
        name: "boundaries",
        action: Action::Task(boundaries::run),
    },
    Step {
        name: "deny",
        action: Action::Task(deny::run),
    },
    Step {
        name: "clippy",
        action: Action::Cargo(
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--features",
                shell::FEATURES,
                "--",
                "-D",
                "warnings",
            ],
            None,
        ),
    },
    Step {
        name: "rustdoc",
        action: Action::Cargo(
            &[
                "doc",
                "--workspace",
                "--no-deps",
                "--features",
                shell::FEATURES,
            ],
            Some(("RUSTDOCFLAGS", "-D warnings")),
        ),
    },
    Step {
        name: "package",
        action: Action::Task(package::check),
    },
    Step {
        name: "features",
        action: Action::Task(features::check),
    },
    // The README documents these two commands: run them as it does.
    Step {
        name: "test",
        action: Action::Cargo(&["xtask", "test"], None),
    },
    Step {
        name: "demo",
        action: Action::Cargo(&["xtask", "demo"], None),
    },
    Step {
        name: "inspector",
        action: Action::Task(inspector::check),
    },
    Step {
        name: "deploy",
        action: Action::Task(deploy::check),
    },
    Step {
        name: "quality",
        action: Action::Task(quality::check),
    },
    Step {
        name: "hub",
        action: Action::Task(test::check_hub),
    },
    Step {
        name: "mcp",
        action: Action::Task(mcp::check),
    },
    Step {
        name: "python",
        action: Action::Task(python::check),
    },
    Step {
        name: "outside",
        action: Action::Task(outside::check),
    },
    Step {
        name: "rig",
        action: Action::Task(rig::check),
    },
    Step {
        name: "observability",
        action: Action::Task(observability::check),
    },
    Step {
        name: "libtorch",
        action: Action::Task(libtorch::check),
    },
];

#[derive(Args)]
pub(crate) struct Options {
    /// Run only these steps
    #[arg(value_parser = step_names())]
    steps: Vec<String>,
}

fn step_names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let is_selected = |step: &&Step| {
        let mut steps = options.steps.iter();
        options.steps.is_empty() || steps.any(|name| name == step.name)
    };
    let steps: Vec<&Step> = STEPS.iter().filter(is_selected).collect();
    let mut times = Vec::new();
    let mut outcome = Ok(());
    for (index, step) in steps.iter().enumerate() {
        println!("\n=== {} ({} of {}) ===", step.name, index + 1, steps.len());
        let start = Instant::now();
        outcome = step.run();
        times.push((step.name, start.elapsed()));
        if outcome.is_err() {
            println!("=== {} failed ===", step.name);
            break;
        }
    }
    println!("\n{}", summary(&times));
    outcome
}

impl Step {
    fn run(&self) -> Result<(), TaskError> {
        match self.action {
            Action::Task(task) => task(),
            Action::Cargo(arguments, variable) => {
                let mut cargo = shell::cargo();
                cargo.args(arguments).envs(variable);
                shell::run(&mut cargo)
            }
        }
    }
}

/// One line per step, and the total.
fn summary(times: &[(&str, Duration)]) -> String {
    let total = times.iter().map(|(_, time)| *time).sum();
    let rows = times.iter().copied().chain([("total", total)]);
    let lines: Vec<_> = rows
        .map(|(name, time)| format!("{name:<13} {:>7.1} s", time.as_secs_f64()))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_adds_up() {
        let times = [
            ("tidy", Duration::from_millis(250)),
            ("test", Duration::from_secs(90)),
        ];
        let lines = summary(&times);
        assert_eq!(
            lines,
            "tidy              0.2 s\ntest             90.0 s\ntotal            90.2 s"
        );
    }
}
