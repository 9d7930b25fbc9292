//! A small model of the BERT or XLM-RoBERTa family with random weights, for what the
//! default model does not have: other poolings, number types, names and files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use half::{bf16, f16};
use memory_testkit::{unigram_tokenizer, unigram_vocabulary};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use tempfile::TempDir;

pub(crate) const HIDDEN: usize = 48;
const HEADS: usize = 4;
const LAYERS: usize = 2;
const INTERMEDIATE: usize = 80;
const VOCABULARY: usize = 30_522;
/// Enough for texts of about a hundred characters, which are as many tokens.
const POSITIONS: usize = 128;

/// Shape and numbers of a tensor.
type Numbers = (Vec<usize>, Vec<f32>);

/// The tensors of a checkpoint by name.
pub(crate) struct RandomBert {
    pub(crate) tensors: BTreeMap<String, Numbers>,
    pub(crate) cls: bool,
    family: Family,
    /// Fields of `config_sentence_transformers.json`.
    prompts: Option<serde_json::Value>,
}

/// What distinguishes the families.
#[derive(Clone, Copy, PartialEq)]
enum Family {
    Bert,
    XlmRoberta,
}

/// The index of XLM-RoBERTa's padding token.
const PADDING: usize = 1;

impl RandomBert {
    /// A model with the default model's vocabulary.
    pub(crate) fn new() -> Self {
        Self::of(Family::Bert, VOCABULARY, 2)
    }

    /// A model with the vocabulary of [`unigram_tokenizer`], one segment type and positions
    /// after the padding token's.
    pub(crate) fn xlm_roberta() -> Self {
        Self::of(Family::XlmRoberta, unigram_vocabulary(), 1)
    }

    /// With the prompts of queries and passages.
    pub(crate) fn with_prompts(mut self, query: &str, passage: &str) -> Self {
        self.prompts = Some(serde_json::json!({"query": query, "passage": passage}));
        self
    }

    fn of(family: Family, vocabulary: usize, types: usize) -> Self {
        let mut rng = SeededRng(7);
        let mut tensors = BTreeMap::new();
        let mut add = |name: &str, shape: &[usize], center: f32, spread: f32| {
            let count = shape.iter().product();
            let numbers = (0..count).map(|_| center + spread * rng.next());
            tensors.insert(name.to_owned(), (shape.to_vec(), numbers.collect()));
        };
        add(
            "embeddings.word_embeddings.weight",
            &[vocabulary, HIDDEN],
            0.0,
            1.0,
        );
        add(
            "embeddings.position_embeddings.weight",
            &[POSITIONS, HIDDEN],
            0.0,
            0.5,
        );
        add(
            "embeddings.token_type_embeddings.weight",
            &[types, HIDDEN],
            0.0,
            0.5,
        );
        add("embeddings.LayerNorm.weight", &[HIDDEN], 1.0, 0.3);
        add("embeddings.LayerNorm.bias", &[HIDDEN], 0.0, 0.3);
        for layer in 0..LAYERS {
            for (part, rows, columns) in [
                ("attention.self.query", HIDDEN, HIDDEN),
                ("attention.self.key", HIDDEN, HIDDEN),
                ("attention.self.value", HIDDEN, HIDDEN),
                ("attention.output.dense", HIDDEN, HIDDEN),
                ("intermediate.dense", INTERMEDIATE, HIDDEN),
                ("output.dense", HIDDEN, INTERMEDIATE),
            ] {
                let name = format!("encoder.layer.{layer}.{part}");
                add(&format!("{name}.weight"), &[rows, columns], 0.0, 0.4);
                add(&format!("{name}.bias"), &[rows], 0.0, 0.2);
            }
            for part in ["attention.output", "output"] {
                let name = format!("encoder.layer.{layer}.{part}.LayerNorm");
                add(&format!("{name}.weight"), &[HIDDEN], 1.0, 0.3);
                add(&format!("{name}.bias"), &[HIDDEN], 0.0, 0.3);
            }
        }
        Self {
            tensors,
            cls: false,
            family,
            prompts: None,
        }
    }

    /// Rounds every number to the precision of a number type.
    pub(crate) fn rounded(mut self, dtype: Dtype) -> Self {
        for (_, numbers) in self.tensors.values_mut() {
            for x in numbers {
                *x = match dtype {
                    Dtype::F16 => f16::from_f32(*x).to_f32(),
                    Dtype::BF16 => bf16::from_f32(*x).to_f32(),
                    _ => *x,
                };
            }
        }
        self
    }

