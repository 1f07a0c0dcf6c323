//! The file format: what is written is read back, and nothing else is taken for a model.

use std::io::Cursor;

use oarlock::OpenError;
use oarlock::Sampling;
use oarlock::internal::format::layout::WeightType;
use oarlock::internal::format::{
    ALIGN, Activation, Clamped, Config, Entry, Field, Header, Norm, Norms, Positions, Residual,
    Role, Routing, Scale, Section, TensorType, metadata_crc,
};
use oarlock::{Model, VerifyError};
use oarlock_convert::write::{Metadata, RopeTable, Spec, Writer, to_bytes};
use oarlock_tests::Aligned;

const CRC: std::ops::Range<usize> = 12..16;

/// A model of two layers whose second has biases, matrices of every type.
fn specs(config: &Config) -> Vec<Spec> {
    let mut specs = Vec::new();
    let mut add = |role: Role, layer: Option<u32>| {
        let kind = match role {
            role if role.is_vector() => TensorType::Vector,
            Role::Embedding | Role::Output => TensorType::Matrix(WeightType::Int8),
            Role::Q | Role::K => TensorType::Matrix(WeightType::Int4a),
            Role::V => TensorType::Matrix(WeightType::F32),
            role if role.is_router() => TensorType::Matrix(WeightType::F32),
            _ => TensorType::Matrix(WeightType::Int4),
        };
        let name = format!("{}.{}", role.name(), layer.map_or(-1, i64::from));
        specs.push(Spec { name, role, layer, kind });
    };
    let outside = |role: &&Role| role.is_in(config, false);
    Role::BEFORE.iter().filter(outside).for_each(|&role| add(role, None));
    for layer in 0..config.n_layers as u32 {
        let sparse = config.n_experts > 0 && layer == 1;
        for &role in Role::LAYER
            .iter()
            .filter(|role| role.is_in(config, sparse) && (layer == 1 || !role.is_bias()))
        {
            add(role, Some(layer));
        }
    }
    Role::AFTER.iter().filter(outside).for_each(|&role| add(role, None));
    specs
}

fn config(tied: bool) -> Config {
    Config {
        vocab_size: 20,
        dim: 24,
        n_layers: 2,
        n_heads: 2,
        n_kv_heads: 1,
        head_dim: 10,
        ffn_dim: 33,
        context: 128,
        rot_dim: 6,
        norm_eps: 1e-5,
        score_scale: 0.25,
        tied,
        ..Config::default()
    }
}

fn metadata(config: Config) -> Metadata {
    Metadata {
        config,
        arch: "TestForCausalLM".into(),
        ropes: vec![RopeTable { phases: vec![1 << 61, 12345, u64::MAX], attention_factor: 1.25 }],
        no_rope: vec![false, true],
        local: Vec::new(),
        sparse: vec![false, config.n_experts > 0],
        key_outliers: Vec::new(),
        tokenizer: (0..=255).collect(),
        chat: b"turns".into(),
        sampling: Sampling { temp: 0.5, top_k: 7, top_p: 0.9, min_p: 0.05, repeat_penalty: 1.1 },
        provenance: "converter a test\nsource äöü\n".into(),
    }
}

/// Contents without a float that is not finite: bytes below 0x78.
fn contents(config: &Config, spec: &Spec, seed: usize) -> Vec<u8> {
    let (rows, cols) = spec.role.shape(config);
    let experts = if spec.role.is_expert() { config.n_experts } else { 1 };
    let len = experts * spec.kind.bytes(rows, cols).unwrap();
    (0..len).map(|i| ((i * 31 + seed * 17 + i / 64) % 0x78) as u8).collect()
}

fn tensors(config: &Config) -> Vec<(Spec, Vec<u8>)> {
    let specs = specs(config).into_iter().enumerate();
    specs.map(|(i, spec)| (spec.clone(), contents(config, &spec, i))).collect()
}

