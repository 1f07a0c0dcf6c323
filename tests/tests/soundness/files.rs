//! Records of a model's file, of bytes as they come, and views of an open one.

use oarlock::internal::crc::{Crc32, crc32};
use oarlock::internal::format::kv::{int8_key_offset, int8_scale_offset, int8_value_offset};
use oarlock::internal::format::layout::{
    WeightType, blocks, f32_offset, int8_offset, matrix_bytes, nibble_offset, sign_offset,
    tile_bytes, tiles,
};
use oarlock::internal::format::{
    Config, Entry, Extent, Header, LayerEntry, Role, RopeHeader, Section, TensorType, align_up,
    metadata_crc, read_sampling, write_sampling,
};
use oarlock::tokenizer::charsmap::{children, ends_key, is_of};
use oarlock::tokenizer::tables::{self, hash_pair, hash_word, home};
use oarlock::tokenizer::{Charsmap, Splitter, rewrite};
use oarlock::{Isa, KvType, Model, Options};

use crate::hostile::Hostile;
use crate::models::place;

/// Bytes in which the header keeps the checksum of all metadata (`docs/reference/format.md`).
const CRC: std::ops::Range<usize> = 12..16;

/// One round.
pub fn round(hostile: &mut Hostile, models: &[Vec<u8>]) {
    let model = &models[hostile.random.below(models.len())];
    let (mut bytes, at) = place(model, 0);
    let file = &mut bytes[at..at + model.len()];
    damage(hostile, file);
    hostile.public("Model::open", || {
        if let Ok(model) = Model::open(file) {
            views(&model);
        }
    });
    let (config, _) = Model::open(file)
        .map_or_else(|_| (Config::default(), 0), |model| (*model.config(), model.n_tensors()));
    configuration(hostile, config);
    records(hostile, file);
    sizes(hostile);
    tables_of_texts(hostile);
}

