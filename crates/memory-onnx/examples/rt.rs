use memory_onnx::*;
fn main() {
    match load_runtime(&OnnxOptions::new()) {
        Ok(i) => println!("{i:#?}"),
        Err(e) => println!("{e}"),
    }
}