    /// A model directory with these weights, each name with `prefix`.
    pub(crate) fn folder(&self, dtype: Dtype, prefix: &str) -> TempDir {
        let folder = self.folder_without_weights();
        let all = self.tensors.iter();
        let file = folder.path().join("model.safetensors");
        fs::write(file, content(all, dtype, prefix)).unwrap();
        folder
    }

    /// Like [`folder`](Self::folder), with the weights in two files and an index.
    pub(crate) fn sharded_folder(&self) -> TempDir {
        let folder = self.folder_without_weights();
        let mut weight_map = BTreeMap::new();
        for number in 0..2 {
            let file = format!("model-0000{}-of-00002.safetensors", number + 1);
            let every_second = self.tensors.iter().skip(number).step_by(2);
            weight_map.extend(every_second.clone().map(|(name, _)| (name, file.clone())));
            let content = content(every_second, Dtype::F32, "");
            fs::write(folder.path().join(file), content).unwrap();
        }
        let index = serde_json::json!({ "metadata": {}, "weight_map": weight_map });
        let file = folder.path().join("model.safetensors.index.json");
        fs::write(file, index.to_string()).unwrap();
        folder
    }

    fn folder_without_weights(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        };
        write(
            "modules.json",
            r#"[{"path":"","type":"x.Transformer"},{"path":"1_Pooling","type":"x.Pooling"}]"#,
        );
        let mode = if self.cls { "cls_token" } else { "mean_tokens" };
        let pooling = format!(r#"{{"pooling_mode_{mode}":true}}"#);
        write("1_Pooling/config.json", &pooling);
        let rows = |name: &str| self.tensors.get(name).map(|(shape, _)| shape[0]);
        let is_bert = self.family == Family::Bert;
        let config = serde_json::json!({
            "model_type": if is_bert { "bert" } else { "xlm-roberta" },
            "pad_token_id": if is_bert { 0 } else { PADDING },
            "hidden_act": "gelu", "layer_norm_eps": 1e-5,
            "hidden_size": HIDDEN, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS,
            "intermediate_size": INTERMEDIATE,
            "vocab_size": rows("embeddings.word_embeddings.weight"),
            "max_position_embeddings": POSITIONS,
            "type_vocab_size": rows("embeddings.token_type_embeddings.weight"),
        });
        write("config.json", &config.to_string());
        if let Some(prompts) = &self.prompts {
            let config = serde_json::json!({ "prompts": prompts });
            write("config_sentence_transformers.json", &config.to_string());
        }
        if is_bert {
            copy_tokenizer(folder.path());
        } else {
            write("tokenizer.json", &unigram_tokenizer());
        }
        folder
    }
}

/// The bytes of a file with these tensors.
fn content<'a>(
    tensors: impl Iterator<Item = (&'a String, &'a Numbers)>,
    dtype: Dtype,
    prefix: &str,
) -> Vec<u8> {
    let bytes = |x: &f32| match dtype {
        Dtype::F16 => f16::from_f32(*x).to_le_bytes().to_vec(),
        Dtype::BF16 => bf16::from_f32(*x).to_le_bytes().to_vec(),
        _ => x.to_le_bytes().to_vec(),
    };
    let encoded = tensors.map(|(name, (shape, numbers))| {
        let bytes: Vec<u8> = numbers.iter().flat_map(bytes).collect();
        (format!("{prefix}{name}"), shape.clone(), bytes)
    });
    let encoded: Vec<_> = encoded.collect();
    let views = encoded
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(dtype, shape.clone(), bytes).unwrap()));
    serialize(views, None).unwrap()
}

fn copy_tokenizer(folder: &Path) {
    let model = memory_assets::cache_dir().unwrap();
    let model = memory_assets::model_dir(&model, memory_assets::DEFAULT_MODEL);
    fs::copy(model.join("tokenizer.json"), folder.join("tokenizer.json")).unwrap();
}

/// Pseudorandom numbers from -1 to 1, the same in every run.
struct SeededRng(u64);

impl SeededRng {
    fn next(&mut self) -> f32 {
        // Knuth's MMIX generator; its high bits are good enough here.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }
}
