//! Runtime, model, and whether the two together embed a text.

use std::time::Instant;

use memory::{EmbedRole, Embedder, MemoryResult, OnnxEmbedder, OnnxOptions};
use memory_assets::{
    AssetState, AssetStatus, CACHE_ENV, DEFAULT_MODEL, SETUP_COMMAND, cache_dir, model_dir,
    runtime_dir, verify,
};

use super::Finding;
use crate::exit::{Code, Failure};

/// The text that is embedded to see whether it can be.
const PROBE: &str = "The mill stands north of the bridge.";

/// Looks at the files by their hashes, and tries them.
pub(super) async fn look() -> Vec<Finding> {
    let cache = match cache_dir() {
        Ok(cache) => cache,
        Err(error) => {
            let failure = Failure::from(error);
            let mend = format!("set {CACHE_ENV} to a folder");
            return vec![Finding::failed("cache", &failure).mend(mend)];
        }
    };
    let trial = trial().await;
    let statuses = verify(&cache);
    let mut findings: Vec<Finding> = [
        ("runtime", runtime_dir(&cache)),
        ("model", model_dir(&cache, DEFAULT_MODEL)),
    ]
    .into_iter()
    .filter_map(|(part, folder)| {
        let status = statuses.iter().find(|status| status.path == folder)?;
        Some(asset(part, status, trial.as_ref().ok()))
    })
    .collect();
    findings.push(match trial {
        Ok(trial) => Finding::well("embedding", trial.told),
        Err(failure) => Finding::failed("embedding", &failure).mend(SETUP_COMMAND),
    });
    findings
}

/// An embedder that worked.
struct Trial {
    /// The runtime library that it works with.
    library: String,
    told: String,
}

async fn trial() -> Result<Trial, Failure> {
    let start = Instant::now();
    let embedder = OnnxEmbedder::open(OnnxOptions::default()).await?;
    let opened = start.elapsed();
    embed(&embedder).await?;
    let embedded = start.elapsed().saturating_sub(opened);
    let (profile, library) = (embedder.profile(), &embedder.runtime().library);
    Ok(Trial {
        told: format!(
            "{}, {} dimensions, opened in {} ms, a text in {} ms",
            profile.model,
            profile.dimensions,
            opened.as_millis(),
            embedded.as_millis()
        ),
        library: library.display().to_string(),
    })
}

async fn embed(embedder: &OnnxEmbedder) -> MemoryResult<()> {
    embedder.embed(&[PROBE], EmbedRole::Query).await.map(drop)
}

fn asset(part: &'static str, status: &AssetStatus, trial: Option<&Trial>) -> Finding {
    // "model all-MiniLM-L6-v2" is a row of the part "model" already.
    let name = status
        .name
        .strip_prefix(part)
        .map_or(status.name, str::trim_start);
    let place = status.path.display();
    let is_runtime = part == "runtime";
    match (&status.state, trial) {
        (AssetState::Present, _) => Finding::well(part, format!("{name} in {place}")),
        // A runtime may lie in many places; one that works will do.
        (_, Some(trial)) if is_runtime => {
            Finding::well(part, format!("{} (not the pinned {name})", trial.library))
        }
        (AssetState::Missing, _) => {
            Finding::wrong(part, Code::Missing, format!("{name} is not in {place}"))
                .mend(SETUP_COMMAND)
        }
        (AssetState::Damaged { why }, _) => Finding::wrong(
            part,
            Code::Unusable,
            format!("{name} in {place} is damaged: {why}"),
        )
        .mend(SETUP_COMMAND),
        (_, _) => Finding::wrong(
            part,
            Code::Missing,
            format!("no {name} is pinned for this platform"),
        )
        .mend("set ORT_DYLIB_PATH to an ONNX Runtime library of your own"),
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
    fn what_is_wrong_has_a_code_and_what_mends_it() {
        let damaged = AssetState::Damaged {
            why: "x has 1 byte".to_owned(),
        };
        for (state, code) in [
            (AssetState::Missing, 6),
            (damaged, 8),
            (AssetState::Unsupported, 6),
        ] {
            let finding = asset("runtime", &status(state), None);
            assert!(!finding.well && finding.mend.is_some(), "{finding:?}");
            assert_eq!(finding.code, code);
        }
        assert!(asset("model", &status(AssetState::Present), None).well);
    }

    #[test]
    fn a_runtime_that_works_will_do_wherever_it_lies() {
        let trial = Trial {
            library: "elsewhere/libonnxruntime.so".to_owned(),
            told: String::new(),
        };
        let finding = asset("runtime", &status(AssetState::Missing), Some(&trial));
        assert!(
            finding.well && finding.detail.contains("elsewhere"),
            "{finding:?}"
        );
        let model = asset("model", &status(AssetState::Missing), Some(&trial));
        assert!(!model.well, "a model has one place");
    }
}
