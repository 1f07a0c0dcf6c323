//! Many tokens on Intel's servers from 2023 on: `tdpbssd` multiplies 16 tokens by 16 rows of
//! weights, 32 columns of each.
//!
//! A tile of int8 weights lies in a model file as the instruction wants it. Nibbles are made
//! signed bytes, once for up to 64 tokens, so that nothing has to be taken off the products.
//! These are exact, and what then becomes of them is what becomes of any others.
#![allow(unsafe_code, clippy::indexing_slicing)]

use core::arch::asm;
use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use super::avx2::has;
use super::avx512::Avx512;
use super::quants::{Quants, scales};
use super::several::{Each, Scaled, Several, rescaled};
use super::simd::Simd;
use super::weights::{At, Lines};
use crate::format::layout::{BLOCK_COLS, GROUPS, INT4_ZERO, LINE, TILE_ROWS, WeightType};

/// 16 and more tokens by tile registers, fewer one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Tiles;

type Amx = Avx512<Tiles>;

/// Tokens that a tile register holds.
const TOKENS: usize = 16;

/// Activations of a token as they lie in a row of a tile register, in a line of the cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Row {
    q: [i8; BLOCK_COLS],
    scale: f32,
    sum: f32,
}

const _: () = assert!(size_of::<Row>() == LINE, "`multiply` steps by it");

/// The weights of a block as signed bytes, `(groups, rows, 4)`.
#[repr(align(64))]
struct Bytes([__m512i; GROUPS]);

/// A block made ready.
pub(crate) struct Ready {
    block: *const u8,
    /// Of nibbles alone.
    bytes: Bytes,
    scales: __m512,
    minima: __m512,
}

/// Products of 16 tokens with 16 rows.
#[repr(align(64))]
struct Products([i32; TOKENS * TILE_ROWS]);

