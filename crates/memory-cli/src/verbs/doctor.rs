//! `memory doctor`: looks for runtime, model and database, and says what is
//! wrong with each and what mends it. It makes no database and changes none.

use serde::Serialize;

use crate::database::Database;
use crate::exit::{Code, Failure};
use crate::output::{Output, bytes, counted};
use crate::verbs::stats::all_entities;

mod assets;

/// What was found of one part.
#[derive(Debug, Serialize)]
struct Finding {
    part: &'static str,
    well: bool,
    /// What was found, or what is wrong.
    detail: String,
    /// What to do about it.
    mend: Option<String>,
    /// What a verb that needs the part would end with.
    #[serde(skip)]
    code: u8,
}

impl Finding {
    fn well(part: &'static str, detail: impl Into<String>) -> Self {
        Self {
            part,
            well: true,
            detail: detail.into(),
            mend: None,
            code: 0,
        }
    }

    fn wrong(part: &'static str, code: Code, detail: impl Into<String>) -> Self {
        Self {
            part,
            well: false,
            detail: detail.into(),
            mend: None,
            code: code as u8,
        }
    }

    fn failed(part: &'static str, failure: &Failure) -> Self {
        Self {
            part,
            well: false,
            detail: failure.message().to_owned(),
            mend: None,
            code: failure.code(),
        }
    }

    fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

pub(crate) async fn run(database: &Database, output: &mut Output) -> Result<(), Failure> {
    let mut findings = assets::look().await;
    findings.push(look_at(database).await);
    let wrong: Vec<&Finding> = findings.iter().filter(|finding| !finding.well).collect();
    let code = wrong.first().map(|finding| finding.code);
    let verdict = match wrong.len() {
        0 => "all is well".to_owned(),
        count => format!("{count} of {} parts are not well", findings.len()),
    };
    if output.is_json() {
        output.document(&Diagnosis {
            well: code.is_none(),
            parts: &findings,
        })?;
    } else {
        findings
            .iter()
            .try_for_each(|finding| print(finding, output))?;
        if code.is_none() {
            output.line(format_args!("{verdict}"))?;
        }
    }
    match code {
        None => Ok(()),
        Some(code) => Err(Failure::unwell(code, verdict)),
    }
}

#[derive(Serialize)]
struct Diagnosis<'a> {
    well: bool,
    parts: &'a [Finding],
}

fn print(finding: &Finding, output: &mut Output) -> Result<(), Failure> {
    let mark = if finding.well { "ok   " } else { "WRONG" };
    output.line(format_args!(
        "{mark}  {:<9} {}",
        finding.part, finding.detail
    ))?;
    match &finding.mend {
        Some(mend) => output.line(format_args!("       to mend it: {mend}")),
        None => Ok(()),
    }
}

async fn look_at(database: &Database) -> Finding {
    const PART: &str = "database";
    let place = match database.file() {
        Some(file) => file.display().to_string(),
        None if database.is_shared() => "on its server".to_owned(),
        None => "in memory".to_owned(),
    };
    match count(database).await {
        Ok((entities, memories)) => {
            let entities = counted(entities as u64, "entity", "entities");
            let memories = counted(memories, "memory", "memories");
            let size = database
                .size()
                .map_or_else(String::new, |size| format!(", {}", bytes(size)));
            Finding::well(PART, format!("{place}: {memories} of {entities}{size}"))
        }
        Err(failure) => {
            let finding = Finding::failed(PART, &failure);
            match mend(&failure) {
                Some(mend) => finding.mend(mend),
                None => finding,
            }
        }
    }
}

/// How many entities and memories it holds.
async fn count(database: &Database) -> Result<(usize, u64), Failure> {
    let system = database.open_untouched().await?;
    let entities = all_entities(&system).await?;
    let mut memories = 0;
    for entity in &entities {
        memories += system.entity_stats(entity).await?.memory_count;
    }
    system.close().await?;
    Ok((entities.len(), memories))
}

/// What to do about a database that does not open, by the name of the failure.
fn mend(failure: &Failure) -> Option<&'static str> {
    Some(match failure.kind() {
        "missing" => {
            "memory retain or memory import makes it; or name another with --db or MEMORY_DB"
        }
        "foreign_data" => "name another file with --db or MEMORY_DB",
        "newer_schema" => "use the newer version of memory that wrote it",
        "corrupt" => "put a backup in its place, or import an export into a new file",
        "unavailable" => "wait until the process that holds it has ended, or end it",
        "read_only" => "make the file and its folder writable",
        "configuration" => "name a database such as sqlite://memory.db with --db or MEMORY_DB",
        _ => return None,
    })
}
