//! Memories from what a format's module found: ids, limits, what is passed on.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use memory::limits::{
    MAX_CONTEXT_CHARS, MAX_ENTITY_ID_CHARS, MAX_LINKS, MAX_ROLE_CHARS, MAX_TAG_CHARS, MAX_TAGS,
};
use memory::{EntityId, MemoryBatchItem, MemoryError, MemoryId};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::document::{Document, Occurrences};
use crate::draft::Draft;
use crate::error::ImportError;
use crate::format::Format;
use crate::metadata_size::{cut_repeated, fit_metadata};
use crate::report::ImportReport;
use crate::{ImportOptions, Record};

/// The namespace of the ids (UUID version 5). It must never change, because ids made
/// with another would not be found again.
const NAMESPACE: Uuid = Uuid::from_u128(0x7db2_92a2_9890_4b4d_9993_5b2e_c406_9727);

/// The longest name that is put before each observation, in characters: were it not cut
/// off, a small file with a long name would become many memories of the largest size.
const MAX_SUBJECT_CHARS: usize = 1_024;

/// Why reading ends before the end of the export.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The receiver of the memories wants no more.
    Broken,
    Failed(ImportError),
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Self {
        Self::Failed(error)
    }
}

/// Makes memories and passes them on.
pub(crate) struct Importer<'a> {
    format: Format,
    entity: Option<EntityId>,
    sink: &'a mut dyn FnMut(Record) -> ControlFlow<()>,
    report: ImportReport,
}

impl<'a> Importer<'a> {
    pub(crate) fn new(
        format: Format,
        options: &ImportOptions,
        sink: &'a mut dyn FnMut(Record) -> ControlFlow<()>,
    ) -> Self {
        Self {
            format,
            entity: options.entity.clone(),
            sink,
            report: ImportReport::default(),
        }
    }

