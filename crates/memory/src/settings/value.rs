//! Values as they are written: whole numbers, durations, sizes, names.

use std::time::Duration;

use memory_core::ByteSize;

/// The value of a key where there is none, which overrides that of another source: of
/// `db_replicas`, `previous_model`, `shared_cache`, and the limits and origins of the HTTP
/// server.
pub(crate) const NONE: &str = "none";

/// The text, unless it is the one that means that there is none.
pub(crate) fn unless(text: impl Into<String>, absent: &str) -> Option<String> {
    Some(text.into()).filter(|text| text != absent)
}

/// A value as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RawValue {
    /// A whole number of a file, as text.
    Integer(String),
    /// A number with a fraction of a file, as text.
    Fraction(String),
    /// A text of a file.
    Text(String),
    /// An environment variable: a number or a text.
    Untyped(String),
    /// Another type, with an article.
    Other(&'static str),
}

/// Why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// It has another type, with an article.
    Type(&'static str),
    /// It has the right type and cannot be used.
    Value,
}

impl RawValue {
    /// The value as text, for messages.
    pub(super) fn display(&self) -> String {
        match self {
            Self::Integer(text) | Self::Fraction(text) => text.clone(),
            Self::Text(text) | Self::Untyped(text) => format!("{text:?}"),
            Self::Other(kind) => (*kind).to_owned(),
        }
    }

    pub(super) fn integer(&self) -> Result<u64, Mismatch> {
        match self {
            Self::Integer(text) | Self::Untyped(text) => {
                text.trim().parse().map_err(|_| Mismatch::Value)
            }
            Self::Text(_) => Err(Mismatch::Type("a text")),
            Self::Fraction(_) => Err(Mismatch::Type("a number with a fraction")),
            Self::Other(kind) => Err(Mismatch::Type(kind)),
        }
    }

    /// A number, with or without a fraction.
    pub(super) fn number(&self) -> Result<f64, Mismatch> {
        match self {
            Self::Integer(text) | Self::Fraction(text) | Self::Untyped(text) => {
                text.trim().parse().map_err(|_| Mismatch::Value)
            }
            Self::Text(_) => Err(Mismatch::Type("a text")),
            Self::Other(kind) => Err(Mismatch::Type(kind)),
        }
    }

    pub(super) fn text(&self) -> Result<&str, Mismatch> {
        match self {
            Self::Text(text) | Self::Untyped(text) => Ok(text),
            Self::Integer(_) => Err(Mismatch::Type("a number")),
            Self::Fraction(_) => Err(Mismatch::Type("a number with a fraction")),
            Self::Other(kind) => Err(Mismatch::Type(kind)),
        }
    }

    /// A number of seconds, or a text with a unit; a fraction of a second is an
    /// error, since it would be rounded.
    pub(super) fn seconds(&self) -> Result<u64, Mismatch> {
        if let Ok(seconds) = self.integer() {
            return Ok(seconds);
        }
        let duration = match self {
            Self::Integer(_) => return Err(Mismatch::Value),
            _ => self.duration()?,
        };
        match duration.subsec_nanos() {
            0 => Ok(duration.as_secs()),
            _ => Err(Mismatch::Value),
        }
    }

    /// A text with a unit.
    pub(super) fn duration(&self) -> Result<Duration, Mismatch> {
        parse_duration(self.text()?)
    }

    /// A number of bytes, or a text with a unit.
    pub(super) fn bytes(&self) -> Result<ByteSize, Mismatch> {
        if let Ok(bytes) = self.integer() {
            return Ok(ByteSize(bytes));
        }
        match self {
            Self::Integer(_) => Err(Mismatch::Value),
            _ => {
                let size: bytesize::ByteSize =
                    self.text()?.trim().parse().map_err(|_| Mismatch::Value)?;
                Ok(ByteSize(size.as_u64()))
            }
        }
    }

    /// One of these names.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Mismatch> {
        let text = self.text()?;
        let choice = choices.iter().find(|(name, _)| *name == text);
        choice.map(|(_, value)| *value).ok_or(Mismatch::Value)
    }

    /// A whole number, or `none`.
    pub(super) fn optional_integer(&self) -> Result<Option<u64>, Mismatch> {
        match self {
            Self::Text(text) | Self::Untyped(text) if text == NONE => Ok(None),
            _ => self.integer().map(Some),
        }
    }
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, Mismatch> {
    humantime::parse_duration(text.trim()).map_err(|_| Mismatch::Value)
}

/// The duration with the largest units that are exact, such as `5m`.
pub(super) fn show_seconds(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// The size in the largest unit that is exact, such as `64 MiB`.
pub(super) fn show_bytes(size: ByteSize) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let exact = UNITS
        .iter()
        .find(|(_, shift)| size.0 > 0 && size.0.trailing_zeros() >= *shift);
    match exact {
        Some((unit, shift)) => format!("{} {unit}", size.0 >> shift),
        None => format!("{} B", size.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> RawValue {
        RawValue::Text(value.to_owned())
    }

    #[test]
    fn durations_have_units_and_are_whole_seconds() {
        for (value, seconds) in [
            ("5 min", 300),
            ("1h 30m", 5_400),
            ("90s", 90),
            ("2 days", 172_800),
        ] {
            assert_eq!(text(value).seconds(), Ok(seconds), "{value}");
        }
        for value in ["5", "5 minits", "-5 min", "500 ms", "", "min"] {
            assert_eq!(text(value).seconds(), Err(Mismatch::Value), "{value}");
        }
        let number = |value: &str| RawValue::Integer(value.to_owned()).seconds();
        assert_eq!(number("300"), Ok(300));
        assert_eq!(number("-1"), Err(Mismatch::Value));
        assert_eq!(RawValue::Untyped("300".to_owned()).seconds(), Ok(300));
        let boolean = RawValue::Other("a boolean").seconds();
        assert_eq!(boolean, Err(Mismatch::Type("a boolean")));
    }

    #[test]
    fn sizes_have_units_and_are_shown_exactly() {
        for (value, bytes) in [("64 MiB", 64 << 20), ("1GiB", 1 << 30), ("10 kB", 10_000)] {
            assert_eq!(text(value).bytes(), Ok(ByteSize(bytes)), "{value}");
        }
        for value in ["64 MiBs", "-1 MiB", "", "MiB"] {
            assert_eq!(text(value).bytes(), Err(Mismatch::Value), "{value}");
        }
        for bytes in [0, 1, 1_000, 1 << 20, (1 << 20) + 1, 3 << 30, 1 << 50] {
            let shown = show_bytes(ByteSize(bytes));
            assert_eq!(text(&shown).bytes(), Ok(ByteSize(bytes)), "{shown}");
        }
        assert_eq!(show_bytes(ByteSize::mebibytes(64)), "64 MiB");
    }
}