/// What tile registers look like (Intel 64 and IA-32 Architectures Software Developer's Manual,
/// volume 1, chapter 18): 0 holds sums (16 tokens, 16 rows), 1 activations (16 tokens, 32 columns),
/// 2 weights (8 groups, 16 rows, 4 columns).
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Bytes of a row of each register.
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static SHAPES: Shapes = {
    let mut shapes =
        Shapes { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
    (shapes.rows[0], shapes.row_bytes[0]) = (TOKENS as u8, LINE as u16);
    (shapes.rows[1], shapes.row_bytes[1]) = (TOKENS as u8, BLOCK_COLS as u16);
    (shapes.rows[2], shapes.row_bytes[2]) = (GROUPS as u8, LINE as u16);
    shapes
};

impl Several<Amx> for Tiles {
    const WOVEN: usize = 1;
    const TOGETHER: usize = 1;
    const AT_ONCE: usize = Amx::MATMUL_TOKENS;
    type Acts<Q: Quants> = Row;
    type Ready<Q: Quants> = Ready;

    #[inline(always)]
    fn begin(_s: Amx) {
        // SAFETY: the CPU has tile registers, and these are shapes that it knows.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(nostack, readonly)) };
    }

    #[inline(always)]
    fn end(_s: Amx) {
        // Else the system would keep 8 KiB of tiles at every switch of threads.
        // SAFETY: the CPU has tile registers.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }

    #[inline(always)]
    unsafe fn acts<Q: Quants>(_s: Amx, lines: Lines, tokens: [usize; 2], b: usize) -> Row {
        let at = tokens[0] * lines.blocks + b;
        // SAFETY: as the caller promises.
        unsafe {
            let q = lines.q.add(at * BLOCK_COLS).cast::<[i8; BLOCK_COLS]>().read();
            Row { q, scale: *lines.scale.add(at), sum: *lines.sum.add(at) }
        }
    }

    #[inline(always)]
    unsafe fn ready<Q: Quants>(s: Amx, block: *const u8, first: usize) -> Ready {
        // SAFETY: a whole block.
        unsafe {
            let ([scales, ..], [minima, ..]) = scales::<Amx, Q>(s, block, first, 1);
            let bytes = Bytes(match Q::KIND {
                WeightType::Int4 => signed(s, block, INT4_ZERO),
                WeightType::Int4a => signed(s, block, 0),
                _ => [s.splat_i(0); GROUPS],
            });
            Ready { block, bytes, scales, minima }
        }
    }

    /// Of so few tokens that a tile register would be half empty.
    #[inline(always)]
    unsafe fn add<Q: Quants, const T: usize>(
        s: Amx,
        ready: &Ready,
        (from, sums): At<Row>,
    ) -> At<Row> {
        // SAFETY: a whole block, and as many activations and sums, as the caller promises.
        unsafe {
            let of = |row: &Row| Scaled::new::<Amx, Q>(s, row.q.as_ptr(), row.scale, row.sum);
            let rows = &*from.cast::<[Row; T]>();
            let mut acts = [of(&rows[0]); T];
            for t in 1..T {
                acts[t] = of(&rows[t]);
            }
            let weights = <Each as Several<Amx>>::ready::<Q>(s, ready.block, 0);
            let (_, sums) = <Each as Several<Amx>>::add::<Q, T>(s, &weights, (acts.as_ptr(), sums));
            (from.wrapping_add(T), sums)
        }
    }

    #[inline(always)]
    unsafe fn add_many<Q: Quants>(
        s: Amx,
        ready: &Ready,
        mut at: At<Row>,
        tokens: usize,
    ) -> (At<Row>, usize) {
        let registers = tokens / TOKENS;
        if registers > 0 {
            // SAFETY: `begin` came before, and there are as many tokens.
            at = unsafe { add_tiles::<Q>(s, ready, at, registers) };
        }
        (at, tokens % TOKENS)
    }

    #[inline(always)]
    unsafe fn unweave(_s: Amx, _sums: *mut f32, _groups: usize) {}
}

/// Nibbles less `zero`, as signed bytes.
///
/// # Safety
/// `block` points to the nibbles of a whole block.
#[inline(always)]
unsafe fn signed(s: Amx, block: *const u8, zero: u8) -> [__m512i; GROUPS] {
    let mut bytes = [s.splat_i(0); GROUPS];
    for line in 0..GROUPS / 2 {
        // SAFETY: so many lines has a block of nibbles.
        let (low, high) = s.nibbles(unsafe { s.load_w(block.add(line * LINE)) });
        has!({
            let zero = _mm512_set1_epi8(zero as i8);
            bytes[line] = _mm512_sub_epi8(low, zero);
            bytes[line + GROUPS / 2] = _mm512_sub_epi8(high, zero);
        });
    }
    bytes
}

/// Adds the products of a block with `registers` · 16 tokens to their sums: each is begun before
/// the one before it is added, since what a tile register stores can be read much later.
///
/// # Safety
/// [`Several::begin`] came before; so many activations and sums are there.
#[inline(always)]
unsafe fn add_tiles<Q: Quants>(
    s: Amx,
    ready: &Ready,
    (from, sums): At<Row>,
    registers: usize,
) -> At<Row> {
    let weights = match Q::KIND {
        WeightType::Int8 => ready.block,
        _ => ready.bytes.0.as_ptr().cast(),
    };
    let mut products = MaybeUninit::<[Products; 2]>::uninit();
    let to = products.as_mut_ptr().cast::<Products>();
    let tokens = |register: usize| from.wrapping_add(register * TOKENS);
    // SAFETY: an int8 block begins with its weights; the rest is as the caller promises.
    unsafe { multiply(tokens(0), weights, to) };
    for register in 0..registers {
        if register + 1 < registers {
            let to = to.wrapping_add((register + 1) % 2);
            // SAFETY: as above.
            unsafe { multiply(tokens(register + 1), weights, to) };
        }
        let sums = sums.wrapping_add(register * TOKENS * TILE_ROWS);
        // SAFETY: as above, and these products were written.
        unsafe { add_products::<Q>(s, &*to.add(register % 2), ready, (tokens(register), sums)) };
    }
    (tokens(registers), sums.wrapping_add(registers * TOKENS * TILE_ROWS))
}

/// Adds the products with 16 tokens to their sums.
///
/// # Safety
/// So many activations and sums are there.
#[inline(always)]
unsafe fn add_products<Q: Quants>(
    s: Amx,
    products: &Products,
    ready: &Ready,
    (from, sums): At<Row>,
) {
    for t in 0..TOKENS {
        let sums = sums.wrapping_add(t * TILE_ROWS);
        // SAFETY: as many products were written, and there are as many activations and sums.
        unsafe {
            let dots = _mm512_load_si512(products.0.as_ptr().add(t * TILE_ROWS).cast());
            let (acts, weights) = (&*from.add(t), (ready.scales, ready.minima));
            let acts = (acts.scale, acts.sum);
            s.store(sums, rescaled::<Amx, Q>(s, dots, acts, weights, s.load(sums)));
        }
    }
}

/// The products of 16 tokens with the weights at `bytes`.
///
/// # Safety
/// [`Several::begin`] came before; 16 tokens, 512 weights, and room for the products are there.
#[inline(always)]
unsafe fn multiply(from: *const Row, bytes: *const u8, to: *mut Products) {
    // SAFETY: as the caller promises.
    unsafe {
        asm!(
            "tileloadd tmm2, [{bytes} + {line}]",
            "tileloadd tmm1, [{from} + {line}]",
            "tilezero tmm0",
            "tdpbssd tmm0, tmm1, tmm2",
            "tilestored [{to} + {line}], tmm0",
            line = in(reg) LINE,
            from = in(reg) from,
            bytes = in(reg) bytes,
            to = in(reg) to,
            out("tmm0") _, out("tmm1") _, out("tmm2") _,
            options(nostack, preserves_flags),
        );
    }
}