    /// The entity of every memory, where the import has one.
    pub(crate) fn entity(&self) -> Option<&EntityId> {
        self.entity.as_ref()
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn report(&mut self) -> &mut ImportReport {
        &mut self.report
    }

    pub(crate) fn into_report(self) -> ImportReport {
        self.report
    }

    /// Counts the fields of an object that are not in `known`.
    pub(crate) fn check_fields(
        &mut self,
        name: &'static str,
        object: &Map<String, Value>,
        known: &[&str],
    ) {
        for field in object.keys().filter(|key| !known.contains(&key.as_str())) {
            self.report.count_unknown(name, field);
        }
    }

    /// Passes on why something is not imported.
    pub(crate) fn refuse(&mut self, origin: &str, reason: impl Into<String>) -> Result<(), Stop> {
        self.send(origin.to_owned(), Err(reason.into()))
    }

    /// Passes on why a file is not imported, or not to its end, where it is one of
    /// several: the others are read. The limit of all files together ends the import.
    pub(crate) fn refuse_file(
        &mut self,
        label: &str,
        files: usize,
        outcome: Result<(), Stop>,
    ) -> Result<(), Stop> {
        match outcome {
            Err(Stop::Failed(ImportError::TooLarge { .. })) => outcome,
            Err(Stop::Failed(error)) if files > 1 => self.refuse(label, error.without_file()),
            outcome => outcome,
        }
    }

    /// Adds one text, and returns the id of its first memory.
    pub(crate) fn add(&mut self, origin: &str, draft: Draft) -> Result<Option<MemoryId>, Stop> {
        self.add_part(origin, draft, &mut Occurrences::default())
    }

    /// Adds one text of several of a note, which are not linked to each other.
    pub(crate) fn add_part(
        &mut self,
        origin: &str,
        draft: Draft,
        occurrences: &mut Occurrences,
    ) -> Result<Option<MemoryId>, Stop> {
        let mut document = Document::default();
        document.add(self, origin, draft, occurrences)?;
        document.finish(self)
    }

    /// A memory of this text without its content. What is cut off or left out is counted.
    pub(crate) fn item(&mut self, entity: &EntityId, draft: &Draft) -> MemoryBatchItem {
        let mut item = MemoryBatchItem::new(entity, draft.kind, String::new());
        item.timestamp = draft.timestamp;
        let context = draft.context.as_deref();
        item.context = context.and_then(|text| {
            let what = "ends of contexts of more than 1,024 characters";
            self.fit(text, MAX_CONTEXT_CHARS, what)
        });
        item.metadata.clone_from(&draft.metadata);
        let source = [
            ("source", self.format.as_str()),
            ("source_id", draft.source_id.as_str()),
        ];
        for (key, value) in source {
            let own = item.metadata.insert(key.to_owned(), value.to_owned());
            // Of the note or memory itself, such as the address of a web page.
            if let Some(own) = own {
                let renamed = format!("original_{key}");
                item.metadata.entry(renamed).or_insert(own);
            }
        }
        cut_repeated(&mut item.metadata, &draft.repeated, &mut self.report);
        fit_metadata(&mut item.metadata, &mut self.report);
        for (name, role) in &draft.participants {
            let what = "ends of names of more than 256 characters of participants";
            let Some(name) = self.fit(name, MAX_ENTITY_ID_CHARS, what) else {
                continue;
            };
            // The owner takes part in all its memories.
            if name == entity.as_str() {
                continue;
            }
            if item.entities.len() == MAX_LINKS && !item.entities.contains_key(name.as_str()) {
                self.report.skip("participants beyond 256 of a memory", 1);
                continue;
            }
            let what = "ends of roles of more than 128 characters";
            let role = self.fit(role, MAX_ROLE_CHARS, what).unwrap_or_default();
            item.entities.insert(name.into(), role);
        }
        let tags = draft.tags.iter().filter_map(|tag| {
            let what = "ends of tags of more than 128 characters";
            self.fit(tag, MAX_TAG_CHARS, what)
        });
        let tags: BTreeSet<String> = tags.collect();
        let beyond = tags.len().saturating_sub(MAX_TAGS) as u64;
        self.report.skip("tags beyond 64 of a memory", beyond);
        item.tags = tags.into_iter().take(MAX_TAGS).collect();
        item.related.clone_from(&draft.related);
        item
    }

    /// Makes a text that is not content fit a limit: control characters become spaces, and
    /// what is too long is cut off and counted as `what`. `None` where nothing is left.
    fn fit(&mut self, text: &str, max_chars: usize, what: &'static str) -> Option<String> {
        let mut chars = text
            .trim()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c });
        let clean: String = chars.by_ref().take(max_chars).collect();
        let is_cut = chars.next().is_some();
        self.report.skip(what, u64::from(is_cut));
        let clean = clean.trim();
        (!clean.is_empty()).then(|| clean.to_owned())
    }

    /// The name of what many memories are about, as their contents begin with it.
    pub(crate) fn fit_subject(&mut self, name: &str) -> String {
        let end = name.char_indices().nth(MAX_SUBJECT_CHARS);
        let end = end.map_or(name.len(), |(end, _)| end);
        let what = "ends of names of more than 1,024 characters before observations";
        self.report.skip(what, u64::from(end < name.len()));
        name[..end].to_owned()
    }

    /// UUID version 5 of what distinguishes a memory of an export from others.
    pub(crate) fn derive(
        &self,
        entity: &EntityId,
        source_id: &str,
        content: &str,
        occurrence: u64,
    ) -> Uuid {
        let format = self.format.as_str();
        let name = json!([entity.as_str(), format, source_id, content, occurrence]);
        Uuid::new_v5(&NAMESPACE, name.to_string().as_bytes())
    }

    /// Passes on a memory, or what is wrong with it.
    pub(crate) fn send_valid(&mut self, origin: String, item: MemoryBatchItem) -> Result<(), Stop> {
        let valid = item.validate().map(|()| item);
        let valid = valid.map_err(|error| match error {
            MemoryError::InvalidInput { problem, .. } => problem.to_string(),
            other => other.to_string(),
        });
        self.send(origin, valid)
    }

    fn send(&mut self, origin: String, item: Result<MemoryBatchItem, String>) -> Result<(), Stop> {
        match (self.sink)(Record { origin, item }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use memory::MemoryKind;

    use super::*;

    fn options() -> ImportOptions {
        ImportOptions {
            entity: Some("mira".into()),
            ..ImportOptions::default()
        }
    }

    /// What is passed on for these drafts, which make one document.
    fn records(drafts: &[Draft]) -> Vec<Record> {
        import(&options(), drafts).0
    }

    fn import(options: &ImportOptions, drafts: &[Draft]) -> (Vec<Record>, ImportReport) {
        let mut records = Vec::new();
        let mut sink = |record: Record| {
            records.push(record);
            ControlFlow::Continue(())
        };
        let mut importer = Importer::new(Format::Markdown, options, &mut sink);
        let mut document = Document::default();
        let mut occurrences = Occurrences::default();
        for draft in drafts {
            document
                .add(&mut importer, "a.md", draft.clone(), &mut occurrences)
                .unwrap();
        }
        document.finish(&mut importer).unwrap();
        let report = importer.into_report();
        (records, report)
    }

    fn draft(content: &str) -> Draft {
        Draft::new("a.md", MemoryKind::World, content.to_owned())
    }

    #[test]
    fn ids_are_repeatable_and_distinguish_equal_texts_of_a_document() {
        let drafts = [draft("Rain."), draft("Rain."), draft("Sun.")];
        let ids = |drafts: &[Draft]| -> Vec<MemoryId> {
            let records = records(drafts);
            let items = records.into_iter().map(|record| record.item.unwrap());
            items.map(|item| item.id.unwrap()).collect()
        };
        let first = ids(&drafts);
        assert_eq!(first, ids(&drafts));
        let distinct: BTreeSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), 3);
        let mut dated = draft("Rain.");
        dated.tags.push("weather".to_owned());
        dated.timestamp = crate::time::parse("2026-03-01");
        assert_eq!(ids(&[dated]), first[..1], "corrections keep the id");
    }

    // Made with Python, as docs/import.md shows.
    #[test]
    fn ids_match_the_documented_example() {
        let records = records(&[draft("Rain.")]);
        let item = records[0].item.as_ref().unwrap();
        assert_eq!(
            item.id.unwrap().to_string(),
            "da92f58f-1cbc-5cde-a1ee-eab196f6a60d"
        );
    }

    #[test]
    fn what_is_too_long_apart_from_content_is_cut_off_and_counted() {
        // Two parts, which are counted as one text.
        let mut draft = draft(&"Rain. ".repeat(3_000));
        draft.context = Some("c".repeat(MAX_CONTEXT_CHARS + 1));
        draft.tags = (0..100).map(|n| format!("tag {n}")).collect();
        draft.tags.push(" ".to_owned());
        draft.tags.push("t".repeat(MAX_TAG_CHARS + 1));
        draft.participants = vec![
            ("mira".to_owned(), "owner".to_owned()),
            (format!("a\tb{}", "x".repeat(300)), "r".repeat(300)),
        ];
        let others = (0..MAX_LINKS + 2).map(|n| (format!("p{n}"), "guest".to_owned()));
        draft.participants.extend(others);
        let (records, report) = import(&options(), &[draft]);
        assert_eq!(records.len(), 2);
        let item = records[0].item.as_ref().unwrap();
        assert_eq!(item.context.as_ref().unwrap().len(), MAX_CONTEXT_CHARS);
        assert_eq!(item.tags.len(), MAX_TAGS);
        let (name, role) = item.entities.first_key_value().unwrap();
        assert!(name.as_str().starts_with("a bx"), "{name}");
        assert_eq!(
            (item.entities.len(), role.len()),
            (MAX_LINKS, MAX_ROLE_CHARS)
        );
        let skipped: Vec<(&str, u64)> = report.skipped.into_iter().collect();
        let limits = [MAX_CONTEXT_CHARS, MAX_ENTITY_ID_CHARS, MAX_ROLE_CHARS];
        assert_eq!(limits, [1_024, 256, 128], "as the names of the counts say");
        assert_eq!((MAX_TAG_CHARS, MAX_TAGS, MAX_LINKS), (128, 64, 256));
        assert_eq!(
            skipped,
            [
                ("ends of contexts of more than 1,024 characters", 1),
                (
                    "ends of names of more than 256 characters of participants",
                    1
                ),
                ("ends of roles of more than 128 characters", 1),
                ("ends of tags of more than 128 characters", 1),
                ("participants beyond 256 of a memory", 3),
                ("tags beyond 64 of a memory", 37),
            ]
        );
    }

    #[test]
    fn owners_whose_names_differ_do_not_become_one() {
        let owned = |name: Option<&str>| Draft {
            owner: name.map(str::to_owned),
            ..draft("Rain.")
        };
        let long = "n".repeat(MAX_ENTITY_ID_CHARS);
        let (longer, other) = (format!("{long}1"), format!("{long}2"));
        let names = [
            Some("ann"),
            Some(" ann"),
            Some("ann\n"),
            Some("a\tnn"),
            Some(&long),
            Some(&longer),
            Some(&other),
            None,
        ];
        let (records, _) = import(&ImportOptions::default(), &names.map(owned));
        let found: Vec<&str> = records
            .iter()
            .map(|record| match &record.item {
                Ok(item) => item.entity_id.as_str(),
                Err(reason) => {
                    assert!(reason.contains("name the entity"), "{reason}");
                    assert!(!reason.contains("ann"), "{reason}");
                    "refused"
                }
            })
            .collect();
        let refused = "refused";
        // Refusals are passed on at once, a memory when the next one is known.
        assert_eq!(
            found,
            [
                refused, refused, refused, "ann", refused, refused, refused, &long
            ]
        );
    }

    #[test]
    fn what_is_still_invalid_is_refused_without_its_content() {
        let records = records(&[draft("secret\0")]);
        let reason = records[0].item.as_ref().unwrap_err();
        assert!(
            reason.contains("content") && !reason.contains("secret"),
            "{reason}"
        );
    }

    #[test]
    fn equal_times_are_separated_in_order() {
        let mut early = draft("First.");
        early.timestamp = crate::time::parse("2026-03-01");
        let mut late = draft("Third.");
        late.timestamp = crate::time::parse("2026-03-02");
        let second = Draft {
            content: "Second.".to_owned(),
            ..early.clone()
        };
        let records = records(&[early, second, late]);
        let times: Vec<String> = records
            .iter()
            .map(|record| record.item.as_ref().unwrap().timestamp.unwrap())
            .map(memory_json::time::format_exact)
            .collect();
        assert_eq!(
            times,
            [
                "2026-03-01T00:00:00.000000Z",
                "2026-03-01T00:00:00.000001Z",
                "2026-03-02T00:00:00.000000Z"
            ]
        );
    }

    #[test]
    fn a_memory_is_passed_on_when_the_next_one_is_known() {
        let passed = std::cell::Cell::new(0);
        let mut sink = |_: Record| {
            passed.set(passed.get() + 1);
            ControlFlow::Continue(())
        };
        let options = options();
        let mut importer = Importer::new(Format::Markdown, &options, &mut sink);
        let (mut document, mut occurrences) = (Document::default(), Occurrences::default());
        for before in 0..3_usize {
            document
                .add(&mut importer, "a.md", draft("Rain."), &mut occurrences)
                .unwrap();
            assert_eq!(passed.get(), before);
        }
        document.finish(&mut importer).unwrap();
        assert_eq!(passed.get(), 3);
    }

    #[test]
    fn a_sink_that_breaks_ends_the_import() {
        let mut count = 0;
        let mut sink = |_: Record| {
            count += 1;
            ControlFlow::Break(())
        };
        let mut importer = Importer::new(Format::Markdown, &options(), &mut sink);
        let outcome = importer.add("a.md", draft("Rain."));
        assert!(matches!(outcome, Err(Stop::Broken)));
        assert_eq!(count, 1);
    }
}
