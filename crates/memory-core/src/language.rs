//! Languages whose stems are known.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Excerpt;

/// A language in Latin letters whose stems are known. The stems of other scripts
/// follow from the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Language {
    /// Danish, `da`.
    #[serde(rename = "da")]
    Danish,
    /// Dutch, `nl`.
    #[serde(rename = "nl")]
    Dutch,
    /// English, `en`.
    #[serde(rename = "en")]
    English,
    /// Finnish, `fi`.
    #[serde(rename = "fi")]
    Finnish,
    /// French, `fr`.
    #[serde(rename = "fr")]
    French,
    /// German, `de`.
    #[serde(rename = "de")]
    German,
    /// Hungarian, `hu`.
    #[serde(rename = "hu")]
    Hungarian,
    /// Italian, `it`.
    #[serde(rename = "it")]
    Italian,
    /// Norwegian, `no`.
    #[serde(rename = "no")]
    Norwegian,
    /// Portuguese, `pt`.
    #[serde(rename = "pt")]
    Portuguese,
    /// Romanian, `ro`.
    #[serde(rename = "ro")]
    Romanian,
    /// Spanish, `es`.
    #[serde(rename = "es")]
    Spanish,
    /// Swedish, `sv`.
    #[serde(rename = "sv")]
    Swedish,
    /// Turkish, `tr`.
    #[serde(rename = "tr")]
    Turkish,
}

impl Language {
    /// Every language, in alphabetical order.
    pub const ALL: [Self; 14] = [
        Self::Danish,
        Self::Dutch,
        Self::English,
        Self::Finnish,
        Self::French,
        Self::German,
        Self::Hungarian,
        Self::Italian,
        Self::Norwegian,
        Self::Portuguese,
        Self::Romanian,
        Self::Spanish,
        Self::Swedish,
        Self::Turkish,
    ];

    /// The code of ISO 639-1, such as `de`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Danish => "da",
            Self::Dutch => "nl",
            Self::English => "en",
            Self::Finnish => "fi",
            Self::French => "fr",
            Self::German => "de",
            Self::Hungarian => "hu",
            Self::Italian => "it",
            Self::Norwegian => "no",
            Self::Portuguese => "pt",
            Self::Romanian => "ro",
            Self::Spanish => "es",
            Self::Swedish => "sv",
            Self::Turkish => "tr",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// No language has this code; the message names those that exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLanguage(Excerpt);

impl fmt::Display for UnknownLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes: Vec<&str> = Language::ALL.iter().map(|it| it.code()).collect();
        write!(
            f,
            "no stems are known for the language {}; known are: {}",
            self.0,
            codes.join(", ")
        )
    }
}

impl std::error::Error for UnknownLanguage {}

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|it| it.code() == code);
        known.ok_or_else(|| UnknownLanguage(code.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_and_written() {
        for language in Language::ALL {
            assert_eq!(language.code().parse(), Ok(language));
        }
        let error = "xx".parse::<Language>().unwrap_err().to_string();
        assert!(
            error.contains("\"xx\"") && error.contains("da, nl, en"),
            "{error}"
        );
        let long = "x".repeat(1_000).parse::<Language>().unwrap_err();
        assert!(long.to_string().len() < 200, "{long}");
    }
}
