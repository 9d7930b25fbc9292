//! Reading the elements of a large JSON array one at a time, and values of objects.

use std::cell::Cell;
use std::io::{BufRead, BufReader};

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::error::ImportError;
use crate::files::{ExportFile, ExportFiles, read_error};
use crate::importer::{Importer, Stop};
use crate::json_splitter::{JsonSplitter, RawValue, SplitError};
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
/// its file and its number from 1. One element is held in memory at a time; one that is too
/// large or nested too deep is refused.
pub(crate) fn for_each_element(
    files: &mut ExportFiles,
    elements: &Elements,
    importer: &mut Importer<'_>,
    on_element: fn(&str, &Value, &mut Importer<'_>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    for_each_element_with_text(files, elements, importer, |origin, value, _, importer| {
        on_element(origin, value, importer)
    })
}

/// As [`for_each_element`], with the text of each element too: a value has no more of a
/// number than a float.
pub(crate) fn for_each_element_with_text(
    files: &mut ExportFiles,
    elements: &Elements,
    importer: &mut Importer<'_>,
    on_element: impl Fn(&str, &Value, &[u8], &mut Importer<'_>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let selected = files.select(importer)?;
    for file in &selected {
        let label = file.label();
        let mut on_element =
            |importer: &mut Importer<'_>, number: usize, value: Value, text: &[u8]| {
                let origin = format!("{label}, {} {number}", elements.noun);
                on_element(&origin, &value, text, importer)
            };
        let outcome = read_array(files, file, elements, importer, &mut on_element);
        importer.refuse_file(&label, selected.len(), outcome)?;
    }
    Ok(())
}

/// Bytes of a file that are read ahead.
const BUFFER_BYTES: usize = 64 << 10;

/// What the report calls the escapes that were replaced.
pub(crate) const HALF_CHARACTERS: &str = "halves of characters, now U+FFFD";

/// What is done with an element, its number from 1 and its text.
type OnElement<'a> = dyn FnMut(&mut Importer<'_>, usize, Value, &[u8]) -> Result<(), Stop> + 'a;

/// Passes each element of a file's array, with its number from 1, to `on_element`.
fn read_array(
    files: &mut ExportFiles,
    file: &ExportFile,
    elements: &Elements,
    importer: &mut Importer<'_>,
    on_element: &mut OnElement<'_>,
) -> Result<(), Stop> {
    let label = file.label();
    let max = files.limits().max_item_bytes;
    let content = files.open_file(file)?;
    let replaced = Cell::new(0);
    let content = ReplaceSurrogates::new(content, &replaced);
    let mut array = ArrayReader {
        splitter: JsonSplitter::new(BufReader::with_capacity(BUFFER_BYTES, content)),
        elements,
        label: &label,
        max,
        importer,
        on_element,
        count: 0,
    };
    let outcome = array.read();
    importer.report().skip(HALF_CHARACTERS, replaced.get());
    outcome
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
            let position = format!(" at line {line} column {column}");
            ImportError::Damaged {
                file: label.to_owned(),
                line,
                column,
                reason: text.strip_suffix(&position).unwrap_or(&text).to_owned(),
            }
        }
    }
}

/// Reads a file for [`read_array`].
struct ArrayReader<'a, 'i, R> {
    splitter: JsonSplitter<R>,
    elements: &'a Elements,
    label: &'a str,
    /// Bytes of an element.
    max: u64,
    importer: &'a mut Importer<'i>,
    on_element: &'a mut OnElement<'a>,
    count: usize,
}

impl<R: BufRead> ArrayReader<'_, '_, R> {
    /// Reads a document that is an array or an object with one.
    fn read(&mut self) -> Result<(), Stop> {
        let found_array = match self.peek()? {
            Some(b'[') => {
                self.read_elements()?;
                true
            }
            Some(b'{') => self.read_object()?,
            _ => return Err(self.unexpected_value()),
        };
        if self.peek()?.is_some() {
            return Err(self.unexpected("trailing characters"));
        }
        match found_array {
            true => Ok(()),
            false => Err(self.unexpected_shape("an object of another kind")),
        }
    }

