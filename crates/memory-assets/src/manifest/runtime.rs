//! ONNX Runtime, one wheel per platform.

use std::env::consts;

use super::{Asset, Member, Wheel};
use crate::paths::RUNTIME_VERSION;

/// The platforms that have a pinned runtime: operating system and
/// architecture, as [`std::env::consts`] names them. Linux means glibc 2.28 or
/// newer, macOS means 14 or newer.
pub const PLATFORMS: &[(&str, &str)] = &[
    ("linux", "x86_64"),
    ("linux", "aarch64"),
    ("macos", "aarch64"),
    ("windows", "x86_64"),
    ("windows", "aarch64"),
];

/// The pinned runtime for the platform this program runs on, if there is one.
#[must_use]
pub fn runtime() -> Option<Asset> {
    // The Linux wheels require glibc.
    let loads = !cfg!(target_os = "linux") || cfg!(target_env = "gnu");
    runtime_for(consts::OS, consts::ARCH).filter(|_| loads)
}

/// The pinned runtime for a platform, named as in [`PLATFORMS`].
#[must_use]
pub fn runtime_for(os: &str, arch: &str) -> Option<Asset> {
    let wheels: &'static [Wheel] = match (os, arch) {
        ("linux", "x86_64") => &[LINUX_X86_64],
        ("linux", "aarch64") => &[LINUX_AARCH64],
        ("macos", "aarch64") => &[MACOS_AARCH64],
        ("windows", "x86_64") => &[WINDOWS_X86_64],
        ("windows", "aarch64") => &[WINDOWS_AARCH64],
        _ => return None,
    };
    Some(Asset {
        name: "ONNX Runtime 1.32.0",
        folder: "onnxruntime/1.32.0",
        wheels,
    })
}

const LINUX_X86_64: Wheel = Wheel {
    package: PACKAGE,
    version: RUNTIME_VERSION,
    file_name: "onnxruntime-1.32.0-cp311-cp311-manylinux_2_28_x86_64.whl",
    size: 27_773_237,
    sha256: "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
    platform: Some("manylinux_2_28_x86_64"),
    conversion: None,
    members: &[
        UNIX_LICENSE,
        UNIX_NOTICES,
        Member {
            from: "onnxruntime/capi/libonnxruntime.so.1.32.0",
            to: "libonnxruntime.so.1.32.0",
            size: 34_824_680,
            sha256: "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
        },
    ],
};

const LINUX_AARCH64: Wheel = Wheel {
    package: PACKAGE,
    version: RUNTIME_VERSION,
    file_name: "onnxruntime-1.32.0-cp311-cp311-manylinux_2_28_aarch64.whl",
    size: 23_195_070,
    sha256: "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c",
    platform: Some("manylinux_2_28_aarch64"),
    conversion: None,
    members: &[
        UNIX_LICENSE,
        UNIX_NOTICES,
        Member {
            from: "onnxruntime/capi/libonnxruntime.so.1.32.0",
            to: "libonnxruntime.so.1.32.0",
            size: 27_165_936,
            sha256: "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a",
        },
    ],
};

const MACOS_AARCH64: Wheel = Wheel {
    package: PACKAGE,
    version: RUNTIME_VERSION,
    file_name: "onnxruntime-1.32.0-cp311-cp311-macosx_14_0_arm64.whl",
    size: 22_506_162,
    sha256: "366b9e53d07812cc5c92822cecf7563b76a8a0f32ba3bb8dd232a206ac3bcb6c",
    platform: Some("macosx_14_0_arm64"),
    conversion: None,
    members: &[
        UNIX_LICENSE,
        UNIX_NOTICES,
        Member {
            from: "onnxruntime/capi/libonnxruntime.1.32.0.dylib",
            to: "libonnxruntime.1.32.0.dylib",
            size: 35_272_344,
            sha256: "fa585fabbea65b823b9a8f7e27d46aee3989d1be7e36b528203d3a1fd613aae7",
        },
    ],
};

const WINDOWS_X86_64: Wheel = Wheel {
    package: PACKAGE,
    version: RUNTIME_VERSION,
    file_name: "onnxruntime-1.32.0-cp311-cp311-win_amd64.whl",
    size: 16_695_880,
    sha256: "d7e0c45cc5f456ad7805e6dd256a7662736cda9c2fd17becae194eb3c2f6df72",
    platform: Some("win_amd64"),
    conversion: None,
    members: &[
        WINDOWS_LICENSE,
        WINDOWS_NOTICES,
        Member {
            from: "onnxruntime/capi/onnxruntime.dll",
            to: "onnxruntime.dll",
            size: 22_668_640,
            sha256: "e9feebaed867b76f741c14ae64e056a3da64a153a61994f1fb48eadc7f9b3ba8",
        },
    ],
};

const WINDOWS_AARCH64: Wheel = Wheel {
    package: PACKAGE,
    version: RUNTIME_VERSION,
    file_name: "onnxruntime-1.32.0-cp311-cp311-win_arm64.whl",
    size: 16_027_290,
    sha256: "23361cdf98afac352d10aa7d9e0a10ceaeb02d38430fb693c6eff370196db62d",
    platform: Some("win_arm64"),
    conversion: None,
    members: &[
        WINDOWS_LICENSE,
        WINDOWS_NOTICES,
        Member {
            from: "onnxruntime/capi/onnxruntime.dll",
            to: "onnxruntime.dll",
            size: 20_798_816,
            sha256: "d3587771474d96427cc5683fa49440127e928622a5e9df0f3e24209ae1fc42ad",
        },
    ],
};

const PACKAGE: &str = "onnxruntime";

const UNIX_LICENSE: Member = Member {
    from: "onnxruntime/LICENSE",
    to: "LICENSE",
    size: 1_073,
    sha256: "2f07c72751aed99790b8a4869cf2311df85a860b22ded05fa22803587a48922c",
};

const UNIX_NOTICES: Member = Member {
    from: "onnxruntime/ThirdPartyNotices.txt",
    to: "ThirdPartyNotices.txt",
    size: 334_795,
    sha256: "d8696258afcf9df7827a5e01d6b6d55ee9b461b4e82020f5f48242deb9cc2270",
};

// The Windows wheels contain the same two texts with CRLF line ends.
const WINDOWS_LICENSE: Member = Member {
    from: "onnxruntime/LICENSE",
    to: "LICENSE",
    size: 1_094,
    sha256: "c250d6278f0b47a6439fb7592b08b58a55eb9f535aa49a1db63211c3f982b674",
};

const WINDOWS_NOTICES: Member = Member {
    from: "onnxruntime/ThirdPartyNotices.txt",
    to: "ThirdPartyNotices.txt",
    size: 341_120,
    sha256: "bf8073fd6a112ac2a656bb60799652127e881689e51d37ad20df446cd5188b2d",
};