fn file(tied: bool) -> Aligned {
    let config = config(tied);
    Aligned::copy_of(&to_bytes(metadata(config), tensors(&config)).unwrap())
}

/// A model whose second layer has experts, a shared one among them, with biases.
fn sparse_config() -> Config {
    Config {
        n_experts: 5,
        n_experts_used: 2,
        expert_ffn_dim: 18,
        shared_ffn_dim: 7,
        routing: Routing::Chosen,
        clamped: Some(Clamped { slope: 1.702, limit: 7.0 }),
        ..config(true)
    }
}

fn sparse_file() -> Aligned {
    let config = sparse_config();
    Aligned::copy_of(&to_bytes(metadata(config), tensors(&config)).unwrap())
}

fn header(file: &[u8]) -> Header {
    Header::read(file).unwrap()
}

/// Makes the metadata's checksum right again.
fn repair(file: &mut [u8], metadata_len: usize) {
    let crc = metadata_crc(&file[..metadata_len]);
    file[CRC].copy_from_slice(&crc.to_le_bytes());
}

fn verifies(model: &Model<'_>) -> bool {
    (0..model.n_tensors()).all(|i| model.verify_tensor(i).is_ok())
}

#[test]
fn what_is_written_is_read_back() {
    for tied in [false, true] {
        let config = config(tied);
        let (file, given, meta) = (file(tied), tensors(&config), metadata(config));
        let model = Model::open(&file).unwrap();
        assert_eq!(model.config(), &config);
        assert_eq!(model.arch(), meta.arch);
        assert_eq!(model.rope(false, 128).phases, meta.ropes[0].phases);
        assert_eq!(model.rope(true, 128).factor, 1.25);
        assert_eq!(model.sampling(), meta.sampling);
        assert_eq!(model.tokenizer_section(), meta.tokenizer);
        assert_eq!(model.chat_section(), meta.chat);
        assert_eq!(model.provenance(), meta.provenance);
        assert_eq!(model.file_len(), file.len());
        assert!(!model.is_f32());
        assert_eq!(model.tensors().len(), given.len());
        for (tensor, (spec, bytes)) in model.tensors().zip(&given) {
            assert_eq!(tensor.name, spec.name);
            assert_eq!((tensor.role, tensor.kind), (spec.role, spec.kind));
            assert_eq!(tensor.layer, spec.layer.map(|i| i as usize));
            assert_eq!((tensor.rows, tensor.cols), spec.role.shape(&config));
            assert_eq!(tensor.bytes(), bytes);
            assert_eq!(tensor.extent.offset % ALIGN as u64, 0);
        }
        assert!(verifies(&model));
        check_views(&model, &given);
    }
}

/// Each expert of a stack is where a matrix of its own could be.
#[test]
fn experts_are_tensors_of_their_own() {
    let config = sparse_config();
    let (file, given) = (sparse_file(), tensors(&config));
    assert_eq!(file[8], 3);
    let model = Model::open(&file).unwrap();
    assert_eq!(model.config(), &config);
    assert!(verifies(&model));
    assert_eq!([0, 1, 2].map(|i| model.layer(i).sparse), [false, true, false]);
    let layer = model.layer(1);
    let bytes = |role| &given.iter().find(|(s, _)| s.role == role).unwrap().1[..];
    let experts = layer.experts;
    for (stack, weights, biases) in [
        (experts.gate, Role::ExpertGate, Role::ExpertGateBias),
        (experts.up, Role::ExpertUp, Role::ExpertUpBias),
        (experts.down, Role::ExpertDown, Role::ExpertDownBias),
    ] {
        let (weights, shape) = (bytes(weights), weights.shape(&config));
        let each = weights.len() / config.n_experts;
        for (expert, weights) in weights.chunks(each).enumerate() {
            let linear = stack.expert(expert);
            assert_eq!((linear.weight.rows(), linear.weight.cols()), shape);
            assert_eq!(linear.weight.tiles(), weights);
            assert_eq!(linear.weight.tiles().as_ptr().addr() % ALIGN, 0);
            let bias: Vec<u8> = linear.bias.unwrap().iter().flat_map(|v| v.to_le_bytes()).collect();
            let each = bytes(biases).len() / config.n_experts;
            assert_eq!(bias, bytes(biases)[expert * each..][..each]);
        }
        assert!(stack.expert(config.n_experts).weight.tiles().is_empty());
        assert_eq!(stack.expert(usize::MAX).weight.rows(), 0);
    }
    assert_eq!(experts.router.weight.tiles(), bytes(Role::Router));
    assert_eq!(experts.router.bias.map(<[f32]>::len), Some(5));
    assert_eq!(experts.shared_router.weight.tiles(), bytes(Role::SharedRouter));
    assert_eq!(layer.up.weight.tiles(), bytes(Role::SharedUp));
}

