//! The request and the response of the embeddings API.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memory_core::normalize;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::embedder_options::{EncodingFormat, OpenAiEmbedderOptions};
use crate::endpoint::Endpoint;
use crate::error::OpenAiError;

/// Standard base64, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The body of a request. What is not set is omitted, because some models reject
/// parameters that others need.
#[derive(Serialize)]
struct RequestBody<'a> {
    model: &'a str,
    input: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

/// Serializes the request for these inputs.
pub(crate) fn request_body(
    endpoint: &Endpoint,
    options: &OpenAiEmbedderOptions,
    inputs: &[&str],
) -> Result<Vec<u8>, OpenAiError> {
    let request = RequestBody {
        model: &options.model,
        input: inputs,
        encoding_format: match options.encoding {
            EncodingFormat::Float => None,
            EncodingFormat::Base64 => Some("base64"),
        },
        dimensions: options.requested_dimensions,
    };
    endpoint.request_body(&request, inputs.iter().map(|input| input.len()).sum())
}

/// What a response must contain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    /// Vectors: one per text of the request.
    pub(crate) count: usize,
    /// Components of each, if they are known.
    pub(crate) dimensions: Option<usize>,
    /// The place of the request's first text in the call, for errors.
    pub(crate) first_text: usize,
}

/// The fields of a response that are used.
#[derive(Deserialize)]
struct ResponseBody {
    data: Option<Vec<Item>>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Components,
}

/// The components of a vector, as they are in the response.
enum Components {
    Floats(Vec<f32>),
    InvalidBase64,
}

impl<'de> Deserialize<'de> for Components {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ComponentsVisitor)
    }
}

struct ComponentsVisitor;

impl<'de> Visitor<'de> for ComponentsVisitor {
    type Value = Components;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers or base64 of 32-bit floats")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Components, A::Error> {
        let mut floats = Vec::new();
        // Some servers write `null` for a number that JSON cannot express.
        while let Some(component) = sequence.next_element::<Option<f32>>()? {
            floats.push(component.unwrap_or(f32::NAN));
        }
        Ok(Components::Floats(floats))
    }

    fn visit_str<E>(self, text: &str) -> Result<Components, E> {
        let Ok(bytes) = BASE64.decode(text) else {
            return Ok(Components::InvalidBase64);
        };
        // Little-endian, as OpenAI's own clients read it.
        let (floats, []) = bytes.as_chunks::<4>() else {
            return Ok(Components::InvalidBase64);
        };
        let floats = floats.iter().map(|bytes| f32::from_le_bytes(*bytes));
        Ok(Components::Floats(floats.collect()))
    }
}

/// The vectors of a response, L2-normalized, in the order of the request's texts.
pub(crate) fn response_vectors(
    body: &[u8],
    expected: Expected,
) -> Result<Vec<Vec<f32>>, OpenAiError> {
    let response: ResponseBody = serde_json::from_slice(body).map_err(OpenAiError::from_json)?;
    let items = response.data.ok_or(OpenAiError::UnexpectedShape)?;
    let items = in_order(items, expected.count)?;
    let numbered = items.into_iter().zip(expected.first_text..);
    numbered
        .map(|(item, text)| vector(item.embedding, text, expected.dimensions))
        .collect()
}

/// Sorts the items by their index; without indices, they are in order.
fn in_order(items: Vec<Item>, count: usize) -> Result<Vec<Item>, OpenAiError> {
    if items.len() != count {
        let (found, expected) = (items.len(), count);
        return Err(OpenAiError::VectorCount { found, expected });
    }
    if items.iter().all(|item| item.index.is_none()) {
        return Ok(items);
    }
    let mut ordered: Vec<Option<Item>> = items.iter().map(|_| None).collect();
    for item in items {
        let slot = item.index.and_then(|index| ordered.get_mut(index));
        match slot {
            Some(slot @ None) => *slot = Some(item),
            _ => return Err(OpenAiError::VectorIndex { count }),
        }
    }
    Ok(ordered.into_iter().flatten().collect())
}

