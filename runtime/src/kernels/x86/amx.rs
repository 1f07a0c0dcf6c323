//! Many tokens on Intel's servers from 2023 on: `tdpbssd` multiplies 16 tokens by 16 rows of
//! weights, 32 columns of each.
//!
//! A tile of int8 weights lies in a model file as the instruction wants it. Nibbles are made
//! signed bytes, once for up to 64 tokens, so that nothing has to be taken off the products.
//! These are exact, and what then becomes of them is what becomes of any others.
#![allow(unsafe_code, clippy::indexing_slicing)]

use core::arch::asm;
use core::arch::x86_64::*;
use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::avx2::has;
use super::avx512::{Avx512, Avx512Generation};
use crate::format::layout::{BLOCK_COLS, GROUPS, INT4_ZERO, LINE, TILE_ROWS, WeightType};
use crate::kernels::block::{PerToken, ScaledActivations, add_scaled, scales};
use crate::kernels::simd::{Block, Cursor, InputPointers, IntWeights, Op, PrefillKernel, Simd};

/// A generation where 16 tokens and more go by tile registers, fewer one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Tiles;

type Amx = Avx512<Tiles>;

impl Avx512Generation for Tiles {
    type Prefill<Q: IntWeights> = TilePrefill<Q>;
}

/// Runs an operation with these registers.
///
/// # Safety
/// The CPU has AMX for int8, and the system lets this process use it.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni")]
pub(crate) unsafe fn enter<O: Op>(op: O) -> O::Out {
    // SAFETY: this function has the features of vectors, and its caller vouches for the rest.
    op.run(unsafe { Avx512::<Tiles>::new() })
}

/// Tokens that a tile register holds.
const TOKENS: usize = 16;

/// Activations of a token as they lie in a row of a tile register, in a line of the cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct TokenRow {
    q: [i8; BLOCK_COLS],
    scale: f32,
    sum: f32,
}

const _: () = assert!(size_of::<TokenRow>() == LINE, "`multiply` steps by it");

/// The weights of a block as signed bytes, `(groups, rows, 4)`.
#[repr(align(64))]
struct SignedBytes([__m512i; GROUPS]);

/// A block, and what is multiplied of it.
pub(crate) struct BlockRows {
    block: Block,
    /// Signed bytes, of types that are packed otherwise.
    bytes: SignedBytes,
    scales: __m512,
    minima: __m512,
}

/// Products of 16 tokens with 16 rows.
#[repr(align(64))]
struct Products([i32; TOKENS * TILE_ROWS]);

/// The shapes of tile registers (Intel 64 and IA-32 Architectures Software Developer's Manual,
/// volume 1, chapter 18): 0 holds sums (16 tokens, 16 rows), 1 activations (16 tokens, 32 columns),
/// 2 weights (8 groups, 16 rows, 4 columns).
#[repr(C, align(64))]
struct TileConfig {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Bytes of a row of each register.
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static TILE_CONFIG: TileConfig = {
    let mut shapes = TileConfig {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        row_bytes: [0; 16],
        rows: [0; 16],
    };
    (shapes.rows[0], shapes.row_bytes[0]) = (TOKENS as u8, LINE as u16);
    (shapes.rows[1], shapes.row_bytes[1]) = (TOKENS as u8, BLOCK_COLS as u16);
    (shapes.rows[2], shapes.row_bytes[2]) = (GROUPS as u8, LINE as u16);
    shapes
};

/// The prefill kernel that takes 16 tokens at a time.
pub(crate) struct TilePrefill<Q>(PhantomData<Q>);

impl<Q: IntWeights> PrefillKernel<Amx> for TilePrefill<Q> {
    const INTERLEAVED: usize = 1;
    const ROW_REGISTERS: usize = 1;
    const TOKEN_GROUPS: usize = Amx::PREFILL_TOKENS;
    type Tokens = TokenRow;
    type Rows = BlockRows;

    #[inline(always)]
    fn begin(_s: Amx) {
        // SAFETY: the CPU has tile registers, and these are shapes that it knows.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const TILE_CONFIG, options(nostack, readonly));
        }
    }

