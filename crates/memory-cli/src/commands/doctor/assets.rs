//! Checks of runtime and model, and a trial embedding.

use std::sync::Arc;
use std::time::Instant;

use memory::MemoryResult;
use memory::embed::{EmbedRole, Embedder};
use memory::onnx::{OnnxEmbedder, OnnxOptions};
use memory_assets::{
    AssetState, AssetStatus, CACHE_ENV, DEFAULT_MODEL, SETUP_COMMAND, cache_dir, manifest,
    model_dir, runtime_dir, verify,
};

use super::Finding;
use crate::database::Database;
use crate::exit::{Code, Failure};

/// The text of the trial embedding.
const PROBE: &str = "The mill stands north of the bridge.";

/// Verifies the files by their hashes, unless the model is not one of setup's, and
/// embeds a text. Returns the model as well, where it can be used.
pub(super) async fn check(database: &Database) -> (Vec<Finding>, Option<Arc<OnnxEmbedder>>) {
    let cache = match cache_dir() {
        Ok(cache) => cache,
        Err(error) => {
            let failure = Failure::from(error);
            let fix = format!("set {CACHE_ENV} to a folder");
            return (vec![Finding::failed("cache", &failure).with_fix(fix)], None);
        }
    };
    let trial = run_trial(database.embedder_options()).await;
    let model = database.settings().model().unwrap_or(DEFAULT_MODEL);
    let fixes = Fixes::of(model);
    let statuses = verify(&cache, manifest::find_model(model));
    let mut findings: Vec<Finding> = [
        ("runtime", runtime_dir(&cache), &fixes.runtime),
        ("model", model_dir(&cache, model), &fixes.model),
    ]
    .into_iter()
    .filter_map(|(part, folder, fix)| {
        let status = statuses.iter().find(|status| status.path == folder)?;
        Some(check_asset(
            part,
            status,
            trial.as_ref().ok().map(|(trial, _)| trial),
            fix,
        ))
    })
    .collect();
    match trial {
        Ok((trial, embedder)) => {
            findings.push(Finding::healthy("embedding", trial.description));
            (findings, Some(embedder))
        }
        Err(failure) => {
            // Without a runtime it is not known whether the model works.
            let has_runtime = findings.iter().all(|it| it.part != "runtime" || it.healthy);
            let fix = match has_runtime {
                true => fixes.model,
                false => fixes.runtime,
            };
            findings.push(Finding::failed("embedding", &failure).with_fix(fix));
            (findings, None)
        }
    }
}

/// What to do about a part that is missing, damaged or does not work.
struct Fixes {
    runtime: String,
    model: String,
}

impl Fixes {
    /// Those of a model, by name or path. Setup has the default model and a few others.
    fn of(model: &str) -> Self {
        let setup = match model {
            DEFAULT_MODEL => SETUP_COMMAND.to_owned(),
            _ => format!("memory setup --model {model}"),
        };
        if manifest::find_model(model).is_some() {
            return Self {
                runtime: setup.clone(),
                model: setup,
            };
        }
        let names = manifest::models().map(|asset| asset.model_name());
        let names: Vec<&str> = names.into_iter().flatten().collect();
        Self {
            runtime: SETUP_COMMAND.to_owned(),
            model: format!(
                "name a model of memory setup ({}), or the path of a model directory",
                names.join(", ")
            ),
        }
    }
}

/// A successful trial embedding.
struct Trial {
    /// The path of the runtime library.
    library: String,
    description: String,
}

async fn run_trial(options: OnnxOptions) -> Result<(Trial, Arc<OnnxEmbedder>), Failure> {
    let start = Instant::now();
    let embedder = OnnxEmbedder::open(options).await?;
    let opened = start.elapsed();
    embed(&embedder).await?;
    let embedded = start.elapsed().saturating_sub(opened);
    let (profile, library) = (embedder.profile(), &embedder.runtime().library);
    let trial = Trial {
        description: format!(
            "{}, {} dimensions, opened in {} ms, a text in {} ms",
            profile.model,
            profile.dimensions,
            opened.as_millis(),
            embedded.as_millis()
        ),
        library: library.display().to_string(),
    };
    Ok((trial, Arc::new(embedder)))
}

