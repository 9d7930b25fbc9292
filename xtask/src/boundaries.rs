//! `cargo xtask boundaries`: checks with `cargo tree` that dependencies point in
//! the direction that ARCHITECTURE.md shows, and that default builds contain no
//! heavy dependencies. A new crate needs a row in [`BOUNDARIES`].

use std::collections::BTreeSet;

use crate::error::TaskError;
use crate::shell;

pub(crate) fn run() -> Result<(), TaskError> {
    let workspace: BTreeSet<String> = shell::crate_names()?.into_iter().collect();
    let mut violations = missing_rows(&workspace);
    for boundary in BOUNDARIES {
        let mut tree = shell::cargo();
        // One of them is a workspace of its own.
        tree.current_dir(shell::root().join("crates").join(boundary.package))
            .args(["tree", "--package", boundary.package])
            .args(["--edges", "normal", "--prefix", "none"]);
        let packages = packages(&shell::read_stdout(&mut tree)?);
        violations.extend(find_violations(boundary, &packages, &workspace));
    }
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => {
            println!("boundaries: {} crates checked", BOUNDARIES.len());
            Ok(())
        }
        count => Err(TaskError::Findings {
            count,
            what: "dependency violations",
        }),
    }
}

/// The names of the packages that `cargo tree --prefix none` lists.
fn packages(tree: &str) -> BTreeSet<String> {
    let names = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// Crates without a row, whose dependencies would not be checked.
fn missing_rows(workspace: &BTreeSet<String>) -> Vec<String> {
    let declared = |name: &String| BOUNDARIES.iter().any(|row| row.package == name);
    let missing = workspace.iter().filter(|name| !declared(name));
    missing
        .map(|name| format!("{name} has no row in xtask/src/boundaries.rs"))
        .collect()
}

/// The packages that this boundary does not allow.
fn find_violations(
    boundary: &Boundary,
    packages: &BTreeSet<String>,
    workspace: &BTreeSet<String>,
) -> Vec<String> {
    let package = boundary.package;
    let mut violations = Vec::new();
    if let Some(allowed) = boundary.workspace {
        let others = packages
            .intersection(workspace)
            .filter(|name| *name != package);
        let forbidden = others.filter(|name| !allowed.contains(&name.as_str()));
        violations.extend(forbidden.map(|name| format!("{package} must not depend on {name}")));
    }
    for group in boundary.never {
        let present = group
            .packages
            .iter()
            .filter(|name| packages.contains(**name));
        violations.extend(
            present.map(|name| format!("{package} must not contain {}: {name}", group.what)),
        );
    }
    violations
}

/// What one crate may depend on, directly or not, with its default features.
struct Boundary {
    package: &'static str,
    /// The allowed crates of the workspace; `None` for any.
    workspace: Option<&'static [&'static str]>,
    /// Forbidden packages.
    never: &'static [Group],
}

/// Packages for one purpose.
struct Group {
    what: &'static str,
    packages: &'static [&'static str],
}

const BOUNDARIES: &[Boundary] = &[
    Boundary {
        package: "memory-core",
        workspace: Some(&[]),
        never: &[RUNTIMES, BACKENDS],
    },
    Boundary {
        package: "memory-metrics",
        workspace: Some(&["memory-core"]),
        never: &[RUNTIMES, BACKENDS, TLS],
    },
    Boundary {
        package: "memory-assets",
        workspace: Some(&[]),
        never: &[RUNTIMES, BACKENDS, TLS],
    },
    Boundary {
        package: "memory-text",
        workspace: Some(&["memory-core"]),
        never: &[RUNTIMES, BACKENDS, TLS],
    },
    Boundary {
        package: "memory-testkit",
        workspace: Some(&["memory-core"]),
        never: &[BACKENDS],
    },
    Boundary {
        package: "memory-engine",
        workspace: Some(&["memory-core", "memory-metrics", "memory-text"]),
        never: &[BACKENDS],
    },
    Boundary {
        package: "memory-sqlite",
        workspace: Some(&["memory-core", "memory-metrics", "memory-text"]),
        never: &[POSTGRES, TLS],
    },
    Boundary {
        package: "memory-pg",
        workspace: Some(&["memory-core", "memory-metrics", "memory-text"]),
        never: &[TLS],
    },
    Boundary {
        package: "memory-moka",
        workspace: Some(&["memory-core"]),
        never: &[RUNTIMES],
    },
    Boundary {
        package: "memory-quick",
        workspace: Some(&["memory-core"]),
        never: &[RUNTIMES],
    },
    Boundary {
        package: "memory-bert",
        workspace: Some(&[
            "memory-core",
            "memory-assets",
            "memory-sentence-transformers",
        ]),
        never: &[BACKENDS, TLS],
    },
    Boundary {
        package: "memory-sentence-transformers",
        workspace: Some(&["memory-core", "memory-assets"]),
        never: &[RUNTIMES, BACKENDS, LIBTORCH, TLS, UNPACKING],
    },
    Boundary {
        package: "memory-onnx",
        workspace: Some(&[
            "memory-core",
            "memory-assets",
            "memory-metrics",
            "memory-sentence-transformers",
        ]),
        never: &[LIBTORCH, TLS, UNPACKING],
    },
    Boundary {
        package: "memory-openai",
        workspace: Some(&["memory-core"]),
        never: &[BACKENDS, SECOND_TLS],
    },
    Boundary {
        package: "memory-valkey",
        workspace: Some(&["memory-core"]),
        never: &[BACKENDS, TLS],
    },
    Boundary {
        package: "memory",
        workspace: None,
        never: &[POSTGRES, VALKEY, LIBTORCH, TLS],
    },
    Boundary {
        package: "memory-json",
        workspace: None,
        never: &[POSTGRES, LIBTORCH, TLS],
    },
    Boundary {
        package: "memory-import",
        workspace: None,
        never: &[POSTGRES, VALKEY, LIBTORCH, TLS],
    },
    Boundary {
        package: "memory-server",
        workspace: None,
        never: &[POSTGRES, LIBTORCH, TLS],
    },
    Boundary {
        package: "memory-python",
        workspace: Some(FACADE),
        never: &[POSTGRES, VALKEY, LIBTORCH, TLS],
    },
    Boundary {
        package: "memory-cli",
        workspace: None,
        never: &[POSTGRES, VALKEY, LIBTORCH, TLS],
    },
    Boundary {
        package: "memory-rig",
        workspace: Some(&[
            "memory",
            "memory-core",
            "memory-engine",
            "memory-metrics",
            "memory-moka",
            "memory-text",
        ]),
        never: &[POSTGRES, VALKEY, LIBTORCH, TLS, HTTP_CLIENT],
    },
];