/// Every accessor gives the tensor of its role.
fn check_views(model: &Model<'_>, given: &[(Spec, Vec<u8>)]) {
    let bytes = |role, layer| {
        let found = given.iter().find(|(s, _)| (s.role, s.layer) == (role, layer));
        found.map(|(_, bytes)| bytes.as_slice())
    };
    let floats = |v: &[f32]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
    assert_eq!(Some(model.embedding().tiles()), bytes(Role::Embedding, None));
    let output = if model.config().tied { Role::Embedding } else { Role::Output };
    assert_eq!(Some(model.output().weight.tiles()), bytes(output, None));
    assert_eq!(Some(&floats(model.output_norm().gain)[..]), bytes(Role::OutputNorm, None));
    for i in 0..2 {
        let (layer, of) = (model.layer(i), |role| bytes(role, Some(i as u32)));
        let linears = [
            (layer.q, Role::Q, Role::QBias),
            (layer.k, Role::K, Role::KBias),
            (layer.v, Role::V, Role::VBias),
            (layer.o, Role::O, Role::OBias),
            (layer.gate, Role::Gate, Role::GateBias),
            (layer.up, Role::Up, Role::UpBias),
            (layer.down, Role::Down, Role::DownBias),
        ];
        for (linear, weight, bias) in linears {
            assert_eq!(Some(linear.weight.tiles()), of(weight), "{weight:?}");
            assert_eq!((linear.weight.rows(), linear.weight.cols()), weight.shape(model.config()));
            assert_eq!(linear.bias.map(floats).as_deref(), of(bias), "{bias:?}");
        }
        assert_eq!(Some(&floats(layer.attn_norm.gain)[..]), of(Role::AttnNorm));
        assert_eq!(Some(&floats(layer.ffn_norm.gain)[..]), of(Role::FfnNorm));
    }
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let config = config(false);
    let first = file(false);
    assert_eq!(&first[..], &file(false)[..]);
    // Also in small pieces.
    let specs = tensors(&config).into_iter().map(|(spec, _)| spec).collect();
    let mut writer = Writer::new(Cursor::new(Vec::new()), metadata(config), specs).unwrap();
    for (_, bytes) in tensors(&config) {
        bytes.chunks(7).for_each(|bytes| writer.write(bytes).unwrap());
    }
    assert_eq!(&first[..], writer.finish().unwrap().into_inner());
}

#[test]
fn everything_is_aligned_and_in_place() {
    let file = file(false);
    let header = header(&file);
    let mut end = Header::LEN as u64;
    for extent in header.sections {
        assert_eq!(extent.offset, end.next_multiple_of(64));
        end = extent.offset + extent.len;
    }
    assert_eq!(header.metadata_len, end.next_multiple_of(64));
    assert_eq!(header.total_len, file.len() as u64);
    assert_eq!(file.len() % 64, 0);
}