/// Changes some bits; mostly the checksum says that they are right.
fn damage(hostile: &mut Hostile, file: &mut [u8]) {
    let Ok(good) = Header::read(file) else { unreachable!("a good file") };
    let metadata = good.metadata_len as usize;
    for _ in 0..hostile.random.below(5) {
        let within = if hostile.one_in(3) { file.len() } else { metadata };
        let at = hostile.random.below(within);
        file[at] ^= 1 << hostile.random.below(8);
    }
    if !hostile.one_in(4) {
        let crc = metadata_crc(&file[..metadata]);
        file[CRC].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Everything that a file that opened has.
fn views(model: &Model<'_>) {
    let damaged = (0..=model.n_tensors()).filter(|&i| model.verify_tensor(i).is_err());
    let _ = (damaged.count(), model.verify_tensor(usize::MAX), model.file_len(), model.is_f32());
    let _ = (model.arch(), model.provenance(), model.sampling(), Options::for_model(model));
    let _ = (model.embedding().rows(), model.output().weight.cols(), model.slopes().len());
    let _ = (model.output_norm(), model.positions(), model.embedding_norm());
    let _ = (model.tokenizer_section().len(), model.chat_section().len());
    for local in [false, true] {
        let _ = (model.rope(local, 0).phases.len(), model.rope(local, usize::MAX).factor);
    }
    for layer in (0..=model.config().n_layers).chain([usize::MAX]) {
        let experts = model.layer(layer).experts;
        for expert in [0, 1, model.config().n_experts, usize::MAX] {
            let _ = experts.gate.expert(expert).weight.kind();
            let _ = experts.down.weights.vector(expert).len();
            let _ = experts.up.weights.matrix(expert).tiles().len();
        }
    }
    for tensor in model.tensors() {
        let _ = (tensor.bytes().len(), tensor.name, tensor.extent.next());
    }
}

/// Makes some numbers others, which no model may have.
fn strange(hostile: &mut Hostile, config: &mut Config) {
    for _ in 0..hostile.random.below(4) {
        let number = hostile.absurd();
        let all: [&mut usize; 12] = [
            &mut config.vocab_size,
            &mut config.dim,
            &mut config.n_layers,
            &mut config.n_heads,
            &mut config.n_kv_heads,
            &mut config.head_dim,
            &mut config.ffn_dim,
            &mut config.context,
            &mut config.rot_dim,
            &mut config.window,
            &mut config.long_context,
            &mut config.n_experts,
        ];
        let which = hostile.random.below(all.len());
        for (at, field) in all.into_iter().enumerate() {
            if at == which {
                *field = number;
            }
        }
    }
}

/// A configuration of which some numbers are others, as no file may have it.
fn configuration(hostile: &mut Hostile, mut config: Config) {
    strange(hostile, &mut config);
    let len = hostile.absurd();
    hostile.public("Config", || {
        let _ = (config.check(), config.group(), config.rope_tables(), config.version());
        let _ = (config.norms.before(), config.norms.after(), RopeHeader::table_len(len));
        let roles = Role::BEFORE.iter().chain(Role::LAYER).chain(Role::AFTER);
        for role in roles.copied() {
            let (rows, cols) = role.shape(&config);
            for kind in [TensorType::Vector, TensorType::Matrix(WeightType::Int4n)] {
                let _ = (kind.bytes(rows, cols), kind.stride(rows, cols));
                let _ = kind.stack_bytes(rows, cols, config.n_experts);
            }
            let _ = (role.is_in(&config, true), role.is_in(&config, false), role.name());
            let _ = (role.is_bias(), role.is_vector(), role.is_norm());
            let _ = (role.is_expert(), role.is_router());
        }
        let mut section = [0; Config::LEN];
        config.write(&mut section, "any");
        let read = (Config::read(&section[..config.section_len()]), Config::arch(&section));
        let _ = (read.0.is_ok(), read.1.is_ok());
    });
}

/// Records of bytes as they come, and of those written again.
fn records(hostile: &mut Hostile, file: &[u8]) {
    let code = hostile.random.bits() as u32 % 80;
    let from = hostile.random.below(file.len());
    let random = hostile.one_in(2);
    let len = hostile.size();
    let (noise, offset, end) = (hostile.bytes(600), hostile.absurd(), hostile.absurd());
    let bytes = if random { &noise[..] } else { &file[from..] };
    hostile.public("records", || {
        let _ = (crc32(bytes), metadata_crc(bytes), metadata_crc(&[]));
        let mut crc = Crc32::new();
        bytes.chunks(len.max(1)).for_each(|part| crc.update(part));
        assert_eq!(crc.finish(), crc32(bytes));
        let _ = (Config::read(bytes).is_ok(), Config::arch(bytes).is_ok());
        let _ = (RopeHeader::read(bytes).is_ok(), Header::read(bytes).is_ok());
        if let Ok(sampling) = read_sampling(bytes) {
            let _ = (write_sampling(&sampling), sampling.check());
        }
        if let Some(record) = bytes.first_chunk::<{ Entry::LEN }>()
            && let Ok(entry) = Entry::read(record)
        {
            entry.write(&mut [0; Entry::LEN]);
            let _ = (entry.kind.name(), entry.role.name(), entry.extent.bytes(file));
        }
        if let Some(record) = bytes.first_chunk::<{ LayerEntry::LEN }>()
            && let Ok(entry) = LayerEntry::read(record)
        {
            entry.write(&mut [0; LayerEntry::LEN]);
        }
        let lens = [0; Section::COUNT].map(|_: u64| offset as u64);
        if let Some(header) = Header::new(code, lens, end as u64) {
            header.write(&mut [0; Header::LEN], code);
            let _ = Section::ALL.map(|section| (header.section(section).next(), section.name()));
        }
        let extent = Extent { offset: offset as u64, len: end as u64 };
        let _ = (extent.next(), extent.bytes(file), align_up(offset as u64));
        let _ = (Role::from_code(code), TensorType::from_code(code), WeightType::from_code(code));
        let _ = (KvType::from_name("f16"), Splitter::from_code(code), Isa::SCALAR.name());
    });
}

/// Sizes of shapes, and offsets within blocks and tiles.
fn sizes(hostile: &mut Hostile) {
    let (rows, cols, key) = (hostile.absurd(), hostile.absurd(), hostile.size());
    hostile.public("sizes", || {
        let _ = (blocks(cols), tiles(rows));
        for kind in WeightType::ALL {
            let _ = (tile_bytes(kind, cols), matrix_bytes(kind, rows, cols), kind.name());
            let _ = (kind.is_quantized(), kind.head_bytes(), kind.minimum_offset());
            assert!(kind.quant_bytes() <= kind.block_bytes());
            let code = TensorType::Matrix(kind).code();
            assert_eq!(TensorType::from_code(code), Some(TensorType::Matrix(kind)));
        }
        for kind in KvType::ALL {
            let _ = (kind.bytes(), kind.key_scales(cols), kind.value_scales(), kind.name());
            let _ = kind.of_layer(true);
        }
        let (row, col) = (key % 16, key % 32);
        let _ = (int8_offset(row, col), nibble_offset(row, col), sign_offset(row, col));
        let _ = (f32_offset(row, col), int8_key_offset(64, col, key), int8_value_offset(col, key));
        let _ = int8_scale_offset(64, key, key % 2);
    });
}

/// The tables that the converter writes for the tokenizer.
fn tables_of_texts(hostile: &mut Hostile) {
    let (len, slots) = (hostile.size(), hostile.absurd());
    let bytes = hostile.bytes(len);
    let [rules, unit, left] = [0; 3].map(|_| hostile.random.bits() as u32);
    hostile.public("tables", || {
        let text = String::from_utf8_lossy(&bytes);
        let charsmap = Charsmap::new(&bytes).unwrap_or_default();
        rewrite(rules, charsmap, &text, &mut |_| {});
        let _ = (charsmap.unit(slots), charsmap.text_start(slots), charsmap.texts().len());
        let _ = (children(slots, unit), ends_key(unit), is_of(unit, rules as u8));
        let _ = (hash_pair(left, unit), hash_word(&bytes), home(unit, slots));
        if let Some(header) = tables::Header::default().own_version().checked_sub(1) {
            let _ = (header, tables::Header::default().to_bytes());
        }
    });
}
