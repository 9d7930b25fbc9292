//! `memory doctor`: checks runtime, model, database and shared cache, and says how to
//! fix what is wrong. It creates and changes nothing.

use std::sync::Arc;

use memory::onnx::OnnxEmbedder;
use memory::{EntityId, MemorySystem, ReembedRequest, Settings};
use serde::Serialize;

use crate::commands::stats::all_entities;
use crate::database::Database;
use crate::exit::{Code, Failure};
use crate::open_hint::suggest_fix;
use crate::output::{Output, count_noun, format_bytes};
use crate::settings::{self, SettingReport};

mod assets;
mod shared_cache;

/// The name of the part that the database is.
const DATABASE: &str = "database";

/// The result of checking one part.
#[derive(Debug, Serialize)]
struct Finding {
    part: &'static str,
    healthy: bool,
    /// What was found, or what is wrong.
    detail: String,
    /// How to fix it.
    fix: Option<String>,
    /// The share that is done, of work in the background.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<f64>,
    /// The exit code of a command that needs the part.
    #[serde(skip)]
    code: u8,
}

impl Finding {
    fn healthy(part: &'static str, detail: impl Into<String>) -> Self {
        Self {
            part,
            healthy: true,
            detail: detail.into(),
            fix: None,
            progress: None,
            code: 0,
        }
    }

    fn wrong(part: &'static str, code: Code, detail: impl Into<String>) -> Self {
        Self {
            part,
            healthy: false,
            detail: detail.into(),
            fix: None,
            progress: None,
            code: code as u8,
        }
    }

    fn failed(part: &'static str, failure: &Failure) -> Self {
        Self {
            part,
            healthy: false,
            detail: failure.message().to_owned(),
            fix: None,
            progress: None,
            code: failure.code(),
        }
    }

    fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

pub(crate) async fn run(database: &Database, output: &mut Output) -> Result<(), Failure> {
    let (mut findings, model) = assets::check(database).await;
    let has_model = model.is_some() && findings.iter().all(|finding| finding.healthy);
    match read_entities(database, model).await {
        Ok(read) => {
            findings.push(describe_database(database, &read).await);
            findings.extend(describe_conversion(database).await);
            if has_model {
                findings.push(check_vectors(&read).await);
            }
        }
        Err(failure) => findings.push(explain_unreadable(database, &failure)),
    }
    findings.extend(shared_cache::check(database).await);
    let wrong: Vec<&Finding> = findings.iter().filter(|finding| !finding.healthy).collect();
    let code = wrong.first().map(|finding| finding.code);
    let summary = match wrong.len() {
        0 => "all checks passed".to_owned(),
        count => format!("{count} of {} checks failed", findings.len()),
    };
    let settings = database.settings();
    let printed = if output.is_json() {
        output.write_json(&DoctorReport {
            healthy: code.is_none(),
            parts: &findings,
            settings: settings::report(settings),
        })
    } else {
        print_report(&findings, settings, output)
    };
    match code {
        None if output.is_json() => printed,
        None => printed.and_then(|()| output.write_line(format_args!("{summary}"))),
        // A reader that left must not hide it.
        Some(code) => Err(Failure::unhealthy(code, summary)),
    }
}

fn print_report(
    findings: &[Finding],
    settings: &Settings,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut findings = findings.iter();
    findings.try_for_each(|finding| print(finding, output))?;
    print_settings(settings, output)
}

#[derive(Serialize)]
struct DoctorReport<'a> {
    healthy: bool,
    parts: &'a [Finding],
    settings: Vec<SettingReport>,
}

/// The effective settings and their sources, as the lines of a settings file.
fn print_settings(settings: &Settings, output: &mut Output) -> Result<(), Failure> {
    output.write_line(format_args!("settings"))?;
    for setting in settings::report(settings) {
        let SettingReport { key, value, source } = setting;
        output.write_line(format_args!("       {key} = {value}  ({source})"))?;
    }
    Ok(())
}

fn print(finding: &Finding, output: &mut Output) -> Result<(), Failure> {
    let mark = if finding.healthy { "ok   " } else { "FAIL " };
    output.write_line(format_args!(
        "{mark}  {:<12} {}",
        finding.part, finding.detail
    ))?;
    match &finding.fix {
        Some(fix) => output.write_line(format_args!("       fix: {fix}")),
        None => Ok(()),
    }
}

