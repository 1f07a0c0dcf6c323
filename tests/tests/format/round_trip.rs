//! Files hold what was written, in its place, in the oldest version that has all of it.

use std::io::Cursor;

use oarlock::Model;
use oarlock::OpenError;
use oarlock::internal::format::{ALIGN, Activation, Config, Field, Header, Norms, Positions, Role};
use oarlock_convert::write::{Metadata, RopeTable, Spec, Writer, to_bytes};
use oarlock_tests::Aligned;

use crate::samples::{
    config, file, header, metadata, repair, sparse_config, sparse_file, tensors, verifies,
};

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
