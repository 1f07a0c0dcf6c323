//! Tiny models of families that differ in what they compute.

use std::path::Path;
use std::sync::LazyLock;

use oarlock::internal::format::layout::WeightType;
use oarlock_convert::{ConvertOptions, Silent, Weights, convert};
use oarlock_tests::{TempDir, fixture};

/// The families: windows, caps and norms; experts; sinks and thoughts; ALiBi; learned positions; heads
/// in pairs; two sets of frequencies.
const TINY: [(&str, WeightType); 9] = [
    ("gqa", WeightType::Int8),
    ("gqa", WeightType::F32),
    ("gemma2", WeightType::Int4),
    ("qwen2-moe", WeightType::Int4a),
    ("gpt-oss", WeightType::Int4n),
    ("mpt", WeightType::Int5),
    ("opt", WeightType::Int8),
    ("diffllama", WeightType::Int4n),
    ("phi3-long", WeightType::Int5),
];

/// Their files.
pub fn all() -> Vec<Vec<u8>> {
    static ALL: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let folder = TempDir::new();
        let convert = |(name, kind)| converted(name, kind, &folder.join("tiny.oar"));
        let mut all: Vec<_> = TINY.into_iter().map(convert).collect();
        all.push(include_bytes!("../../../runtime/examples/tiny.oar").to_vec());
        all
    });
    ALL.clone()
}

fn converted(name: &str, kind: WeightType, to: &Path) -> Vec<u8> {
    let options = ConvertOptions { weights: Some(Weights::As(kind)), ..ConvertOptions::default() };
    convert(&fixture("tiny").join(name), to, &options, &Silent).expect("a model");
    std::fs::read(to).expect("a model")
}

/// A copy of a file that begins `skip` bytes behind a multiple of 64, and its place.
pub fn place(model: &[u8], skip: usize) -> (Vec<u8>, usize) {
    let mut bytes = vec![0; model.len() + 128];
    let at = bytes.as_ptr().align_offset(64) + skip;
    bytes[at..at + model.len()].copy_from_slice(model);
    (bytes, at)
}
