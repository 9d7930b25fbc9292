//! Notes in Markdown: one memory for each section.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use memory::MemoryKind;

use crate::document::{Document, Occurrences};
use crate::draft::Draft;
use crate::error::ImportError;
use crate::files::{ExportFile, ExportFiles};
use crate::front_matter::{self, Field, FrontMatter, Reading};
use crate::importer::{Importer, Stop};
use crate::outline::Outline;
use crate::time;

/// Fields of front matter that say when a note was written, the best first.
const TIME_FIELDS: [&str; 3] = ["created", "created_at", "date"];

pub(crate) fn read(files: &mut ExportFiles, importer: &mut Importer<'_>) -> Result<(), Stop> {
    for_each_note(files, importer, |note, importer| {
        let mut occurrences = Occurrences::default();
        note.add_sections(&note.body, &[], &mut occurrences, importer)
    })
}

/// A note with what its front matter says.
pub(crate) struct Note {
    /// Its path in the folder or archive.
    pub(crate) path: String,
    /// Its path, for origins.
    pub(crate) label: String,
    /// The title of its front matter, its first heading, or the name of its file.
    title: String,
    /// The same, without the title of front matter that is not valid as a whole. Contents
    /// and ids are made with it: were it another than it was when such front matter was not
    /// read at all, another import would store everything a second time.
    pub(crate) subject: String,
    /// When it was written; otherwise when its file was modified.
    timestamp: Option<DateTime<Utc>>,
    tags: Vec<String>,
    /// The other fields.
    pub(crate) metadata: BTreeMap<String, String>,
    /// The text below the front matter.
    pub(crate) body: String,
}

impl Note {
    fn new(file: &ExportFile, text: &str, importer: &mut Importer<'_>) -> Self {
        let (yaml, body) = front_matter::split(text);
        let (mut matter, reading) = match yaml {
            Some(yaml) => front_matter::parse(yaml),
            None => (FrontMatter::default(), Reading::Valid),
        };
        if reading == Reading::SomeFields {
            importer.report().count_invalid_front_matter(&file.label());
        }
        let named = matter.take_text("title");
        let named = named.filter(|title| !title.trim().is_empty());
        let unnamed = || first_heading(body).unwrap_or_else(|| stem(&file.name).to_owned());
        let title = named.unwrap_or_else(unnamed);
        let subject = match reading {
            Reading::Valid => title.clone(),
            Reading::EachField | Reading::SomeFields => unnamed(),
        };
        let mut tags = matter.take_list("tags");
        for tag in &mut tags {
            *tag = tag.trim().trim_start_matches('#').to_owned();
        }
        let mut timestamp = None;
        for key in TIME_FIELDS {
            let time = match matter.fields.get(key) {
                Some(Field::Text(text)) if timestamp.is_none() => time::parse(text),
                _ => None,
            };
            if time.is_some() {
                timestamp = time;
                matter.fields.remove(key);
            }
        }
        let mut metadata = BTreeMap::new();
        for (key, field) in matter.fields {
            match field {
                Field::Text(text) if !key.is_empty() => {
                    metadata.insert(key, text);
                }
                Field::List(list) if !key.is_empty() => {
                    metadata.insert(key, list.join(", "));
                }
                _ => importer.report().count_unknown("front_matter", &key),
            }
        }
        Self {
            path: file.name.clone(),
            label: file.label(),
            title,
            subject,
            timestamp: timestamp.or(file.modified),
            tags,
            metadata,
            body: body.to_owned(),
        }
    }

    /// A text of this note.
    pub(crate) fn draft(&self, source_id: String, content: String) -> Draft {
        let mut draft = Draft::new(source_id, MemoryKind::World, content);
        self.complete(&mut draft);
        draft
    }

    /// Adds to a text what is known of the note.
    pub(crate) fn complete(&self, draft: &mut Draft) {
        draft.timestamp = self.timestamp;
        draft.context = Some(self.title.clone());
        draft.tags.extend(self.tags.iter().cloned());
        for (key, value) in &self.metadata {
            let entry = draft.metadata.entry(key.clone());
            entry.or_insert_with(|| value.clone());
        }
    }

    /// Adds the sections of a text of this note: what is before the first heading, and what
    /// is below each heading, the heading included. A heading with nothing between it and
    /// the next one is no section. `participants` take part in all of them.
    pub(crate) fn add_sections(
        &self,
        text: &str,
        participants: &[(String, String)],
        occurrences: &mut Occurrences,
        importer: &mut Importer<'_>,
    ) -> Result<(), Stop> {
        let outline = Outline::of(text);
        let mut document = Document::default();
        let draft = |source_id: String, content: &str| {
            let mut draft = self.draft(source_id, content.to_owned());
            draft.participants.extend_from_slice(participants);
            draft
        };
        let first = outline.headings.first().map_or(text.len(), |it| it.start);
        if !text[..first].trim().is_empty() {
            let draft = draft(self.path.clone(), &text[..first]);
            document.add(importer, &self.label, draft, occurrences)?;
        }
        // The heading and those above it, with their levels.
        let mut above: Vec<(usize, &str)> = Vec::new();
        for (index, heading) in outline.headings.iter().enumerate() {
            while above
                .last()
                .is_some_and(|(level, _)| *level >= heading.level)
            {
                above.pop();
            }
            above.push((heading.level, heading.title.trim()));
            let next = outline.headings.get(index + 1);
            let end = next.map_or(text.len(), |next| next.start);
            if text[heading.end.min(end)..end].trim().is_empty() {
                importer.report().skip("headings without text", 1);
                continue;
            }
            let titles: Vec<&str> = above.iter().map(|(_, title)| *title).collect();
            let source_id = format!("{}#{}", self.path, titles.join("/"));
            let mut draft = draft(source_id, &text[heading.start..end]);
            draft.set_repeated("heading", titles.join(" > "));
            let origin = format!("{}, heading {}", self.label, index + 1);
            document.add(importer, &origin, draft, occurrences)?;
        }
        document.finish(importer)?;
        Ok(())
    }
}

/// Reads each note of an export. A file that cannot be read is refused, and the others are
/// read.
pub(crate) fn for_each_note(
    files: &mut ExportFiles,
    importer: &mut Importer<'_>,
    mut on_note: impl FnMut(&Note, &mut Importer<'_>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    for file in files.select(importer)? {
        let bytes = match files.read_whole(&file) {
            Ok(bytes) => bytes,
            Err(error @ ImportError::TooLarge { .. }) => return Err(error.into()),
            Err(error) => {
                importer.refuse(&file.label(), error.without_file())?;
                continue;
            }
        };
        match std::str::from_utf8(&bytes) {
            Ok(text) => {
                let note = Note::new(&file, text, importer);
                on_note(&note, importer)?;
            }
            Err(error) => {
                let at = error.valid_up_to() + 1;
                let reason = format!("it is not valid UTF-8 at byte {at}; convert it to UTF-8");
                importer.refuse(&file.label(), reason)?;
            }
        }
    }
    Ok(())
}

/// The title of the first heading, if it is of the highest level.
fn first_heading(body: &str) -> Option<String> {
    let heading = Outline::of(body).headings.into_iter().next()?;
    let title = heading.title.trim();
    (heading.level == 1 && !title.is_empty()).then(|| title.to_owned())
}

/// The name of a file without its folder and extension.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}
