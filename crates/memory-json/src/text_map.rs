//! Objects whose values are text: metadata, and entities with their roles.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::line::{kind_of, quote, reason};

/// The metadata of a JSON body: a number or a boolean becomes its text, as in a line. An
/// error names the key, without its value; a repeated key is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Metadata(pub BTreeMap<String, String>);

/// Entities or memories of a JSON body, and their roles or relations, which are strings. An
/// error names the key, without its value; a repeated key is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Roles(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = Pairs::<Box<RawValue>>::deserialize(deserializer)?;
        let texts = pairs.into_texts(scalar_text);
        texts.map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Roles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = Pairs::<Box<RawValue>>::deserialize(deserializer)?;
        let texts = pairs.into_texts(string_text);
        texts.map(Self).map_err(D::Error::custom)
    }
}

/// The keys and unparsed values of an object in their order, repeated keys
/// included.
pub(crate) struct Pairs<V>(Vec<(String, V)>);

// Without any condition on the values.
impl<V> Default for Pairs<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V: Borrow<RawValue>> Pairs<V> {
    /// The text of each value; `text_of` says what is wrong with one.
    pub(crate) fn into_texts(
        self,
        text_of: fn(&RawValue) -> Result<String, String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let mut map = BTreeMap::new();
        for (name, value) in self.0 {
            let text = text_of(value.borrow())
                .map_err(|why| format!("the value of {} {why}", quote(&name)))?;
            if map.contains_key(&name) {
                return Err(format!("the key {} is repeated", quote(&name)));
            }
            map.insert(name, text);
        }
        Ok(map)
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
            type Value = Pairs<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<V>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

/// The text of a string.
pub(crate) fn string_text(value: &RawValue) -> Result<String, String> {
    match kind_of(value) {
        "a string" => serde_json::from_str(value.get()).map_err(|error| reason(&error)),
        kind => Err(format!("is {kind}; it must be a string")),
    }
}

/// The text of a string, a number or a boolean. A number keeps the digits that
/// it is written with.
pub(crate) fn scalar_text(value: &RawValue) -> Result<String, String> {
    match kind_of(value) {
        "a number" | "a boolean" => Ok(value.get().to_owned()),
        "a string" => string_text(value),
        kind => Err(format!(
            "is {kind}; it must be a string, a number or a boolean"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_digits_and_an_error_names_the_key() {
        let read = |text: &str| {
            let read = serde_json::from_str::<Metadata>(text);
            read.map_err(|error| error.to_string())
        };
        let given = read(r#"{"a":1.50,"b":12345678901234567890123,"c":true,"d":"x"}"#).unwrap();
        let given: Vec<&str> = given.0.values().map(String::as_str).collect();
        assert_eq!(given, ["1.50", "12345678901234567890123", "true", "x"]);
        for (text, says) in [
            (r#"{"n":null}"#, "the value of \"n\" is null"),
            (r#"{"n":["secret"]}"#, "the value of \"n\" is an array"),
            (r#"{"n":"1","n":"secret"}"#, "the key \"n\" is repeated"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(says), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let role = serde_json::from_str::<Roles>(r#"{"tam":1}"#).unwrap_err();
        let says = "the value of \"tam\" is a number; it must be a string";
        assert!(role.to_string().starts_with(says), "{role}");
        // As arguments of MCP are.
        let value = serde_json::json!({"n": 1, "yes": true});
        let given: Metadata = serde_json::from_value(value).unwrap();
        assert_eq!((&*given.0["n"], &*given.0["yes"]), ("1", "true"));
    }
}