    #[inline(always)]
    fn end(_s: Amx) {
        // Else the system would keep 8 KiB of tiles at every switch of threads.
        // SAFETY: the CPU has tile registers.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }

    #[inline(always)]
    unsafe fn load_tokens(
        _s: Amx,
        inputs: InputPointers,
        tokens: [usize; 2],
        b: usize,
    ) -> TokenRow {
        let at = tokens[0] * inputs.blocks + b;
        // SAFETY: as the caller promises.
        unsafe {
            let q = inputs.q.add(at * BLOCK_COLS).cast::<[i8; BLOCK_COLS]>().read();
            TokenRow { q, scale: *inputs.scale.add(at), sum: *inputs.sum.add(at) }
        }
    }

    #[inline(always)]
    unsafe fn load_rows(s: Amx, block: Block, first: usize) -> BlockRows {
        // SAFETY: a whole block.
        unsafe {
            let ([scales, ..], [minima, ..]) = scales::<Amx, Q>(s, block, first, 1);
            let bytes = SignedBytes(match Q::KIND {
                WeightType::Int4 => signed::<Q>(s, block, INT4_ZERO as i8),
                WeightType::Int5 => signed::<Q>(s, block, Amx::INT5_OFFSET as i8),
                WeightType::Int4a | WeightType::Int4n => signed::<Q>(s, block, 0),
                WeightType::Int8 | WeightType::F32 => [s.splat_i(0); GROUPS],
            });
            BlockRows { block, bytes, scales, minima }
        }
    }

    /// Adds the products with so few tokens that a tile register would be half empty.
    #[inline(always)]
    unsafe fn add<const G: usize>(
        s: Amx,
        rows: &BlockRows,
        (from, sums): Cursor<TokenRow>,
    ) -> Cursor<TokenRow> {
        // SAFETY: a whole block, and as many activations and sums, as the caller promises.
        unsafe {
            let token = |row: &TokenRow| {
                ScaledActivations::new::<Amx, Q>(s, row.q.as_ptr(), row.scale, row.sum)
            };
            let given = &*from.cast::<[TokenRow; G]>();
            let mut tokens = [token(&given[0]); G];
            for t in 1..G {
                tokens[t] = token(&given[t]);
            }
            let weights = <PerToken<Q> as PrefillKernel<Amx>>::load_rows(s, rows.block, 0);
            let at = (tokens.as_ptr(), sums);
            let (_, sums) = <PerToken<Q> as PrefillKernel<Amx>>::add::<G>(s, &weights, at);
            (from.wrapping_add(G), sums)
        }
    }

    #[inline(always)]
    unsafe fn add_many(
        s: Amx,
        rows: &BlockRows,
        mut at: Cursor<TokenRow>,
        groups: usize,
    ) -> (Cursor<TokenRow>, usize) {
        let registers = groups / TOKENS;
        if registers > 0 {
            // SAFETY: `begin` came before, and there are as many tokens.
            at = unsafe { add_tiles::<Q>(s, rows, at, registers) };
        }
        (at, groups % TOKENS)
    }
}

/// The weights of a block as signed bytes, where `zero` is that of [`IntWeights::group`].
///
/// # Safety
/// `block` is a whole one.
#[inline(always)]
unsafe fn signed<Q: IntWeights>(s: Amx, block: Block, zero: i8) -> [__m512i; GROUPS] {
    let mut bytes = [s.splat_i(0); GROUPS];
    for (group, bytes) in bytes.iter_mut().enumerate() {
        // SAFETY: as the caller promises.
        let stored = unsafe { Q::group(s, block, group, 0) };
        *bytes = has!(_mm512_sub_epi8(stored, _mm512_set1_epi8(zero)));
    }
    bytes
}

/// Adds the products of a block with `registers` · 16 tokens to their sums: each is begun before
/// the one before it is added, since what a tile register stores can be read much later.
///
/// # Safety
/// [`PrefillKernel::begin`] came before; so many activations and sums are there.
#[inline(always)]
unsafe fn add_tiles<Q: IntWeights>(
    s: Amx,
    rows: &BlockRows,
    (from, sums): Cursor<TokenRow>,
    registers: usize,
) -> Cursor<TokenRow> {
    let weights = match Q::KIND {
        WeightType::Int8 => rows.block.at,
        _ => rows.bytes.0.as_ptr().cast(),
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
        unsafe { add_products::<Q>(s, &*to.add(register % 2), rows, (tokens(register), sums)) };
    }
    (tokens(registers), sums.wrapping_add(registers * TOKENS * TILE_ROWS))
}

/// Adds the products with 16 tokens to their sums.
///
/// # Safety
/// So many activations and sums are there.
#[inline(always)]
unsafe fn add_products<Q: IntWeights>(
    s: Amx,
    products: &Products,
    rows: &BlockRows,
    (from, sums): Cursor<TokenRow>,
) {
    for t in 0..TOKENS {
        let sums = sums.wrapping_add(t * TILE_ROWS);
        // SAFETY: as many products were written, and there are as many activations and sums.
        unsafe {
            let dots = _mm512_load_si512(products.0.as_ptr().add(t * TILE_ROWS).cast());
            let (token, weights) = (&*from.add(t), (rows.scales, rows.minima));
            let token = (token.scale, token.sum);
            s.store(sums, add_scaled::<Amx, Q>(s, dots, token, weights, s.load(sums)));
        }
    }
}

/// The products of 16 tokens with the weights at `bytes`.
///
/// # Safety
/// [`PrefillKernel::begin`] came before; 16 tokens, 512 weights, and room for the products are there.
#[inline(always)]
unsafe fn multiply(from: *const TokenRow, bytes: *const u8, to: *mut Products) {
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
