//! A limit of memory that the kernel enforces on a child process.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::results::LimitReport;

/// A limit of memory. A control group that it created is removed on drop.
#[derive(Debug)]
pub struct MemoryLimit {
    bytes: u64,
    mechanism: Mechanism,
}

#[derive(Debug)]
enum Mechanism {
    /// A group of control groups version 2, or of the memory controller of version 1.
    Group { folder: PathBuf, version: u8 },
    /// A limit of address space, which also counts what is mapped and not used.
    AddressSpace,
}

impl MemoryLimit {
    /// Creates a control group with this limit; where this process may not, the
    /// limit is one of address space.
    #[must_use]
    pub fn create(bytes: u64) -> Self {
        let groups = [
            ("/sys/fs/cgroup", "cgroup.controllers", "memory.max", 2),
            (
                "/sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.limit_in_bytes",
                1,
            ),
        ];
        for (root, marker, limit, version) in groups {
            let root = Path::new(root);
            if root.join(marker).exists()
                && let Ok(folder) = create_group(root, limit, bytes)
            {
                let mechanism = Mechanism::Group { folder, version };
                return Self { bytes, mechanism };
            }
        }
        Self {
            bytes,
            mechanism: Mechanism::AddressSpace,
        }
    }

    /// A command that runs `program` under the limit.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        match &self.mechanism {
            Mechanism::Group { folder, .. } => {
                let mut command = Command::new("sh");
                command
                    .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
                    .arg(folder.join("cgroup.procs"))
                    .arg(program);
                command
            }
            Mechanism::AddressSpace => {
                let mut command = Command::new("prlimit");
                command.arg(format!("--as={}", self.bytes)).arg(program);
                command
            }
        }
    }

    /// The limit, and the largest use so far.
    #[must_use]
    pub fn report(&self) -> LimitReport {
        let (mechanism, peak_bytes) = match &self.mechanism {
            Mechanism::Group { folder, version } => {
                let file = match version {
                    2 => "memory.peak",
                    _ => "memory.max_usage_in_bytes",
                };
                let peak = std::fs::read_to_string(folder.join(file)).ok();
                let peak = peak.and_then(|text| text.trim().parse().ok());
                (format!("control group, version {version}"), peak)
            }
            Mechanism::AddressSpace => ("address space (RLIMIT_AS)".to_owned(), None),
        };
        LimitReport {
            mechanism,
            bytes: self.bytes,
            peak_bytes,
        }
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        if let Mechanism::Group { folder, .. } = &self.mechanism {
            // Only an empty group can be removed; one that is left does no harm.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

fn create_group(root: &Path, limit_file: &str, bytes: u64) -> io::Result<PathBuf> {
    let folder = root.join(format!("memory-preset-load-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let limit = std::fs::write(folder.join(limit_file), bytes.to_string());
    if limit.is_err() {
        std::fs::remove_dir(&folder)?;
    }
    limit.map(|()| folder)
}
