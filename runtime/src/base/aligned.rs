//! Bytes on a boundary that a model file needs.

/// A value on a 64-byte boundary, as [`Model::open`](crate::Model::open) asks of a file:
/// `static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!("model.oar"));`
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Aligned<T: ?Sized>(pub T);
