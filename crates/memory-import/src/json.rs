//! Reading the elements of a large JSON array one at a time, and values of objects.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::error::ImportError;
use crate::files::{ExportFile, ExportFiles, LimitExceeded, read_error};
use crate::importer::{Importer, Stop};
use crate::surrogates::ReplaceSurrogates;

/// What the elements of a file are, and where.
pub(crate) struct Elements {
    /// What one is, for messages: "conversation".
    pub(crate) noun: &'static str,
    /// The keys of an object around the array, where there may be one.
    pub(crate) arrays: &'static [&'static str],
    /// Other keys of that object that are known and not read.
    pub(crate) ignored: &'static [&'static str],
    /// What the file must be, for errors.
    pub(crate) expected: &'static str,
}

/// Passes each element of the files' arrays to `on_element`, with what messages call it:
/// its file and its number from 1. One element is held in memory at a time.
pub(crate) fn for_each_element(
    files: &mut ExportFiles,
    elements: &Elements,
    importer: &mut Importer<'_>,
    on_element: fn(&str, &Value, &mut Importer<'_>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    for file in files.select(importer)? {
        let label = file.label();
        let mut on_element = |importer: &mut Importer<'_>, number: usize, value: Value| {
            let origin = format!("{label}, {} {number}", elements.noun);
            on_element(&origin, &value, importer)
        };
        read_array(files, &file, elements, importer, &mut on_element)?;
    }
    Ok(())
}

/// What the report calls the escapes that were replaced.
const HALF_CHARACTERS: &str = "halves of characters, now U+FFFD";

/// Passes each element of a file's array, and its number from 1, to `on_element`.
fn read_array(
    files: &mut ExportFiles,
    file: &ExportFile,
    elements: &Elements,
    importer: &mut Importer<'_>,
    on_element: &mut dyn FnMut(&mut Importer<'_>, usize, Value) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let label = file.label();
    let max = files.limits().max_item_bytes;
    let budget = Cell::new(max);
    let content = files.open_file(file)?;
    let replaced = Cell::new(0);
    let reader = ItemLimit {
        content: ReplaceSurrogates::new(content, &replaced),
        remaining: &budget,
        max,
    };
    let mut state = State {
        elements,
        importer,
        on_element,
        budget: &budget,
        max,
        count: 0,
        found_array: false,
        stop: None,
    };
    let mut json = serde_json::Deserializer::from_reader(reader);
    let outcome = json.deserialize_any(&mut state);
    let (stop, found_array) = (state.stop.take(), state.found_array);
    let replaced = replaced.get();
    state.importer.report().skip(HALF_CHARACTERS, replaced);
    if let Some(stop) = stop {
        return Err(stop);
    }
    outcome
        .and_then(|()| json.end())
        .map_err(|error| json_error(&label, elements.expected, error))?;
    if !found_array {
        return Err(Stop::Failed(ImportError::UnexpectedShape {
            file: label,
            found: "an object of another kind".to_owned(),
            expected: elements.expected,
        }));
    }
    Ok(())
}

/// Explains why a file is not the JSON that is expected.
pub(crate) fn json_error(
    label: &str,
    expected: &'static str,
    error: serde_json::Error,
) -> ImportError {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Io => read_error(label, error.into()),
        Category::Data => ImportError::UnexpectedShape {
            file: label.to_owned(),
            found: "JSON of another kind".to_owned(),
            expected,
        },
        Category::Syntax | Category::Eof => {
            let text = error.to_string();
            let place = format!(" at line {line} column {column}");
            ImportError::Damaged {
                file: label.to_owned(),
                line,
                column,
                reason: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
            }
        }
    }
}

/// Reads an array for [`read_array`].
struct State<'s, 'i> {
    elements: &'s Elements,
    importer: &'s mut Importer<'i>,
    on_element: &'s mut dyn FnMut(&mut Importer<'_>, usize, Value) -> Result<(), Stop>,
    budget: &'s Cell<u64>,
    max: u64,
    count: usize,
    found_array: bool,
    stop: Option<Stop>,
}

impl<'de> Visitor<'de> for &mut State<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.elements.expected)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        self.found_array = true;
        self.budget.set(self.max);
        while let Some(element) = array.next_element()? {
            self.count += 1;
            if let Err(stop) = (self.on_element)(self.importer, self.count, element) {
                self.stop = Some(stop);
                return Err(A::Error::custom("stopped"));
            }
            self.budget.set(self.max);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key::<String>()? {
            if self.elements.arrays.contains(&key.as_str()) {
                object.next_value_seed(&mut *self)?;
            } else {
                if !self.elements.ignored.contains(&key.as_str()) {
                    self.importer.report().count_unknown("file", &key);
                }
                object.next_value::<IgnoredAny>()?;
            }
            self.budget.set(self.max);
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut State<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

/// A reader that fails when an element is longer than the budget, which is renewed
/// before each element.
struct ItemLimit<'a, R> {
    content: R,
    remaining: &'a Cell<u64>,
    max: u64,
}

impl<R: Read> Read for ItemLimit<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        let Some(rest) = self.remaining.get().checked_sub(count as u64) else {
            return Err(io::Error::other(LimitExceeded::Item(self.max)));
        };
        self.remaining.set(rest);
        Ok(count)
    }
}

/// The value of a key that is a string with other characters than white space.
pub(crate) fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    let text = object.get(key)?.as_str()?;
    (!text.trim().is_empty()).then_some(text)
}

/// The value of a key that is an object.
pub(crate) fn object<'a>(
    object: &'a Map<String, Value>,
    key: &str,
) -> Option<&'a Map<String, Value>> {
    object.get(key)?.as_object()
}

/// The elements of a key that is an array; none where it is anything else.
pub(crate) fn array<'a>(object: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    let array = object.get(key).and_then(Value::as_array);
    array.map_or(&[], Vec::as_slice)
}
