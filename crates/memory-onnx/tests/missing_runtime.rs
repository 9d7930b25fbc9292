//! Without the runtime library: an error that says so, and no panic. In a
//! process of its own, because a process that has loaded one keeps it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use memory_core::ErrorKind;
use memory_onnx::{OnnxEmbedder, OnnxOptions, load_runtime};

#[tokio::test]
async fn a_missing_library_is_an_error_and_can_be_mended_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("libonnxruntime.so.1.32.0");
    let options = OnnxOptions::new().runtime_library(&absent);
    for _ in 0..2 {
        let error = OnnxEmbedder::open(options.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Missing);
        let text = error.to_string();
        assert!(text.contains(absent.to_str().unwrap()), "{text}");
        assert!(text.contains(memory_assets::SETUP_COMMAND), "{text}");
    }
    // Not a library at all, as a failed download leaves it.
    std::fs::write(&absent, "<html>not found</html>").unwrap();
    assert_eq!(
        load_runtime(&options).unwrap_err().kind(),
        ErrorKind::Missing
    );
    let found = load_runtime(&OnnxOptions::new());
    assert!(
        found
            .unwrap_or_else(|error| panic!("{error}"))
            .library
            .is_file()
    );
}