fn vector(
    components: Components,
    text: usize,
    dimensions: Option<usize>,
) -> Result<Vec<f32>, OpenAiError> {
    let Components::Floats(mut vector) = components else {
        return Err(OpenAiError::InvalidBase64 { text });
    };
    let found = vector.len();
    if let Some(expected) = dimensions.filter(|expected| *expected != found) {
        return Err(OpenAiError::VectorDimensions {
            text,
            found,
            expected,
        });
    }
    normalize(&mut vector).map_err(|problem| OpenAiError::InvalidVector { text, problem })?;
    Ok(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(data: &str, count: usize) -> Result<Vec<Vec<f32>>, OpenAiError> {
        let expected = Expected {
            count,
            dimensions: Some(2),
            first_text: 10,
        };
        response_vectors(format!(r#"{{"data": {data}}}"#).as_bytes(), expected)
    }

    #[test]
    fn vectors_are_normalized_and_in_the_order_of_their_indices() {
        let data = r#"[{"index": 1, "embedding": [0, 3e38]},
            {"object": "embedding", "index": 0, "embedding": [3, -4.0]}]"#;
        assert_eq!(vectors(data, 2).unwrap(), [[0.6, -0.8], [0.0, 1.0]]);
        let data = r#"[{"embedding": [1, 0]}, {"embedding": [0, 1]}]"#;
        assert_eq!(vectors(data, 2).unwrap(), [[1.0, 0.0], [0.0, 1.0]]);
    }

    #[test]
    fn base64_is_read_with_and_without_padding() {
        // [1.0, 0.0] in little-endian bytes.
        for text in ["AACAPwAAAAA=", "AACAPwAAAAA"] {
            let data = format!(r#"[{{"index": 0, "embedding": "{text}"}}]"#);
            assert_eq!(vectors(&data, 1).unwrap(), [[1.0, 0.0]]);
        }
    }

    #[test]
    fn invalid_vectors_are_errors_with_the_place_in_the_call() {
        for (embedding, is_expected) in [
            ("[1e39, 0]", "component 0"),
            ("[1, null]", "component 1"),
            // [NaN, 0.0]
            (r#""AADAfwAAAAA=""#, "component 0"),
            ("[0, 0.0]", "zeros"),
            ("[1]", "1 components, 2 are expected"),
            ("[]", "0 components, 2 are expected"),
            (r#""AACAPwAAAA==""#, "not base64"),
            (r#""AACA_wAAAAA=""#, "not base64"),
        ] {
            let data = format!(r#"[{{"index": 0, "embedding": {embedding}}}]"#);
            let text = vectors(&data, 1).unwrap_err().to_string();
            assert!(text.contains(is_expected), "{text}");
            assert!(text.contains("text 10"), "{text}");
        }
    }

    #[test]
    fn indices_that_are_not_those_of_the_texts_are_errors() {
        let item = |index: &str| format!(r#"{{{index}"embedding": [1, 0]}}"#);
        for (first, second) in [
            (r#""index": 0, "#, r#""index": 0, "#),
            (r#""index": 1, "#, r#""index": 2, "#),
            (r#""index": 0, "#, ""),
        ] {
            let data = format!("[{}, {}]", item(first), item(second));
            let error = vectors(&data, 2).unwrap_err();
            assert!(matches!(error, OpenAiError::VectorIndex { count: 2 }));
        }
        let error = vectors(&format!("[{}]", item("")), 2).unwrap_err();
        let is_expected = |error| {
            matches!(
                error,
                OpenAiError::VectorCount {
                    found: 1,
                    expected: 2
                }
            )
        };
        assert!(is_expected(error));
    }

    #[test]
    fn other_shapes_are_errors() {
        for data in [
            "null",
            "{}",
            r#"[{"index": 0}]"#,
            r#"[{"embedding": [[1, 0]]}]"#,
        ] {
            let error = vectors(data, 1).unwrap_err();
            assert!(matches!(error, OpenAiError::UnexpectedShape), "{data}");
        }
        // NaN is no JSON.
        let error = vectors(r#"[{"embedding": [NaN, 0]}]"#, 1).unwrap_err();
        assert!(matches!(error, OpenAiError::NotJson));
    }
}
