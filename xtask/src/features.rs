//! The CI step `features`: checks each crate without features and with each
//! feature alone.

use std::fs;
use std::path::Path;

use crate::error::TaskError;
use crate::shell;
use crate::tidy::declared_features;

/// Features that another step checks with libtorch.
const SKIPPED: &[&str] = &["libtorch"];

pub(crate) fn check() -> Result<(), TaskError> {
    for name in shell::crate_names()? {
        let path = shell::root().join("crates").join(&name).join("Cargo.toml");
        for feature in feature_sets(&path)? {
            println!("{name} with features [{feature}]");
            let mut clippy = shell::cargo();
            clippy
                .args(["clippy", "--quiet", "--package", &name])
                .args(["--no-default-features", "--features", &feature])
                .args(["--", "-D", "warnings"]);
            shell::run(&mut clippy)?;
        }
    }
    Ok(())
}

/// The empty set and each feature; nothing for a crate without features, which
/// other steps check.
fn feature_sets(manifest: &Path) -> Result<Vec<String>, TaskError> {
    let text = fs::read_to_string(manifest).map_err(|source| TaskError::Read {
        path: manifest.to_owned(),
        source,
    })?;
    let mut sets = declared_features(&text);
    sets.retain(|feature| !SKIPPED.contains(&feature.as_str()));
    if !sets.is_empty() {
        sets.insert(0, String::new());
    }
    Ok(sets)
}
