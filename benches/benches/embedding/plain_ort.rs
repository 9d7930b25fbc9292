//! The simplest embedder on ONNX Runtime: batches in input order, padded to the
//! longest text, mean pooling.

use std::error::Error;
use std::path::PathBuf;
use std::thread;

use memory_sentence_transformers::ModelOptions;
use ort::environment::Environment;
use ort::session::Session;
use ort::value::Tensor;
use tokenizers::{PaddingParams, Tokenizer, TruncationParams};

/// Texts of a batch.
pub(crate) const BATCH: usize = 32;

/// The maximum length of the default model in tokens.
const MAX_TOKENS: usize = 256;

pub(crate) struct PlainOrt {
    session: Session,
    tokenizer: Tokenizer,
}

impl PlainOrt {
    pub(crate) fn open() -> Result<Self, Box<dyn Error>> {
        let folder = model_folder()?;
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let session = Session::builder(&environment()?)?
            .with_intra_threads(threads)?
            .commit_from_file(folder.join("model.onnx"))?;
        let mut tokenizer =
            Tokenizer::from_file(folder.join("tokenizer.json")).map_err(into_error)?;
        tokenizer.with_padding(Some(PaddingParams::default()));
        let truncation = TruncationParams {
            max_length: MAX_TOKENS,
            ..TruncationParams::default()
        };
        tokenizer
            .with_truncation(Some(truncation))
            .map_err(into_error)?;
        Ok(Self { session, tokenizer })
    }

    pub(crate) fn embed(&mut self, texts: &[&str]) -> Result<usize, Box<dyn Error>> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            vectors.extend(self.batch(batch)?);
        }
        Ok(vectors.len())
    }

    fn batch(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
        let encoded = self
            .tokenizer
            .encode_batch(texts.to_vec(), true)
            .map_err(into_error)?;
        let length = encoded.first().map_or(0, |text| text.get_ids().len());
        let rows = |of: fn(&tokenizers::Encoding) -> &[u32]| {
            let numbers = encoded.iter().flat_map(|text| of(text).iter().copied());
            let numbers: Vec<i64> = numbers.map(i64::from).collect();
            Tensor::from_array(([texts.len(), length], numbers))
        };
        let outputs = self.session.run(ort::inputs![
            "input_ids" => rows(tokenizers::Encoding::get_ids)?,
            "attention_mask" => rows(tokenizers::Encoding::get_attention_mask)?,
            "token_type_ids" => rows(tokenizers::Encoding::get_type_ids)?,
        ])?;
        let (shape, values) = outputs[0].try_extract_tensor::<f32>()?;
        let dimensions = usize::try_from(shape.last().copied().unwrap_or(1))?.max(1);
        let of_text = values.chunks(dimensions * length.max(1)).zip(&encoded);
        Ok(of_text
            .map(|(tokens, text)| pool(tokens, text.get_attention_mask(), dimensions))
            .collect())
    }
}

/// Mean pooling over the mask, L2-normalized.
fn pool(tokens: &[f32], mask: &[u32], dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0.0; dimensions];
    let counted = tokens
        .chunks(dimensions)
        .zip(mask)
        .filter(|(_, on)| **on == 1);
    for (token, _) in counted {
        for (sum, value) in sum.iter_mut().zip(token) {
            *sum += value;
        }
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    sum.iter()
        .map(|value| value / length.max(f32::EPSILON))
        .collect()
}

/// The default model's folder.
pub(crate) fn model_folder() -> Result<PathBuf, Box<dyn Error>> {
    Ok(ModelOptions::default().resolve_model_dir()?)
}

/// The runtime library that `memory-onnx` uses, from the cache folder.
pub(crate) fn environment() -> Result<Environment, Box<dyn Error>> {
    let library = memory_assets::runtime_library(&memory_assets::cache_dir()?);
    Ok(ort::init_from(library)?.build()?)
}

fn into_error(error: tokenizers::Error) -> Box<dyn Error> {
    error.to_string().into()
}
