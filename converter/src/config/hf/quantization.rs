//! The method by which a directory is quantized: `quantization_config` of transformers, `quantization`
//! of MLX, and the files of their own that older tools wrote.

use serde_json::Value;

use super::keys::{AGAIN, FILE};
use crate::error::{Error, Result};
use crate::source::quantized::scheme::{
    CompressedTensors, Floats, Gptq, Grouped, Mlx, MlxMode, MlxModule, Scheme,
};

/// Files that say it where `config.json` does not, and what their method is.
pub const BESIDE: &[(&str, &str)] = &[
    ("quantize_config.json", "gptq"),
    ("quant_config.json", "awq"),
    ("hf_quant_config.json", "modelopt"),
];

/// Advice about a method that is not read.
const OTHERS: &str = "known: gptq, awq, compressed-tensors, fp8, fbgemm_fp8, modelopt, bitsandbytes, \
    auto-round, mlx, and mxfp4 of gpt-oss; get the model in one of them, as GGUF or in f32, f16 or bf16";

/// The object that says how a directory is quantized.
struct Settings<'v> {
    /// The object's name in messages.
    thing: String,
    json: &'v Value,
}

/// Reads the method from `config`, or from a file beside it, of which name and content are given.
pub fn scheme(config: &Value, beside: Option<(&str, &Value)>) -> Result<Option<Scheme>> {
    let object = |of: &'_ Value, key: &str| of.get(key).filter(|v| !v.is_null()).cloned();
    if let Some(json) = object(config, "quantization") {
        return Settings { thing: format!("{FILE}: quantization"), json: &json }.mlx().map(Some);
    }
    let inner = config.get("text_config").and_then(|text| object(text, CONFIG));
    if let Some(json) = object(config, CONFIG).or(inner) {
        return Settings { thing: format!("{FILE}: {CONFIG}"), json: &json }.scheme(None);
    }
    let Some((file, json)) = beside else { return Ok(None) };
    let method = BESIDE.iter().find(|(name, _)| *name == file).map(|(_, method)| *method);
    Settings { thing: file.into(), json }.scheme(method)
}

const CONFIG: &str = "quantization_config";