#[test]
fn a_misaligned_slice_is_refused_and_a_longer_one_taken() {
    let file = file(false);
    let mut longer = Aligned::zeroed(file.len() + 128);
    longer[..file.len()].copy_from_slice(&file);
    longer[file.len()..].fill(0xFF);
    let model = Model::open(&longer).unwrap();
    assert_eq!(model.file_len(), file.len());
    assert!(verifies(&model));
    for shift in 1..64 {
        longer.copy_within(shift - 1..shift - 1 + file.len(), shift);
        assert_eq!(Model::open(&longer[shift..]).err(), Some(OpenError::Misaligned));
    }
}

#[test]
fn every_truncation_is_an_error() {
    let file = file(true);
    for len in 0..file.len() {
        let error = Model::open(&file[..len]).err();
        assert!(matches!(error, Some(OpenError::Truncated { .. })), "{len} bytes: {error:?}");
    }
}

/// Padding included: no byte is covered by nothing.
#[test]
fn every_flipped_bit_is_found() {
    [file(false), sparse_file()].into_iter().for_each(flip_every_bit);
}

fn flip_every_bit(mut file: Aligned) {
    let metadata_len = header(&file).metadata_len as usize;
    for at in 0..file.len() {
        for bit in 0..8 {
            file[at] ^= 1 << bit;
            let found = match Model::open(&file) {
                Err(_) => true,
                Ok(model) => at >= metadata_len && !verifies(&model),
            };
            assert!(found, "byte {at}, bit {bit}");
            file[at] ^= 1 << bit;
        }
    }
}

/// Each word of the tables takes values that an attacker would try, under a good checksum.
#[test]
fn hostile_words_are_errors_or_harmless() {
    [file(false), sparse_file()].into_iter().for_each(try_hostile_words);
}

fn try_hostile_words(mut file: Aligned) {
    let header = header(&file);
    let metadata_len = header.metadata_len as usize;
    let total = header.total_len;
    let words = [0, 1, 63, 64, 0x7FFF_FFFF, 0x8000_0000, u32::MAX - 1, u32::MAX];
    let longs = [0, 64, total - 64, total, total + 64, 1 << 32, 1 << 63, u64::MAX - 63, u64::MAX];
    for at in (0..metadata_len).step_by(4).filter(|at| *at != CRC.start) {
        let patches = words.iter().map(|w| w.to_le_bytes().to_vec());
        let patches = patches.chain(longs.iter().map(|w| w.to_le_bytes().to_vec()));
        for patch in patches.filter(|patch| at + patch.len() <= metadata_len) {
            let before = file[at..at + patch.len()].to_vec();
            file[at..at + patch.len()].copy_from_slice(&patch);
            repair(&mut file, metadata_len);
            if let Ok(model) = Model::open(&file) {
                touch(&model);
            }
            file[at..at + patch.len()].copy_from_slice(&before);
        }
    }
    repair(&mut file, metadata_len);
    assert!(Model::open(&file).is_ok());
}

/// Calls every accessor: none may panic, whatever the file says.
fn touch(model: &Model<'_>) {
    verifies(model);
    let _ = (model.embedding(), model.output(), model.output_norm(), model.rope(true, 1 << 20));
    let _ = (model.arch(), model.provenance(), model.sampling(), model.slopes());
    let _ = (model.positions(), model.embedding_norm());
    for i in [0, 1, 2, 1000, usize::MAX] {
        let experts = model.layer(i).experts;
        let _ = [experts.gate, experts.up, experts.down].map(|stack| stack.expert(i));
        let _ = model.verify_tensor(i);
    }
    let config = model.config();
    assert_eq!(model.layer(1).q.weight.rows(), config.n_heads * config.head_dim);
    assert_eq!(model.output_norm().gain.len(), config.dim);
    assert_eq!(model.rope(false, 2).phases.len(), config.rot_dim / 2);
}

/// Patches bytes of a section (or of the header) under a good checksum.
fn open_patched(section: Option<Section>, at: usize, patch: &[u8]) -> Result<(), OpenError> {
    open_patched_in(file(false), section, at, patch)
}