/// The facade and what its default features bring.
const FACADE: &[&str] = &[
    "memory",
    "memory-assets",
    "memory-core",
    "memory-engine",
    "memory-metrics",
    "memory-moka",
    "memory-onnx",
    "memory-sentence-transformers",
    "memory-sqlite",
    "memory-text",
];

const POSTGRES: Group = Group {
    what: "PostgreSQL",
    packages: &["sqlx-postgres", "tokio-postgres", "pgvector"],
};

const VALKEY: Group = Group {
    what: "Valkey",
    packages: &["redis"],
};

const LIBTORCH: Group = Group {
    what: "libtorch",
    packages: &["tch", "torch-sys", "rust-bert"],
};

const TLS: Group = Group {
    what: "TLS stack",
    packages: &[
        "native-tls",
        "openssl",
        "openssl-sys",
        "rustls",
        "aws-lc-rs",
        "ring",
    ],
};

// HTTPS uses rustls on ring, like `memory-pg`, and no second stack.
const SECOND_TLS: Group = Group {
    what: "second TLS stack",
    packages: &["native-tls", "openssl", "openssl-sys", "aws-lc-rs"],
};

// The user of the framework chooses its client.
const HTTP_CLIENT: Group = Group {
    what: "HTTP client",
    packages: &["reqwest", "rig-reqwest"],
};

const RUNTIMES: Group = Group {
    what: "async runtime",
    packages: &["tokio", "async-std", "smol"],
};

const BACKENDS: Group = Group {
    what: "backend",
    packages: &["sqlx", "sqlx-core", "moka", "quick_cache", "ort"],
};

// Embedders only look up the paths of assets; tools fetch them.
const UNPACKING: Group = Group {
    what: "archive extraction",
    packages: &["zip"],
};

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "\
memory-engine v0.1.0 (somewhere/crates/memory-engine)
async-trait v0.1.92 (proc-macro)
memory-core v0.1.0 (somewhere/crates/memory-core)
sqlx-postgres v0.9.0
memory-core v0.1.0 (somewhere/crates/memory-core) (*)
";

    const ENGINE: Boundary = Boundary {
        package: "memory-engine",
        workspace: Some(&["memory-core"]),
        never: &[],
    };

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn small_workspace() -> BTreeSet<String> {
        names(&["memory-core", "memory-engine", "memory-sqlite"])
    }

    #[test]
    fn package_names_are_parsed_from_a_tree() {
        let expected = [
            "async-trait",
            "memory-core",
            "memory-engine",
            "sqlx-postgres",
        ];
        assert_eq!(packages(SAMPLE), names(&expected));
    }

    #[test]
    fn allowed_workspace_crates_pass() {
        let violations = find_violations(&ENGINE, &packages(SAMPLE), &small_workspace());
        assert_eq!(violations, [""; 0]);
    }

    #[test]
    fn other_workspace_crates_are_violations() {
        let no_dependencies = Boundary {
            workspace: Some(&[]),
            ..ENGINE
        };
        let violations = find_violations(&no_dependencies, &packages(SAMPLE), &small_workspace());
        assert_eq!(violations, ["memory-engine must not depend on memory-core"]);
    }

    #[test]
    fn forbidden_packages_are_violations() {
        let without_postgres = Boundary {
            never: &[POSTGRES],
            ..ENGINE
        };
        let violations = find_violations(&without_postgres, &packages(SAMPLE), &small_workspace());
        assert_eq!(
            violations,
            ["memory-engine must not contain PostgreSQL: sqlx-postgres"]
        );
    }

    #[test]
    fn a_new_crate_needs_a_row() {
        let mut workspace = small_workspace();
        assert_eq!(missing_rows(&workspace), [""; 0]);
        workspace.insert("memory-new".to_owned());
        assert_eq!(missing_rows(&workspace).len(), 1);
    }
}
