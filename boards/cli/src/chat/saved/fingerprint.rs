//! The mark by which a conversation finds its model again.

use oarlock::Model;
use oarlock_hosted::ModelFile;
use sha2::{Digest, Sha256};

/// Tells a model from others: the hash of all before the tensors, where their checksums are.
pub fn fingerprint(file: &ModelFile, model: &Model<'_>) -> [u8; 32] {
    let tensors = model.tensors().next().map_or(0, |first| first.extent.offset);
    let before = usize::try_from(tensors).ok().and_then(|end| file.bytes().get(..end));
    Sha256::digest(before.unwrap_or(file.bytes())).into()
}