fn open_patched_in(
    mut file: Aligned,
    section: Option<Section>,
    at: usize,
    patch: &[u8],
) -> Result<(), OpenError> {
    let header = header(&file);
    let extent = section.map(|s| header.sections[s as usize - 1]);
    let at = at + extent.map_or(0, |e| e.offset as usize);
    file[at..at + patch.len()].copy_from_slice(patch);
    repair(&mut file, header.metadata_len as usize);
    Model::open(&file).map(drop)
}

#[test]
fn errors_name_the_field() {
    let u32s = |v: u32| v.to_le_bytes();
    let config = |at, v: u32| open_patched(Some(Section::Config), at, &u32s(v));
    let entry = |i: usize, at, v: u32| {
        open_patched(Some(Section::Directory), i * Entry::LEN + at, &u32s(v))
    };
    let field = |f| Err(OpenError::Field(f));
    let tensor = |index, field| Err(OpenError::Tensor { index, field });
    assert_eq!(open_patched(None, 0, b"X"), Err(OpenError::Magic));
    assert_eq!(open_patched(None, 8, &u32s(5)), Err(OpenError::Version(5)));
    assert_eq!(open_patched(None, 8, &u32s(0)), Err(OpenError::Version(0)));
    for version in [2, 3, 4] {
        let opened = open_patched(None, 8, &u32s(version));
        assert_eq!(opened, field(Field::Version), "version 1 suffices");
    }
    assert_eq!(open_patched(None, 32, &u32s(8)), field(Field::SectionCount));
    assert_eq!(open_patched(None, 72, &[128]), field(Field::SectionTable));
    assert_eq!(open_patched(None, 24, &[1]), field(Field::Lengths));
    assert_eq!(config(0, 0), field(Field::VocabSize));
    assert_eq!(config(16, 3), field(Field::NKvHeads));
    assert_eq!(config(20, u32::MAX), field(Field::HeadDim));
    assert_eq!(config(32, 12), field(Field::RotDim));
    assert_eq!(config(36, f32::NAN.to_bits()), field(Field::NormEps));
    assert_eq!(config(40, f32::INFINITY.to_bits()), field(Field::ScoreScale));
    assert_eq!(config(44, 2), field(Field::Norm));
    assert_eq!(config(48, 5), field(Field::Activation));
    assert_eq!(config(52, 2), field(Field::Mlp));
    assert_eq!(config(56, 1 << 31), field(Field::Flags));
    assert_eq!(config(60, 3), field(Field::Norms));
    assert_eq!(config(96, 3), field(Field::Residual));
    assert_eq!(config(100, 3), field(Field::QkNorm));
    // What version 2 brought is no part of a file of version 1.
    for (at, code) in [(48, 1), (52, 1), (56, 2), (60, 2), (96, 2)] {
        assert_eq!(config(at, code), Err(OpenError::SectionLength(Section::Config)));
    }
    for (at, name) in
        [(104, Field::EmbeddingScale), (108, Field::ResidualScale), (112, Field::LogitScale)]
    {
        assert_eq!(config(at, f32::INFINITY.to_bits()), field(name));
        assert_eq!(config(at, 1.0_f32.to_bits()), field(Field::Reserved), "1 is written as 0");
    }
    assert_eq!(config(116, 1), field(Field::Reserved));
    assert_eq!(config(4, 25), tensor(0, Field::Shape));
    assert_eq!(
        open_patched(Some(Section::Rope), 0, &[2]),
        Err(OpenError::SectionLength(Section::Rope))
    );
    assert_eq!(open_patched(Some(Section::Layers), 32, &[11]), field(Field::LayerFirst));
    assert_eq!(open_patched(Some(Section::Layers), 4, &[8]), field(Field::LayerCount));
    assert_eq!(
        open_patched(Some(Section::Names), 0, &[0xFF]),
        Err(OpenError::NotUtf8(Section::Names))
    );
    assert_eq!(
        open_patched(Some(Section::Sampling), 0, &(-1.0_f64).to_le_bytes()),
        field(Field::Sampling)
    );
    assert_eq!(entry(0, 0, u32::MAX), tensor(0, Field::Name));
    assert_eq!(entry(3, 8, 7), tensor(3, Field::Role));
    assert_eq!(entry(3, 16, 0), tensor(3, Field::Experts));
    assert_eq!(entry(3, 20, 9), tensor(3, Field::Type));
    assert_eq!(entry(3, 20, 16), tensor(3, Field::Type));
    assert_eq!(entry(3, 24, 11), tensor(3, Field::Shape));
    assert_eq!(entry(3, 32, 0), tensor(3, Field::Offset));
    assert_eq!(entry(3, 40, 64), tensor(3, Field::Length));
    assert_eq!(entry(3, 52, 1), tensor(3, Field::Reserved));
    let missing = |layer, role| Err(OpenError::Missing { layer, role });
    assert_eq!(entry(3, 12, 1), missing(0, Role::K));
    assert_eq!(entry(1, 8, Role::FfnNorm as u32), missing(0, Role::AttnNorm));
}

