//! Settings of a TOML file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use memory_core::{InvalidSetting, SettingOrigin, SettingProblem};
use toml::de::{DeTable, DeValue};

use super::builder::Entry;
use super::keys::{self, KEYS};
use super::value::RawValue;

/// A settings file has a few lines; a larger one is something else.
const MAX_BYTES: u64 = 1 << 20;

/// The settings of a file, in no particular order.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, InvalidSetting> {
    let refuse = |line, problem| InvalidSetting {
        origin: SettingOrigin::File {
            path: path.to_owned(),
            line,
        },
        problem,
    };
    let text =
        read_text(path).map_err(|message| refuse(0, SettingProblem::Unreadable { message }))?;
    let line_at = |offset: usize| {
        let before = text.as_bytes().get(..offset).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    };
    let document = DeTable::parse(&text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_at(span.start));
        let message = error.message().to_owned();
        refuse(line, SettingProblem::Syntax { message })
    })?;
    let mut entries = Vec::new();
    for (name, value) in document.get_ref() {
        let line = line_at(name.span().start);
        let Some(key) = keys::find(name.get_ref()) else {
            let problem = keys::unknown_key(name.get_ref(), KEYS.iter().map(|key| key.name));
            return Err(refuse(line, problem));
        };
        entries.push(Entry {
            key,
            value: raw(value.get_ref()),
            origin: SettingOrigin::File {
                path: PathBuf::from(path),
                line,
            },
        });
    }
    Ok(entries)
}

/// The text without a byte order mark; or why there is none.
fn read_text(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it is larger than {MAX_BYTES} bytes"));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("it is UTF-16; save it as UTF-8".to_owned());
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

fn raw(value: &DeValue<'_>) -> RawValue {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => {
            RawValue::Integer(number.as_str().to_owned())
        }
        DeValue::Integer(number) => {
            let value = u64::from_str_radix(number.as_str(), number.radix());
            RawValue::Integer(value.map_or_else(|_| number.to_string(), |value| value.to_string()))
        }
        DeValue::String(text) => RawValue::Text(text.to_string()),
        DeValue::Float(number) => RawValue::Fraction(number.as_str().to_owned()),
        DeValue::Boolean(_) => RawValue::Other("a boolean"),
        DeValue::Datetime(_) => RawValue::Other("a date or time"),
        DeValue::Array(_) => RawValue::Other("an array"),
        DeValue::Table(_) => RawValue::Other("a table"),
    }
}