    /// Reads an object around the array; whether the array is there.
    fn read_object(&mut self) -> Result<bool, Stop> {
        let mut found_array = false;
        self.take(b'{')?;
        if self.take(b'}')? {
            return Ok(false);
        }
        loop {
            if self.peek()? != Some(b'"') {
                return Err(self.unexpected("key must be a string"));
            }
            let key = self.take_value(self.max)?;
            let key: String = match key.is_too_large {
                // No known key.
                true => "…".to_owned(),
                false => self
                    .parse(&key)
                    .map_err(|error| self.damaged(&key, error))?,
            };
            if !self.take(b':')? {
                return Err(self.unexpected("expected `:`"));
            }
            if self.elements.arrays.contains(&key.as_str()) {
                if self.peek()? != Some(b'[') {
                    return Err(self.unexpected_value());
                }
                self.read_elements()?;
                found_array = true;
            } else {
                if !self.elements.ignored.contains(&key.as_str()) {
                    self.importer.report().count_unknown("file", &key);
                }
                self.take_value(0)?;
            }
            if self.take(b'}')? {
                return Ok(found_array);
            }
            if !self.take(b',')? {
                return Err(self.unexpected("expected `,` or `}`"));
            }
        }
    }

    fn read_elements(&mut self) -> Result<(), Stop> {
        self.take(b'[')?;
        if self.take(b']')? {
            return Ok(());
        }
        loop {
            let value = self.take_value(self.max)?;
            self.count += 1;
            self.read_element(&value)?;
            if self.take(b']')? {
                return Ok(());
            }
            if !self.take(b',')? {
                return Err(self.unexpected("expected `,` or `]`"));
            }
        }
    }

    /// Passes an element on. One that cannot be held in memory is refused; the others are
    /// read.
    fn read_element(&mut self, value: &RawValue) -> Result<(), Stop> {
        let (noun, max) = (self.elements.noun, self.max);
        let reason = match value.is_too_large {
            true => format!("it has more than {max} bytes, the most that one {noun} may have"),
            false => match self.parse(value) {
                Ok(element) => {
                    return (self.on_element)(self.importer, self.count, element, &value.text);
                }
                Err(error) => match limit_of_parser(&error) {
                    Some(reason) => reason.to_owned(),
                    None => return Err(self.damaged(value, error)),
                },
            },
        };
        let origin = format!("{}, {noun} {}", self.label, self.count);
        self.importer.refuse(&origin, reason)
    }

    fn parse<T: DeserializeOwned>(&self, value: &RawValue) -> serde_json::Result<T> {
        serde_json::from_slice(&value.text)
    }

    fn peek(&mut self) -> Result<Option<u8>, Stop> {
        self.splitter
            .peek()
            .map_err(|error| self.stop(error.into()))
    }

    fn take(&mut self, byte: u8) -> Result<bool, Stop> {
        let taken = self.splitter.take(byte);
        taken.map_err(|error| self.stop(error.into()))
    }

    fn take_value(&mut self, max: u64) -> Result<RawValue, Stop> {
        let taken = self.splitter.take_value(max);
        taken.map_err(|error| self.stop(error))
    }

    fn unexpected(&self, reason: &'static str) -> Stop {
        self.stop(self.splitter.unexpected(reason))
    }

    /// What is wrong with a value that is not the array.
    fn unexpected_value(&mut self) -> Stop {
        let value = match self.take_value(self.max) {
            Ok(value) => value,
            Err(stop) => return stop,
        };
        match self.parse::<IgnoredAny>(&value) {
            Err(error) if !value.is_too_large => self.damaged(&value, error),
            _ => self.unexpected_shape("JSON of another kind"),
        }
    }

    fn unexpected_shape(&self, found: &str) -> Stop {
        Stop::Failed(ImportError::UnexpectedShape {
            file: self.label.to_owned(),
            found: found.to_owned(),
            expected: self.elements.expected,
        })
    }

    fn stop(&self, error: SplitError) -> Stop {
        Stop::Failed(match error {
            SplitError::Io(error) => read_error(self.label, error),
            SplitError::Syntax { position, reason } => ImportError::Damaged {
                file: self.label.to_owned(),
                line: position.line,
                column: position.column,
                reason: reason.to_owned(),
            },
        })
    }

    /// The error of the parser, with the position in the file.
    fn damaged(&self, value: &RawValue, error: serde_json::Error) -> Stop {
        let position = value.start.add(error.line(), error.column());
        let error = json_error(self.label, self.elements.expected, error);
        Stop::Failed(match error {
            ImportError::Damaged { file, reason, .. } => ImportError::Damaged {
                file,
                line: position.line,
                column: position.column,
                reason,
            },
            other => other,
        })
    }
}

/// Why a value that is valid JSON cannot be held in memory.
fn limit_of_parser(error: &serde_json::Error) -> Option<&'static str> {
    let text = error.to_string();
    let limits = [
        ("recursion limit", "it is nested more than 127 levels deep"),
        (
            "number out of range",
            "it has a number that is out of range",
        ),
    ];
    let mut limits = limits.into_iter();
    limits.find_map(|(start, reason)| text.starts_with(start).then_some(reason))
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
