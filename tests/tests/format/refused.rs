//! Refusals name the field.

use oarlock::OpenError;
use oarlock::internal::format::{
    Config, Entry, Field, Norm, Norms, Residual, Role, Scale, Section,
};
use oarlock::{Model, VerifyError};
use oarlock_convert::write::to_bytes;
use oarlock_tests::Aligned;

use crate::samples::{
    config, file, header, metadata, repair, sparse_config, sparse_file, specs, tensors,
};

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