#[test]
fn errors_name_the_field_of_experts() {
    let field = |f| Err(OpenError::Field(f));
    let config =
        |at, v: u32| open_patched_in(sparse_file(), Some(Section::Config), at, &v.to_le_bytes());
    assert_eq!(config(152, 0), field(Field::NExpertsUsed), "none, and two of them used");
    assert_eq!(config(152, (1 << 11) + 1), field(Field::NExperts));
    for (at, name) in [(156, Field::NExpertsUsed), (160, Field::ExpertFfnDim)] {
        assert_eq!(config(at, 0), field(name));
        assert_eq!(config(at, u32::MAX), field(name));
    }
    assert_eq!(config(156, 6), field(Field::NExpertsUsed), "more than there are");
    assert_eq!(config(164, u32::MAX), field(Field::SharedFfnDim));
    assert_eq!(config(168, 2), field(Field::Routing));
    assert_eq!(config(172, 0), field(Field::GateSlope));
    assert_eq!(config(176, f32::NAN.to_bits()), field(Field::GateLimit));
    assert_eq!(config(176, 0), field(Field::Reserved), "a slope without a limit");
    assert_eq!(config(52, 1), field(Field::Mlp), "nothing to cut off without a gate");
    assert_eq!(config(48, 3), field(Field::Activation), "what is cut off has its own");
    assert_eq!(config(96, 1), field(Field::Residual));
    let index = |role| specs(&sparse_config()).iter().position(|s| s.role == role).unwrap();
    let entry = |role, at, v: u32| {
        let at = index(role) * Entry::LEN + at;
        open_patched_in(sparse_file(), Some(Section::Directory), at, &v.to_le_bytes())
    };
    let tensor = |role, field| Err(OpenError::Tensor { index: index(role) as u32, field });
    for n in [0, 1, 4, 6, u32::MAX - 1, u32::MAX] {
        let role = Role::ExpertUp;
        assert_eq!(entry(role, 16, n), tensor(role, Field::Experts), "{n} of five");
    }
    assert_eq!(entry(Role::Router, 16, 5), tensor(Role::Router, Field::Experts));
    assert_eq!(entry(Role::Router, 20, 1), tensor(Role::Router, Field::Type), "always f32");
    assert_eq!(entry(Role::ExpertUp, 40, 64), tensor(Role::ExpertUp, Field::Length));
    let layers =
        |at, v: u32| open_patched_in(sparse_file(), Some(Section::Layers), at, &v.to_le_bytes());
    assert_eq!(layers(8, 4), Err(OpenError::Missing { layer: 0, role: Role::Router }));
    assert_eq!(layers(40, 1), Err(OpenError::Missing { layer: 1, role: Role::Gate }));
    assert_eq!(layers(8, 16), field(Field::LayerFlags));
    let dense = open_patched(Some(Section::Layers), 8, &[4]);
    assert_eq!(dense, field(Field::LayerFlags), "experts that the config knows nothing of");
}

