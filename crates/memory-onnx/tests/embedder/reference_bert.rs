//! A reference implementation of BERT's forward pass (Devlin et al., 2019): one
//! text at a time, in plain loops. It shares no code with the crate.
//! XLM-RoBERTa (Conneau et al., 2020) differs in the positions only.

#![allow(
    clippy::cast_possible_truncation,
    reason = "the result is rounded to 32 bits in the last step"
)]

use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;
use tokenizers::Tokenizer;

/// A checkpoint, its configuration and its tokenizer.
pub(crate) struct ReferenceBert {
    file: Vec<u8>,
    config: Value,
    tokenizer: Tokenizer,
}

/// A matrix with a row per token.
type Rows = Vec<Vec<f64>>;

impl ReferenceBert {
    pub(crate) fn open(folder: &Path) -> Self {
        let config = std::fs::read(folder.join("config.json")).unwrap();
        let mut tokenizer = Tokenizer::from_file(folder.join("tokenizer.json")).unwrap();
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).unwrap();
        Self {
            file: std::fs::read(folder.join("model.safetensors")).unwrap(),
            config: serde_json::from_slice(&config).unwrap(),
            tokenizer,
        }
    }

    /// The vector of a text: the mean over its tokens, or the first token if `cls`.
    pub(crate) fn embed(&self, text: &str, cls: bool) -> Vec<f32> {
        let encoding = self.tokenizer.encode(text, true).unwrap();
        let mut hidden = self.embeddings(encoding.get_ids());
        for layer in 0..self.number("num_hidden_layers") {
            hidden = self.layer(&format!("encoder.layer.{layer}"), hidden);
        }
        let rows = if cls { 1 } else { hidden.len() };
        let width = hidden[0].len();
        let sum = |column| hidden[..rows].iter().map(|row| row[column]).sum::<f64>();
        let vector: Vec<f64> = (0..width).map(sum).collect();
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.iter().map(|x| (x / length) as f32).collect()
    }

    fn embeddings(&self, ids: &[u32]) -> Rows {
        let words = self.matrix("embeddings.word_embeddings.weight");
        let positions = self.matrix("embeddings.position_embeddings.weight");
        let types = self.matrix("embeddings.token_type_embeddings.weight");
        let padding = || self.config["pad_token_id"].as_u64().unwrap();
        let first = match self.config["model_type"].as_str() {
            Some("xlm-roberta") => usize::try_from(padding()).unwrap() + 1,
            _ => 0,
        };
        let row = |(index, id): (usize, &u32)| {
            let position = first + index;
            let sum = |column: usize| {
                words[*id as usize][column] + positions[position][column] + types[0][column]
            };
            (0..words[0].len()).map(sum).collect()
        };
        let rows = ids.iter().enumerate().map(row).collect();
        self.norm("embeddings.LayerNorm", rows)
    }

    fn layer(&self, name: &str, input: Rows) -> Rows {
        let attended = self.attention(&format!("{name}.attention.self"), &input);
        let attended = self.linear(&format!("{name}.attention.output.dense"), &attended);
        let name_of_norm = format!("{name}.attention.output.LayerNorm");
        let attended = self.norm(&name_of_norm, add(attended, &input));
        let mut wide = self.linear(&format!("{name}.intermediate.dense"), &attended);
        wide.iter_mut().flatten().for_each(|x| *x = gelu(*x));
        let narrow = self.linear(&format!("{name}.output.dense"), &wide);
        self.norm(&format!("{name}.output.LayerNorm"), add(narrow, &attended))
    }

    fn attention(&self, name: &str, input: &Rows) -> Rows {
        let [query, key, value] =
            ["query", "key", "value"].map(|part| self.linear(&format!("{name}.{part}"), input));
        let width = query[0].len();
        let each = width / self.number("num_attention_heads");
        let mut output = vec![vec![0.0; width]; input.len()];
        for head in (0..width).step_by(each) {
            for (row, query) in query.iter().enumerate() {
                let score = |key: &Vec<f64>| {
                    let product: f64 = (head..head + each).map(|n| query[n] * key[n]).sum();
                    (product / (each as f64).sqrt()).exp()
                };
                let weights: Vec<f64> = key.iter().map(score).collect();
                let all: f64 = weights.iter().sum();
                for (weight, value) in weights.iter().zip(&value) {
                    for n in head..head + each {
                        output[row][n] += weight / all * value[n];
                    }
                }
            }
        }
        output
    }

    fn linear(&self, name: &str, input: &Rows) -> Rows {
        let weight = self.matrix(&format!("{name}.weight"));
        let bias = self.vector(&format!("{name}.bias"));
        let row = |x: &Vec<f64>| {
            let product = |(weight, bias): (&Vec<f64>, &f64)| {
                bias + weight.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()
            };
            weight.iter().zip(&bias).map(product).collect()
        };
        input.iter().map(row).collect()
    }

    fn norm(&self, name: &str, mut rows: Rows) -> Rows {
        let weight = self.vector(&format!("{name}.weight"));
        let bias = self.vector(&format!("{name}.bias"));
        let epsilon = self.config["layer_norm_eps"].as_f64().unwrap();
        for row in &mut rows {
            let count = row.len() as f64;
            let mean = row.iter().sum::<f64>() / count;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            for (n, x) in row.iter_mut().enumerate() {
                *x = (*x - mean) / (variance + epsilon).sqrt() * weight[n] + bias[n];
            }
        }
        rows
    }

    fn number(&self, key: &str) -> usize {
        usize::try_from(self.config[key].as_u64().unwrap()).unwrap()
    }

    fn vector(&self, name: &str) -> Vec<f64> {
        let tensors = SafeTensors::deserialize(&self.file).unwrap();
        let (numbers, _) = tensors.tensor(name).unwrap().data().as_chunks::<4>();
        numbers
            .iter()
            .map(|bytes| f64::from(f32::from_le_bytes(*bytes)))
            .collect()
    }

    fn matrix(&self, name: &str) -> Rows {
        let tensors = SafeTensors::deserialize(&self.file).unwrap();
        let columns = tensors.tensor(name).unwrap().shape()[1];
        let numbers = self.vector(name);
        numbers.chunks(columns).map(<[f64]>::to_vec).collect()
    }
}

fn add(mut rows: Rows, others: &Rows) -> Rows {
    for (row, other) in rows.iter_mut().zip(others) {
        row.iter_mut().zip(other).for_each(|(x, y)| *x += y);
    }
    rows
}

/// x/2 · (1 + erf(x/√2)), with the error function by its series (Abramowitz and
/// Stegun 7.1.6), which converges everywhere.
fn gelu(x: f64) -> f64 {
    let z = x / std::f64::consts::SQRT_2;
    if z.abs() > 6.0 {
        return if z > 0.0 { x } else { 0.0 };
    }
    let (mut term, mut sum) = (z, z);
    for n in 1..200 {
        term *= 2.0 * z * z / f64::from(2 * n + 1);
        sum += term;
    }
    let erf = 2.0 / std::f64::consts::PI.sqrt() * (-z * z).exp() * sum;
    x / 2.0 * (1.0 + erf)
}
