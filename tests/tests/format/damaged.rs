//! Damage is found wherever it is, and harmless where a good checksum hides it.

use oarlock::Model;
use oarlock::OpenError;
use oarlock_tests::Aligned;

use crate::samples::{CRC, file, header, repair, sparse_file, verifies};

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