#[test]
fn another_order_is_an_error() {
    let config = config(false);
    let mut tensors = tensors(&config);
    tensors.swap(2, 3);
    let file = Aligned::copy_of(&to_bytes(metadata(config), tensors).unwrap());
    assert_eq!(Model::open(&file).err(), Some(OpenError::Missing { layer: 0, role: Role::Q }));
}

#[test]
fn a_value_that_is_not_finite_is_found() {
    let config = config(false);
    for (i, scale) in [(0, 512), (2, 256), (2, 288), (5, 256), (1, 2), (4, 14)] {
        let mut tensors = tensors(&config);
        tensors[i].1[scale..scale + 2].copy_from_slice(&[0x80, 0x7F]);
        let file = Aligned::copy_of(&to_bytes(metadata(config), tensors).unwrap());
        let model = Model::open(&file).unwrap();
        assert_eq!(model.verify_tensor(i), Err(VerifyError::NotFinite), "{i}");
    }
}

/// Found in any expert, and not in the padding between them.
#[test]
fn a_value_of_an_expert_that_is_not_finite_is_found() {
    let config = sparse_config();
    for role in [Role::ExpertUp, Role::ExpertUpBias, Role::Router] {
        let i = specs(&config).iter().position(|s| s.role == role).unwrap();
        let kind = specs(&config)[i].kind;
        let (rows, cols) = role.shape(&config);
        let each = kind.bytes(rows, cols).unwrap();
        let last = if role.is_expert() { config.n_experts - 1 } else { 0 };
        for expert in [0, last] {
            let mut tensors = tensors(&config);
            let at = expert * each + if role == Role::ExpertUp { 256 } else { 2 };
            tensors[i].1[at..at + 2].copy_from_slice(&[0x80, 0x7F]);
            let file = Aligned::copy_of(&to_bytes(metadata(config), tensors).unwrap());
            let model = Model::open(&file).unwrap();
            assert_eq!(model.verify_tensor(i), Err(VerifyError::NotFinite), "{role:?} {expert}");
        }
    }
}

#[test]
fn messages_are_whole_sentences_of_one_line() {
    let errors = [
        OpenError::Misaligned,
        OpenError::Magic,
        OpenError::Version(9),
        OpenError::Truncated { needed: 10, found: 9 },
        OpenError::Checksum,
        OpenError::Field(Field::HeadDim),
        OpenError::SectionLength(Section::Rope),
        OpenError::NotUtf8(Section::Provenance),
        OpenError::Tensor { index: 3, field: Field::Offset },
        OpenError::Missing { layer: 3, role: Role::QBias },
        OpenError::Missing { layer: oarlock::internal::format::NONE, role: Role::Output },
    ];
    for error in errors {
        let line = error.to_string();
        assert!(!line.is_empty() && !line.contains('\n'), "{line}");
    }
    assert_eq!(
        OpenError::Missing { layer: 3, role: Role::V }.to_string(),
        "directory: no v of layer 3 where it belongs"
    );
}

#[test]
fn options_that_nothing_computes_together_are_refused() {
    let after = Config { norms: Norms::After, ..config(true) };
    assert_eq!(after.check(), Ok(()));
    for (config, field) in [
        (Config { norm: Norm::Layer, ..after }, Field::Norm),
        (Config { residual: Residual::Parallel, ..after }, Field::Residual),
        (Config { residual_scale: Scale(0.5), ..after }, Field::ResidualScale),
    ] {
        assert_eq!(config.check(), Err(OpenError::Field(field)));
    }
}