/// The opened database, and what is in it.
struct OpenedDatabase {
    system: MemorySystem,
    entities: Vec<EntityId>,
    /// Live memories.
    memories: u64,
}

/// Opens the database once for every check of it, and lists its entities.
async fn read_entities(
    database: &Database,
    model: Option<Arc<OnnxEmbedder>>,
) -> Result<OpenedDatabase, Failure> {
    let system = database.open_for_check(model).await?;
    let entities = all_entities(&system).await?;
    let mut memories = 0;
    for entity in &entities {
        memories += system.entity_stats(entity).await?.memory_count;
    }
    Ok(OpenedDatabase {
        system,
        entities,
        memories,
    })
}

async fn describe_database(database: &Database, opened: &OpenedDatabase) -> Finding {
    let mut access = "";
    if let Some(store) = database.file_store() {
        match store.is_read_only().await {
            Ok(true) => access = " (read-only)",
            Ok(false) => {}
            Err(error) => return Finding::failed(DATABASE, &error.into()),
        }
    }
    let location = match database.file() {
        Some(file) => file.display().to_string(),
        None if database.is_standby() => {
            "database server, a hot standby that only reads".to_owned()
        }
        None if database.is_shared() => "database server".to_owned(),
        None => "in memory".to_owned(),
    };
    let entities = count_noun(opened.entities.len() as u64, "entity", "entities");
    let memories = count_noun(opened.memories, "memory", "memories");
    let size = database
        .size()
        .map_or_else(String::new, |size| format!(", {}", format_bytes(size)));
    Finding::healthy(
        DATABASE,
        format!("{location}{access}: {memories} of {entities}{size}"),
    )
}

/// How far the words of memories are converted to the current analysis of texts, where not
/// all are.
async fn describe_conversion(database: &Database) -> Option<Finding> {
    const PART: &str = "words";
    let progress = match database.file_store()?.conversion_progress().await {
        Ok(progress) => progress?,
        Err(error) => return Some(Finding::failed(PART, &error.into())),
    };
    let detail = if progress.has_begun {
        // Not rounded up, and not all of them between the last memory and the end.
        let percent = (progress.converted * 100 / progress.memories.max(1)).min(99);
        format!(
            "about {percent} % of the memories are converted to the current analysis of texts; \
             a program that has the file open for writing converts the rest in the background, \
             and until then searches are slower and find the same"
        )
    } else {
        "all memories are of an older analysis of texts; a program that opens the file for \
         writing converts them in the background, and until then searches are slower and find \
         the same"
            .to_owned()
    };
    let mut finding = Finding::healthy(PART, detail);
    finding.progress = Some(progress.share());
    Some(finding)
}

fn explain_unreadable(database: &Database, failure: &Failure) -> Finding {
    let finding = Finding::failed(DATABASE, failure);
    match suggest_fix(failure, database.is_shared()) {
        Some(fix) => finding.with_fix(fix),
        None => finding,
    }
}

/// Looks for memories that lack vectors of the current model, which are found by
/// their words only.
async fn check_vectors(opened: &OpenedDatabase) -> Finding {
    const PART: &str = "vectors";
    match count_lacking(opened).await {
        Ok((0, checked)) => {
            let memories = count_noun(checked, "memory", "memories");
            Finding::healthy(
                PART,
                format!("{memories} with vectors of the current model"),
            )
        }
        Ok((lacking, checked)) => Finding::wrong(
            PART,
            Code::Unusable,
            format!(
                "{lacking} of {} lack vectors of the current model and are found by words only",
                count_noun(checked, "memory", "memories")
            ),
        )
        .with_fix("memory reembed --all"),
        Err(failure) => Finding::failed(PART, &failure),
    }
}

/// Counts the memories that lack vectors, and all memories, archived ones
/// included. The store counts the vectors; only contents that may be too long
/// for the model's window are divided into chunks.
async fn count_lacking(opened: &OpenedDatabase) -> Result<(u64, u64), Failure> {
    let request = ReembedRequest::new().dry_run(true);
    let (mut lacking, mut checked) = (0, 0);
    for entity in &opened.entities {
        let report = opened.system.reembed(entity, &request).await?;
        lacking += report.lacking;
        checked += report.checked;
    }
    Ok((lacking, checked))
}
