//! `cargo xtask boundaries`: dependencies point the way that ARCHITECTURE.md
//! draws, and a default build holds nothing heavy. `cargo tree` is the witness.

mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::error::TaskError;
use crate::shell;
use table::{BOUNDARIES, Boundary};

pub(crate) fn run() -> Result<(), TaskError> {
    let house = house(&shell::root())?;
    let mut breaches = undeclared(&house);
    for boundary in BOUNDARIES {
        let mut tree = shell::cargo();
        tree.args(["tree", "--package", boundary.package])
            .args(["--edges", "normal", "--prefix", "none"]);
        let packages = packages(&shell::read(&mut tree)?);
        breaches.extend(broken(boundary, &packages, &house));
    }
    for breach in &breaches {
        println!("{breach}");
    }
    match breaches.len() {
        0 => {
            println!("boundaries: {} crates keep to theirs", BOUNDARIES.len());
            Ok(())
        }
        count => Err(TaskError::Findings {
            count,
            what: "breached boundaries",
        }),
    }
}

/// The crates of the house: the folder's name is the crate's name.
fn house(root: &Path) -> Result<BTreeSet<String>, TaskError> {
    let path = root.join("crates");
    let failed = |source| TaskError::Read {
        path: path.clone(),
        source,
    };
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(&path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().join("Cargo.toml").is_file() {
            names.insert(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// The names of the packages that `cargo tree --prefix none` lists.
fn packages(tree: &str) -> BTreeSet<String> {
    let names = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// A crate without a row could depend on anything.
fn undeclared(house: &BTreeSet<String>) -> Vec<String> {
    let declared = |name: &String| BOUNDARIES.iter().any(|row| row.package == name);
    let missing = house.iter().filter(|name| !declared(name));
    missing
        .map(|name| format!("{name} has no row in xtask/src/boundaries/table.rs"))
        .collect()
}

/// What of `packages` this boundary does not allow.
fn broken(
    boundary: &Boundary,
    packages: &BTreeSet<String>,
    house: &BTreeSet<String>,
) -> Vec<String> {
    let package = boundary.package;
    let mut breaches = Vec::new();
    if let Some(allowed) = boundary.house {
        let others = packages.intersection(house).filter(|name| *name != package);
        let strangers = others.filter(|name| !allowed.contains(&name.as_str()));
        breaches.extend(strangers.map(|name| format!("{package} must not depend on {name}")));
    }
    for group in boundary.never {
        let held = group
            .packages
            .iter()
            .filter(|name| packages.contains(**name));
        breaches.extend(held.map(|name| format!("{package} must hold no {}: {name}", group.what)));
    }
    breaches
}

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
        house: Some(&["memory-core"]),
        never: &[],
    };

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn small_house() -> BTreeSet<String> {
        names(&["memory-core", "memory-engine", "memory-sqlite"])
    }

    #[test]
    fn the_names_of_a_tree_are_read() {
        let expected = [
            "async-trait",
            "memory-core",
            "memory-engine",
            "sqlx-postgres",
        ];
        assert_eq!(packages(SAMPLE), names(&expected));
    }

    #[test]
    fn allowed_crates_of_the_house_pass() {
        let breaches = broken(&ENGINE, &packages(SAMPLE), &small_house());
        assert_eq!(breaches, [""; 0]);
    }

    #[test]
    fn other_crates_of_the_house_are_breaches() {
        let alone = Boundary {
            house: Some(&[]),
            ..ENGINE
        };
        let breaches = broken(&alone, &packages(SAMPLE), &small_house());
        assert_eq!(breaches, ["memory-engine must not depend on memory-core"]);
    }

    #[test]
    fn forbidden_packages_are_breaches() {
        let light = Boundary {
            never: &[table::POSTGRES],
            ..ENGINE
        };
        let breaches = broken(&light, &packages(SAMPLE), &small_house());
        assert_eq!(
            breaches,
            ["memory-engine must hold no PostgreSQL: sqlx-postgres"]
        );
    }

    #[test]
    fn a_new_crate_needs_a_row() {
        let mut house = small_house();
        assert_eq!(undeclared(&house), [""; 0]);
        house.insert("memory-new".to_owned());
        assert_eq!(undeclared(&house).len(), 1);
    }
}