async fn embed(embedder: &OnnxEmbedder) -> MemoryResult<()> {
    embedder.embed(&[PROBE], EmbedRole::Query).await.map(drop)
}

fn check_asset(
    part: &'static str,
    status: &AssetStatus,
    trial: Option<&Trial>,
    fix: &str,
) -> Finding {
    // The part is printed before the name: not "model model all-MiniLM-L6-v2".
    let name = status
        .name
        .strip_prefix(part)
        .map_or(status.name, str::trim_start);
    let path = status.path.display();
    let is_runtime = part == "runtime";
    match (&status.state, trial) {
        (AssetState::Present, _) => Finding::healthy(part, format!("{name} in {path}")),
        // A runtime can be found in several places; any that works is fine.
        (_, Some(trial)) if is_runtime => {
            Finding::healthy(part, format!("{} (not the pinned {name})", trial.library))
        }
        (AssetState::Missing, _) => {
            Finding::wrong(part, Code::Missing, format!("{name} is missing in {path}"))
                .with_fix(fix)
        }
        (AssetState::Damaged { why }, _) => Finding::wrong(
            part,
            Code::Unusable,
            format!("{name} in {path} is damaged: {why}"),
        )
        .with_fix(fix),
        (_, _) => Finding::wrong(
            part,
            Code::Missing,
            format!("there is no {name} for this platform"),
        )
        .with_fix("set ORT_DYLIB_PATH to an ONNX Runtime library of your own"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: AssetState) -> AssetStatus {
        AssetStatus {
            name: "ONNX Runtime",
            path: "cache/onnxruntime".into(),
            state,
        }
    }

    #[test]
    fn a_fix_names_setup_only_for_what_setup_has() {
        let fixes = |model| {
            let Fixes { runtime, model } = Fixes::of(model);
            (runtime, model)
        };
        let setup = SETUP_COMMAND.to_owned();
        assert_eq!(fixes(DEFAULT_MODEL), (setup.clone(), setup.clone()));
        let other = "memory setup --model multilingual-e5-small".to_owned();
        assert_eq!(fixes("multilingual-e5-small"), (other.clone(), other));
        for own in ["./mine", "/models/mine", "mine"] {
            let (runtime, model) = fixes(own);
            assert_eq!(runtime, setup, "{own}");
            assert!(model.contains("model directory"), "{own}: {model}");
            assert!(!model.contains("--model"), "{own}: {model}");
        }
    }

    #[test]
    fn problems_have_an_exit_code_and_a_fix() {
        let damaged = AssetState::Damaged {
            why: "x has 1 byte".to_owned(),
        };
        for (state, code) in [
            (AssetState::Missing, 6),
            (damaged, 8),
            (AssetState::Unsupported, 6),
        ] {
            let finding = check_asset("runtime", &status(state), None, SETUP_COMMAND);
            assert!(!finding.healthy && finding.fix.is_some(), "{finding:?}");
            assert_eq!(finding.code, code);
        }
        assert!(check_asset("model", &status(AssetState::Present), None, SETUP_COMMAND).healthy);
    }

    #[test]
    fn working_runtime_is_accepted_from_any_path() {
        let trial = Trial {
            library: "other/libonnxruntime.so".to_owned(),
            description: String::new(),
        };
        let finding = check_asset(
            "runtime",
            &status(AssetState::Missing),
            Some(&trial),
            SETUP_COMMAND,
        );
        assert!(
            finding.healthy && finding.detail.contains("other"),
            "{finding:?}"
        );
        let model = check_asset(
            "model",
            &status(AssetState::Missing),
            Some(&trial),
            SETUP_COMMAND,
        );
        assert!(!model.healthy, "a model has one path");
    }
}
