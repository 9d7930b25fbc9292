//! Who may depend on whom. A crate joins the house by a row here.

/// What one crate may depend on, directly or not, with its default features.
pub(super) struct Boundary {
    pub(super) package: &'static str,
    /// The only crates of the house that it may hold; `None` for any.
    pub(super) house: Option<&'static [&'static str]>,
    /// What it holds under no circumstances.
    pub(super) never: &'static [Group],
}

/// Packages that mean one thing.
pub(super) struct Group {
    pub(super) what: &'static str,
    pub(super) packages: &'static [&'static str],
}

pub(super) const BOUNDARIES: &[Boundary] = &[
    Boundary {
        package: "memory-core",
        house: Some(&[]),
        never: &[RUNTIMES, BACKENDS],
    },
    Boundary {
        package: "memory-assets",
        house: Some(&[]),
        never: &[RUNTIMES, BACKENDS, TLS],
    },
    Boundary {
        package: "memory-text",
        house: Some(&[]),
        never: &[RUNTIMES, BACKENDS, TLS],
    },
    Boundary {
        package: "memory-testkit",
        house: Some(&["memory-core"]),
        never: &[BACKENDS],
    },
    Boundary {
        package: "memory-engine",
        house: Some(&["memory-core", "memory-text"]),
        never: &[BACKENDS],
    },
    Boundary {
        package: "memory-sqlite",
        house: Some(&["memory-core", "memory-text"]),
        never: &[POSTGRES, TLS],
    },
    Boundary {
        package: "memory-pg",
        house: Some(&["memory-core"]),
        never: &[TLS],
    },
    Boundary {
        package: "memory-moka",
        house: Some(&["memory-core"]),
        never: &[RUNTIMES],
    },
    Boundary {
        package: "memory-quick",
        house: Some(&["memory-core"]),
        never: &[RUNTIMES],
    },
    Boundary {
        package: "memory-bert",
        house: Some(&[
            "memory-core",
            "memory-assets",
            "memory-sentence-transformers",
        ]),
        never: &[BACKENDS, TLS],
    },
    Boundary {
        package: "memory-sentence-transformers",
        house: Some(&["memory-core", "memory-assets"]),
        never: &[RUNTIMES, BACKENDS, LIBTORCH, TLS, UNPACKING],
    },
    Boundary {
        package: "memory-onnx",
        house: Some(&[
            "memory-core",
            "memory-assets",
            "memory-sentence-transformers",
        ]),
        never: &[LIBTORCH, TLS, UNPACKING],
    },
    Boundary {
        package: "memory-openai",
        house: Some(&["memory-core"]),
        never: &[BACKENDS, SECOND_TLS],
    },
    Boundary {
        package: "memory",
        house: None,
        never: &[POSTGRES, LIBTORCH, TLS],
    },
    Boundary {
        package: "memory-cli",
        house: None,
        never: &[POSTGRES, LIBTORCH, TLS],
    },
];

pub(super) const POSTGRES: Group = Group {
    what: "PostgreSQL",
    packages: &["sqlx-postgres", "tokio-postgres", "pgvector"],
};

const LIBTORCH: Group = Group {
    what: "libtorch",
    packages: &["tch", "torch-sys", "rust-bert"],
};

const TLS: Group = Group {
    what: "TLS stack",
    packages: &[
        "native-tls",
        "openssl",
        "openssl-sys",
        "rustls",
        "aws-lc-rs",
        "ring",
    ],
};

// Who speaks HTTPS does so with rustls on ring, as `memory-pg` does, and holds
// no other stack beside it.
const SECOND_TLS: Group = Group {
    what: "second TLS stack",
    packages: &["native-tls", "openssl", "openssl-sys", "aws-lc-rs"],
};

const RUNTIMES: Group = Group {
    what: "async runtime",
    packages: &["tokio", "async-std", "smol"],
};

const BACKENDS: Group = Group {
    what: "backend",
    packages: &["sqlx", "sqlx-core", "moka", "quick_cache", "ort"],
};

// An embedder only asks where the assets lie; fetching them is for the tools.
const UNPACKING: Group = Group {
    what: "unpacking of assets",
    packages: &["zip"],
};