impl Settings<'_> {
    fn refuse<T>(&self, what: impl std::fmt::Display, todo: &str) -> Result<T> {
        Err(Error::new(&self.thing, what, todo))
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.json.get(key).filter(|v| !v.is_null())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// A whole number under one of these keys.
    fn size(&self, keys: &[&str]) -> Result<usize> {
        let found = keys.iter().find_map(|key| self.get(key));
        let size = found.and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        match size.filter(|n| (1..=1 << 20).contains(n)) {
            Some(n) => Ok(n),
            None => self.refuse(format!("{} is missing or no size", keys[0]), AGAIN),
        }
    }

    /// The columns of a group; −1 stands for all of a row.
    fn group(&self, keys: &[&str]) -> Result<Option<usize>> {
        let all = keys.iter().find_map(|key| self.get(key)).and_then(Value::as_i64);
        if all.is_none_or(|n| n < 0) { Ok(None) } else { self.size(keys).map(Some) }
    }

    /// A key that must have one of these values, where it is there.
    fn must_be(&self, key: &str, allowed: &[&str]) -> Result<()> {
        let Some(value) = self.get(key) else { return Ok(()) };
        let is = |word: &&str| value.as_str().is_some_and(|v| v.eq_ignore_ascii_case(word));
        if allowed.iter().any(is) {
            return Ok(());
        }
        self.refuse(format!("{key} is {value}, only {} is read", allowed.join(" or ")), FLOATS)
    }

    /// Keys of what changes the mathematics besides: nothing of it must be there.
    fn must_not_be(&self, keys: &[&str]) -> Result<()> {
        let is_nothing = |v: &Value| match v {
            Value::Bool(v) => !v,
            Value::String(v) => v.is_empty() || v == "none",
            Value::Array(v) => v.is_empty(),
            Value::Object(v) => v.is_empty(),
            _ => false,
        };
        let found = keys.iter().find(|key| self.get(key).is_some_and(|v| !is_nothing(v)));
        found.map_or(Ok(()), |key| self.refuse(format!("{key} is not read"), FLOATS))
    }

    /// The scheme of a method, by `method` where the object does not say it.
    fn scheme(&self, method: Option<&str>) -> Result<Option<Scheme>> {
        let method = self.text("quant_method").or(method).or_else(|| {
            // MLX writes its settings under this name too.
            let is_mlx = self.get("group_size").is_some() && self.get("bits").is_some();
            is_mlx.then_some("mlx")
        });
        Ok(Some(match method {
            Some("gptq") => self.gptq()?,
            Some("awq") => self.awq()?,
            Some("auto-round" | "auto_round" | "intel/auto-round") => self.auto_round()?,
            Some("compressed-tensors" | "compressed_tensors") => self.compressed_tensors()?,
            Some("fp8" | "fbgemm_fp8") => {
                self.must_be("fmt", &["e4m3", "float8_e4m3fn"])?;
                Scheme::Floats(Floats { block: self.block(self.get("weight_block_size"))? })
            }
            Some("modelopt") => self.modelopt()?,
            Some("bitsandbytes") => Scheme::BitsAndBytes,
            Some("mlx") => self.mlx()?,
            // Its tensors are read by their names.
            Some("mxfp4") => return Ok(None),
            Some(other) => return self.refuse(format!("method {other} is not read"), OTHERS),
            None => return self.refuse("quant_method is missing", OTHERS),
        }))
    }

    fn gptq(&self) -> Result<Scheme> {
        self.must_not_be(&["adapter", "rotation", "is_marlin_format"])?;
        let format =
            if self.get("checkpoint_format").is_some() { "checkpoint_format" } else { "format" };
        self.must_be(format, &["gptq", "gptq_v2"])?;
        self.must_be("pack_dtype", &["int32"])?;
        let common = Grouped { bits: self.size(&["bits"])?, group: self.group(&["group_size"])? };
        let varies =
            self.get("dynamic").is_some_and(|v| v.as_object().is_some_and(|v| !v.is_empty()));
        let less_one = self.text(format) != Some("gptq_v2");
        Ok(Scheme::Gptq(Gptq { common, varies, less_one }))
    }

    fn awq(&self) -> Result<Scheme> {
        // The programs that these are for read the layout of the first.
        self.must_be("version", &["gemm", "exllama", "ipex"])?;
        self.must_be("checkpoint_format", &["gemm"])?;
        self.must_be("format", &["gemm"])?;
        let bits = self.size(&["bits", "w_bit"])?;
        if bits != 4 {
            return self.refuse(format!("{bits} bits, AWQ is read in 4"), FLOATS);
        }
        Ok(Scheme::Awq(Grouped { bits, group: self.group(&["group_size", "q_group_size"])? }))
    }

    /// AutoRound, which stores as others do.
    fn auto_round(&self) -> Result<Scheme> {
        let common = Grouped { bits: self.size(&["bits"])?, group: self.group(&["group_size"])? };
        let varies = self.get("extra_config").is_some();
        let gptq = |less_one| Scheme::Gptq(Gptq { common, varies, less_one });
        match self.text("packing_format").unwrap_or_default() {
            "auto_round:auto_gptq" | "auto_round:gptq" => Ok(gptq(true)),
            "auto_round:auto_awq" if common.bits == 4 => Ok(Scheme::Awq(common)),
            other => self.refuse(format!("packing_format {other:?} is not read"), OTHERS),
        }
    }

    fn modelopt(&self) -> Result<Scheme> {
        let inner = self.get("quantization").unwrap_or(self.json);
        let inner = Settings { thing: self.thing.clone(), json: inner };
        if inner.text("quant_algo").is_none() {
            return inner.refuse("quant_algo is missing", AGAIN);
        }
        inner.must_be("quant_algo", &["FP8", "NVFP4"])?;
        Ok(Scheme::Floats(Floats::default()))
    }

    /// Rows and columns that share a scale.
    fn block(&self, of: Option<&Value>) -> Result<Option<[usize; 2]>> {
        let Some(value) = of else { return Ok(None) };
        let size = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        let sizes = match value {
            // Old files of compressed-tensors have 128x128.
            Value::String(text) => text.split('x').map(|n| n.parse().ok()).collect(),
            _ => {
                value.as_array().and_then(|list| list.iter().map(size).collect::<Option<Vec<_>>>())
            }
        };
        match sizes.as_deref() {
            Some(&[rows, cols]) if rows > 0 && cols > 0 => Ok(Some([rows, cols])),
            _ => self.refuse(format!("a block of {value}"), AGAIN),
        }
    }

    fn compressed_tensors(&self) -> Result<Scheme> {
        const FORMATS: &[&str] = &[
            "pack-quantized",
            "int-quantized",
            "float-quantized",
            "naive-quantized",
            "nvfp4-pack-quantized",
            "mxfp4-pack-quantized",
            "mxfp8-quantized",
            "mixed-precision",
        ];
        self.must_be("format", FORMATS)?;
        self.must_not_be(&["transform_config"])?;
        if let Some(sparsity) = self.get("sparsity_config") {
            let inner =
                Settings { thing: format!("{}: sparsity_config", self.thing), json: sparsity };
            inner.must_be("format", &["dense"])?;
        }
        let mut settings = CompressedTensors::default();
        let groups = self.get("config_groups").and_then(Value::as_object);
        for group in groups.into_iter().flat_map(|groups| groups.values()) {
            let group = Settings { thing: format!("{}: config_groups", self.thing), json: group };
            group.must_be("format", FORMATS)?;
            let Some(json) = group.get("weights") else { continue };
            let weights = Settings { thing: group.thing.clone(), json };
            settings.bits.push(weights.size(&["num_bits"])?);
            settings.groups.extend(weights.group(&["group_size"])?);
            if let Some(block) = weights.block(weights.get("block_structure"))? {
                settings.block = Some(block);
            }
        }
        Ok(Scheme::CompressedTensors(settings))
    }

    fn mlx(&self) -> Result<Scheme> {
        let common = self.mlx_module(MlxModule::default())?;
        let mut mlx = Mlx { common, ..Mlx::default() };
        for (name, json) in self.json.as_object().into_iter().flatten() {
            if json.is_object() {
                let own = Settings { thing: format!("{}: {name}", self.thing), json };
                mlx.own.insert(name.clone(), own.mlx_module(common)?);
            }
        }
        Ok(Scheme::Mlx(mlx))
    }

    /// Settings of MLX, for all modules or one.
    fn mlx_module(&self, common: MlxModule) -> Result<MlxModule> {
        self.must_be("mode", &["affine", "mxfp4", "nvfp4", "mxfp8"])?;
        let mode = match self.text("mode").map(str::to_ascii_lowercase).as_deref() {
            Some("affine") => MlxMode::Affine,
            Some("mxfp4") => MlxMode::Mxfp4,
            Some("nvfp4") => MlxMode::Nvfp4,
            Some("mxfp8") => MlxMode::Mxfp8,
            _ => common.mode,
        };
        let [bits, group] = match mode {
            MlxMode::Affine => [self.size(&["bits"])?, self.size(&["group_size"])?],
            MlxMode::Mxfp4 => [4, 32],
            MlxMode::Nvfp4 => [4, 16],
            MlxMode::Mxfp8 => [8, 32],
        };
        if ![2, 3, 4, 5, 6, 8].contains(&bits) {
            return self.refuse(format!("{bits} bits, of which MLX has 2 to 6 and 8"), AGAIN);
        }
        Ok(MlxModule { bits, group, mode })
    }
}

const FLOATS: &str = "get the model in another format, as GGUF or in f32, f16 or bf16";
