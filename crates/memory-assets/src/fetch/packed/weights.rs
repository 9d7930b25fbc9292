//! The weights as a safetensors file with the names of a BERT network.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use half::f16;

use super::file::{BLOCK, BLOCK_BYTES, PackedFile, PackedTensor, Problem};

/// A tensor of the file that is written.
#[derive(Debug)]
pub(super) struct Weight<'a> {
    name: String,
    shape: Vec<usize>,
    tensor: PackedTensor<'a>,
}

/// The parts of a layer: packed name, name in the network, rows and columns as the
/// network's (intermediate, hidden) sizes say.
const PARTS: [(&str, &str, Size, Size); 6] = [
    ("q", "attention.self.query", Size::Hidden, Size::Hidden),
    ("k", "attention.self.key", Size::Hidden, Size::Hidden),
    ("v", "attention.self.value", Size::Hidden, Size::Hidden),
    ("ao", "attention.output.dense", Size::Hidden, Size::Hidden),
    ("fi", "intermediate.dense", Size::Intermediate, Size::Hidden),
    ("fo", "output.dense", Size::Hidden, Size::Intermediate),
];

/// The layer normalizations of a layer.
const NORMS: [(&str, &str); 2] = [
    ("aln", "attention.output.LayerNorm"),
    ("oln", "output.LayerNorm"),
];

#[derive(Clone, Copy)]
enum Size {
    Hidden,
    Intermediate,
}

/// All weights of a packed model.
pub(super) fn list<'a>(packed: &PackedFile<'a>) -> Result<Vec<Weight<'a>>, Problem> {
    let hidden = packed.hidden;
    let size = |size| match size {
        Size::Hidden => hidden,
        Size::Intermediate => packed.intermediate,
    };
    let mut weights = Vec::new();
    let mut add = |from: &str, name: String, shape: Vec<usize>| {
        let tensor = packed.tensor(from, shape.iter().product())?;
        weights.push(Weight {
            name,
            shape,
            tensor,
        });
        Ok::<(), Problem>(())
    };
    for (from, name, rows) in [
        ("emb.word", "word_embeddings", packed.vocabulary),
        ("emb.pos", "position_embeddings", packed.positions),
        ("emb.type", "token_type_embeddings", packed.types),
    ] {
        add(
            from,
            format!("embeddings.{name}.weight"),
            vec![rows, hidden],
        )?;
    }
    for (from, name) in [("w", "weight"), ("b", "bias")] {
        let target = format!("embeddings.LayerNorm.{name}");
        add(&format!("emb.ln.{from}"), target, vec![hidden])?;
    }
    for layer in 0..packed.layers {
        let target = format!("encoder.layer.{layer}");
        for (from, name, rows, columns) in PARTS {
            let (rows, columns) = (size(rows), size(columns));
            let from = format!("l{layer}.{from}");
            add(
                &format!("{from}.w"),
                format!("{target}.{name}.weight"),
                vec![rows, columns],
            )?;
            add(
                &format!("{from}.b"),
                format!("{target}.{name}.bias"),
                vec![rows],
            )?;
        }
        for (from, name) in NORMS {
            for (part, full) in [("w", "weight"), ("b", "bias")] {
                let from = format!("l{layer}.{from}.{part}");
                add(&from, format!("{target}.{name}.{full}"), vec![hidden])?;
            }
        }
    }
    Ok(weights)
}

/// Writes the weights: quantized ones as 16-bit floats, the others as they are. The
/// header is written here because its bytes are pinned.
pub(super) fn write(weights: &[Weight<'_>], target: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create_new(target)?);
    let mut header = "{\"__metadata__\":{\"format\":\"pt\"}".to_owned();
    let mut offset = 0;
    for Weight {
        name,
        shape,
        tensor,
    } in weights
    {
        let (kind, bytes) = match tensor.is_quantized {
            true => ("F16", size_of::<f16>()),
            false => ("F32", size_of::<f32>()),
        };
        let end = offset + tensor.count * bytes;
        // Writing to a string cannot fail.
        let _ = write!(
            header,
            ",\"{name}\":{{\"dtype\":\"{kind}\",\"shape\":{shape:?},\"data_offsets\":[{offset},{end}]}}"
        );
        offset = end;
    }
    header.push('}');
    // The format aligns the tensors to 8 bytes.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for weight in weights {
        write_numbers(&weight.tensor, &mut file)?;
    }
    file.into_inner()?.sync_all()
}

fn write_numbers(tensor: &PackedTensor<'_>, to: &mut impl Write) -> io::Result<()> {
    if !tensor.is_quantized {
        return to.write_all(tensor.data);
    }
    let (blocks, _) = tensor.data.as_chunks::<BLOCK_BYTES>();
    for block in blocks {
        to.write_all(dequantize(block).as_flattened())?;
    }
    Ok(())
}

/// The numbers of a block as the bytes of 16-bit floats: `(q - 8) · scale`. The low
/// halves of the bytes are the first 16 numbers, the high halves the others.
fn dequantize(block: &[u8; BLOCK_BYTES]) -> [[u8; 2]; BLOCK] {
    let [low, high, nibbles @ ..] = block;
    let scale = f16::from_le_bytes([*low, *high]).to_f32();
    let mut level = -9.0;
    let levels = [(); 16].map(|()| {
        level += 1.0;
        f16::from_f32(level * scale).to_le_bytes()
    });
    let mut numbers = [[0; 2]; BLOCK];
    let (first, second) = numbers.split_at_mut(BLOCK / 2);
    for ((first, second), byte) in first.iter_mut().zip(second).zip(nibbles) {
        *first = levels[usize::from(byte & 0x0F)];
        *second = levels[usize::from(byte >> 4)];
    }
    numbers
}