/// Everything that version 2 brought, in one model.
#[test]
fn later_options_make_a_file_of_version_2() {
    let config = Config {
        activation: Activation::GeluErf,
        norms: Norms::Both,
        embedding_norm: true,
        output_bias: true,
        local_rope: true,
        score_cap: Some(50.0),
        logit_cap: Some(30.0),
        window: 7,
        qkv_limit: Some(8.0),
        long_context: 64,
        ..config(false)
    };
    let table = |phase, attention_factor| RopeTable { phases: vec![phase; 3], attention_factor };
    let ropes = vec![table(1, 1.0), table(2, 1.5), table(3, 2.0)];
    let all = Metadata { ropes, local: vec![true, false], ..metadata(config) };
    let file = to_bytes(all, tensors(&config)).unwrap();
    assert_eq!(file[8], 2);
    let file = Aligned::copy_of(&file);
    let model = Model::open(&file).unwrap();
    assert_eq!(model.config(), &config);
    assert_eq!([0, 1].map(|i| model.layer(i).local), [true, false]);
    let table = |local, context| {
        let rope = model.rope(local, context);
        (rope.phases[2], rope.factor)
    };
    assert_eq!([table(false, 64), table(false, 65)], [(1, 1.0), (3, 2.0)]);
    assert_eq!([table(true, 64), table(true, 65)], [(2, 1.5); 2]);
    assert_eq!(model.embedding_norm().map(|norm| norm.gain.len()), Some(24));
    assert_eq!(model.output().bias.map(<[f32]>::len), Some(20));
    for (positions, role) in
        [(Positions::Learned, Role::Positions), (Positions::Alibi, Role::Slopes)]
    {
        let config = Config { positions, rot_dim: 0, ..self::config(true) };
        let metadata = Metadata { ropes: vec![RopeTable::default()], ..self::metadata(config) };
        let file = Aligned::copy_of(&to_bytes(metadata, tensors(&config)).unwrap());
        let model = Model::open(&file).unwrap();
        assert_eq!(model.tensors().nth(1).map(|t| t.role), Some(role));
        let rotated = Config { rot_dim: 2, ..config };
        assert_eq!(rotated.check(), Err(OpenError::Field(Field::Positions)));
    }
}

/// Options that version 3 brought make a file of that version, and no other is read as one.
#[test]
fn options_of_version_3_make_a_file_of_it() {
    let config = Config { sink_logits: true, differential: true, n_kv_heads: 2, ..config(true) };
    let odd = Config { n_kv_heads: 1, ..config };
    assert_eq!(odd.check(), Err(OpenError::Field(Field::NKvHeads)));
    let file = to_bytes(metadata(config), tensors(&config)).unwrap();
    assert_eq!(file[8], 3);
    let mut file = Aligned::copy_of(&file);
    let model = Model::open(&file).unwrap();
    assert_eq!(model.config(), &config);
    assert_eq!([0, 1].map(|i| model.layer(i).sink_logits.len()), [2, 2]);
    assert_eq!([0, 1].map(|i| model.layer(i).diff_norm.len()), [20, 20]);
    let metadata_len = header(&file).metadata_len as usize;
    file[8] = 2;
    repair(&mut file, metadata_len);
    assert_eq!(Model::open(&file).err(), Some(OpenError::Field(Field::Version)));
}

/// Outliers of keys likewise: version 4, and the config says whether any layer has them.
#[test]
fn outliers_of_keys_make_a_file_of_version_4() {
    let config = Config { key_outliers: true, ..config(true) };
    let of = |config: Config, key_outliers: &[bool]| {
        let metadata = Metadata { key_outliers: key_outliers.into(), ..metadata(config) };
        Aligned::copy_of(&to_bytes(metadata, tensors(&config)).unwrap())
    };
    let file = of(config, &[false, true]);
    assert_eq!(file[8], 4);
    let model = Model::open(&file).unwrap();
    assert_eq!(model.config(), &config);
    assert_eq!([0, 1].map(|i| model.layer(i).key_outliers), [false, true]);
    let none = Config { key_outliers: false, ..config };
    for (config, layers) in [(config, [false, false]), (none, [false, true])] {
        let opened = Model::open(&of(config, &layers)).err();
        assert_eq!(opened, Some(OpenError::Field(Field::LayerFlags)), "{layers:?}");
    }
}
