//! Model directories and GGUF files to convert, made from the fixtures and then spoilt.

use std::path::{Path, PathBuf};

use oarlock_convert::{ConvertOptions, Report, Result, Silent, convert};
use oarlock_tests::{Aligned, TempDir, fixture};
use serde_json::{Map, Value, json};

/// A copy of a model directory, to be changed at will.
pub struct Source {
    dir: TempDir,
}

/// A tensor of a safetensors file: dtype, shape, bytes.
pub type Tensor = (String, Vec<usize>, Vec<u8>);

impl Source {
    pub fn of(name: &str) -> Self {
        let dir = TempDir::new();
        for entry in std::fs::read_dir(fixture("tiny").join(name)).unwrap() {
            let entry = entry.unwrap();
            if !entry.file_name().to_string_lossy().starts_with("golden") {
                std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
            }
        }
        Self { dir }
    }

    /// A model with one matrix of `rows` × 1024 zeros, which takes no space on disk.
    pub fn large(rows: u64) -> Self {
        use std::io::{Seek, Write};

        let source = Self::of("gqa");
        let width = 1024_u64;
        source.edit_json("config.json", |c| {
            for (key, v) in [("vocab_size", rows), ("hidden_size", width), ("num_hidden_layers", 1)]
            {
                c.insert(key.into(), json!(v));
            }
        });
        let (mut header, mut offset) = (serde_json::Map::new(), 0);
        let norms = [
            "model.norm",
            "model.layers.0.input_layernorm",
            "model.layers.0.post_attention_layernorm",
        ];
        let mut add = |name: &str, shape: Vec<u64>| {
            let end = offset + 4 * shape.iter().product::<u64>();
            let info = json!({"dtype": "F32", "shape": shape, "data_offsets": [offset, end]});
            header.insert(format!("{name}.weight"), info);
            offset = end;
        };
        norms.iter().for_each(|name| add(name, vec![width]));
        add("model.embed_tokens", vec![rows, width]);
        for (name, shape) in [
            ("self_attn.q_proj", vec![48, width]),
            ("self_attn.k_proj", vec![24, width]),
            ("self_attn.v_proj", vec![24, width]),
            ("self_attn.o_proj", vec![width, 48]),
            ("mlp.gate_proj", vec![80, width]),
            ("mlp.up_proj", vec![80, width]),
            ("mlp.down_proj", vec![width, 80]),
        ] {
            add(&format!("model.layers.0.{name}"), shape);
        }
        let header = serde_json::Value::Object(header).to_string();
        let mut file = std::fs::File::create(source.join("model.safetensors")).unwrap();
        file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
        file.write_all(header.as_bytes()).unwrap();
        let start = file.stream_position().unwrap();
        file.set_len(start + offset).unwrap();
        source
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn edit_json(&self, name: &str, edit: impl FnOnce(&mut Map<String, Value>)) {
        let path = self.join(name);
        let text = std::fs::read(&path).unwrap_or_else(|_| b"{}".into());
        let mut json: Value = serde_json::from_slice(&text).unwrap();
        edit(json.as_object_mut().unwrap());
        std::fs::write(path, json.to_string()).unwrap();
    }

    pub fn set(&self, key: &str, value: Value) {
        self.edit_json("config.json", |config| drop(config.insert(key.into(), value)));
    }

    pub fn edit_bytes(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(self.join(name)).unwrap();
        edit(&mut bytes);
        std::fs::write(self.join(name), bytes).unwrap();
    }

    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let bytes = std::fs::read(self.join("model.safetensors")).unwrap();
        let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + len]).unwrap();
        let data = &bytes[8 + len..];
        let mut tensors = Vec::new();
        for (name, info) in header.iter().filter(|(name, _)| *name != "__metadata__") {
            let sizes = |key: &str| -> Vec<usize> {
                let array = info[key].as_array().unwrap();
                array.iter().map(|v| v.as_u64().unwrap() as usize).collect()
            };
            let (range, dtype) = (sizes("data_offsets"), info["dtype"].as_str().unwrap());
            let bytes = data[range[0]..range[1]].to_vec();
            tensors.push((name.clone(), (dtype.to_owned(), sizes("shape"), bytes)));
        }
        tensors
    }

    pub fn edit_tensors(&self, edit: impl FnOnce(&mut Vec<(String, Tensor)>)) {
        let mut tensors = self.tensors();
        edit(&mut tensors);
        let (mut header, mut data) = (Map::new(), Vec::new());
        for (name, (dtype, shape, bytes)) in tensors {
            let end = data.len() + bytes.len();
            let info = json!({"dtype": dtype, "shape": shape, "data_offsets": [data.len(), end]});
            header.insert(name, info);
            data.extend(bytes);
        }
        self.write_weights(&Value::Object(header).to_string(), &data);
    }

    pub fn write_weights(&self, header: &str, data: &[u8]) {
        let len = (header.len() as u64).to_le_bytes();
        let file = [&len, header.as_bytes(), data].concat();
        std::fs::write(self.join("model.safetensors"), file).unwrap();
    }

    /// Converts; the output lies beside the input, and its folder holds nothing else new.
    pub fn convert(&self, options: &ConvertOptions) -> Result<Aligned> {
        converted(self.path(), options)
    }

    /// The message of the refusal, after which nothing is left behind.
    pub fn refusal(&self) -> String {
        refusal(self.path(), &ConvertOptions::default())
    }
}

/// Converts the model at `source`.
pub fn converted(source: &Path, options: &ConvertOptions) -> Result<Aligned> {
    let folder = TempDir::new();
    let out = folder.join("model.oar");
    let Report { file_bytes, bits_per_weight, .. } = convert(source, &out, options, &Silent)?;
    let file = Aligned::read(&out);
    assert_eq!(file_bytes, file.len() as u64);
    assert!((4.4..=200.0).contains(&bits_per_weight), "{bits_per_weight} bits");
    Ok(file)
}

/// The message of the refusal: one line that says what, why and what to do.
pub fn refusal(source: &Path, options: &ConvertOptions) -> String {
    let folder = TempDir::new();
    let error = convert(source, &folder.join("model.oar"), options, &Silent);
    let error = error.expect_err("a refusal");
    assert_eq!(error.exit_code(), 2);
    let line = error.to_string();
    assert!(!line.contains('\n') && line.ends_with(')') && line.contains(": "), "{line}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{line}: {left:?} is left");
    line
}
