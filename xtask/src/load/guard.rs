//! Ends the servers when this process ends, also where it is killed.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::error::TaskError;
use crate::shell;

/// Waits until its stdin is closed, which happens when the parent ends however it does;
/// then ends the processes whose ids are in the folders, and removes the folders.
/// PostgreSQL stops on `SIGQUIT` without waiting for anything.
const SCRIPT: &str = r#"
cat > /dev/null
for folder; do
    file="$folder/data/postmaster.pid"
    [ -e "$file" ] && kill -QUIT "$(head -n 1 "$file")"
    file="$folder/pid"
    [ -e "$file" ] && kill -KILL "$(head -n 1 "$file")"
done
for folder; do
    [ -e "$folder" ] && sleep 1 && rm -rf "$folder"
done
"#;

/// A shell that outlives this process for a moment. Dropping it waits for its end.
pub(super) struct Guard(Child);

impl Guard {
    /// Guards the servers in these folders.
    pub(super) fn start(folders: &[&Path]) -> Result<Self, TaskError> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "guard"]).args(folders);
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        // In our process group it would receive Ctrl-C as well.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let process = command.spawn().map_err(shell::start_failed(&command))?;
        Ok(Self(process))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // The servers have been stopped: it has nothing to do.
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn processes_end_and_folders_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let servers = [("data/postmaster.pid", 3), ("pid", 9)].map(|(file, signal)| {
            let process = Command::new("sleep").arg("60").spawn().unwrap();
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{}\nmore\n", process.id())).unwrap();
            (process, signal)
        });
        drop(Guard::start(&[folder.path()]).unwrap());
        for (mut process, signal) in servers {
            assert_eq!(process.wait().unwrap().signal(), Some(signal));
        }
        assert!(!folder.path().exists());
    }
}
