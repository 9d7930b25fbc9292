//! libtorch 2.4.0 for the CPU: a development asset.
//!
//! `memory-bert` is built and run with it. The package registry has no CPU-only
//! build, so the headers and the CPU libraries are taken from the CUDA build. They
//! link to two small CUDA libraries, which they do not call without a GPU.

use std::env::consts;

use super::{Asset, Member, Wheel};

/// The pinned version of libtorch, which tch 0.17 requires.
pub const LIBTORCH_VERSION: &str = "2.4.0";

/// The pinned libtorch for the platform this program runs on, if there is one.
///
/// Its folder contains `include` and `lib`. It lacks `lib/libtorch.so`, which
/// linkers look for and which the wheel has only for CUDA. To build with it,
/// create an empty library of that name that links to `libtorch_cpu.so` and
/// `libc10.so`.
#[must_use]
pub fn libtorch() -> Option<Asset> {
    let runs = consts::OS == "linux" && consts::ARCH == "x86_64" && cfg!(target_env = "gnu");
    runs.then_some(LINUX_X86_64)
}

pub(super) const LINUX_X86_64: Asset = Asset {
    name: "libtorch 2.4.0",
    folder: "libtorch/2.4.0",
    wheels: &[TORCH, CUPTI, CUDART],
};

const TORCH: Wheel = Wheel {
    package: "torch",
    version: LIBTORCH_VERSION,
    file_name: "torch-2.4.0-cp311-cp311-manylinux1_x86_64.whl",
    size: 797_262_052,
    sha256: "e743adadd8c8152bb8373543964551a7cb7cc20ba898dc8f9c0cdbe47c283de0",
    platform: Some("manylinux1_x86_64"),
    conversion: None,
    members: &[
        Member {
            from: "torch/include/",
            to: "include/",
            size: 27_710_818,
            sha256: "924ae7f697136caa656023eeaaef9d636a7964d87fbbfdcd69895bbce0d2a116",
        },
        Member {
            from: "torch/lib/libtorch_cpu.so",
            to: "lib/libtorch_cpu.so",
            size: 492_516_273,
            sha256: "c1d237422ff0f010bddf58193a62c68b200123a24e1ee53b40166f609f19ca92",
        },
        Member {
            from: "torch/lib/libc10.so",
            to: "lib/libc10.so",
            size: 1_347_801,
            sha256: "ff4eddb5dec320702e7cf1a35af3a83cf2fcce29c68e4bfeeb0e0bfd48724041",
        },
        Member {
            from: "torch/lib/libgomp-a34b3233.so.1",
            to: "lib/libgomp-a34b3233.so.1",
            size: 169_089,
            sha256: "9eb01021bb58ec36925daeb5a56606bfab558332eb5f5119e990e4c208ed2581",
        },
        Member {
            from: "torch-2.4.0.dist-info/LICENSE",
            to: "LICENSE",
            size: 483_736,
            sha256: "605a7dd8648cf774e407b2fef9a09ce4271bc45b692e18d5bd047b268c2d8768",
        },
        Member {
            from: "torch-2.4.0.dist-info/NOTICE",
            to: "NOTICE",
            size: 23_632,
            sha256: "c2cc7bf0caec7652c2b460a8a470bea1677f241e4ab8e431df34cf17f5a9fec0",
        },
    ],
};

const CUPTI: Wheel = Wheel {
    package: "nvidia-cuda-cupti-cu12",
    version: "12.1.105",
    file_name: "nvidia_cuda_cupti_cu12-12.1.105-py3-none-manylinux1_x86_64.whl",
    size: 14_109_015,
    sha256: "e54fde3983165c624cb79254ae9818a456eb6e87a7fd4d56a2352c24ee542d7e",
    platform: Some("manylinux1_x86_64"),
    conversion: None,
    members: &[
        Member {
            from: "nvidia/cuda_cupti/lib/libcupti.so.12",
            to: "lib/libcupti.so.12",
            size: 7_419_504,
            sha256: "abc63100e9cf516b8ed1fa25354ae53dbfe8df4838ac525d8d738332c2198dc2",
        },
        Member {
            from: "nvidia_cuda_cupti_cu12-12.1.105.dist-info/License.txt",
            to: "LICENSE.cupti",
            size: 59_262,
            sha256: "ad6f5853fba0ca0d159d0f58d49ae49830c2f8c93f7a92648b9ce90adb4c6ccd",
        },
    ],
};

const CUDART: Wheel = Wheel {
    package: "nvidia-cuda-runtime-cu12",
    version: "12.1.105",
    file_name: "nvidia_cuda_runtime_cu12-12.1.105-py3-none-manylinux1_x86_64.whl",
    size: 823_596,
    sha256: "6e258468ddf5796e25f1dc591a31029fa317d97a0a94ed93468fc86301d61e40",
    platform: Some("manylinux1_x86_64"),
    conversion: None,
    members: &[
        Member {
            from: "nvidia/cuda_runtime/lib/libcudart.so.12",
            to: "lib/libcudart.so.12",
            size: 679_264,
            sha256: "9335f6a29ca91010e2da9f40e82fb4b28e3a4ae22fd385e1293e93bf3c46c9e6",
        },
        Member {
            from: "nvidia_cuda_runtime_cu12-12.1.105.dist-info/License.txt",
            to: "LICENSE.cudart",
            size: 59_262,
            sha256: "ad6f5853fba0ca0d159d0f58d49ae49830c2f8c93f7a92648b9ce90adb4c6ccd",
        },
    ],
};
