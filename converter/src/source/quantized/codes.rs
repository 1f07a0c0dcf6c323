//! Codes of a few bits, and the orders in which methods store them.

use byteorder::{ByteOrder, LittleEndian};

/// Codes `(lines, n)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes<'m> {
    /// Their bytes.
    pub data: &'m [u8],
    /// Bits of each, 8 at most.
    pub bits: usize,
    /// The order in which they lie.
    pub order: Order,
    /// Whether they are signed; they are given with half of their range added.
    pub signed: bool,
}

/// Orders of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One line after another, each of so many bytes, the first code in the lowest bits.
    Lines(usize),
    /// Words of 32 bits, in which codes of one of so many lines follow each other; the words of all
    /// lines lie side by side.
    Columns(usize),
    /// Words of 32 bits, in which codes of eight lines of this number lie, in the order of AWQ.
    Awq(usize),
    /// One line after another, each of so many codes; of two in a byte the first is the upper.
    HighFirst(usize),
}

/// Places in a word of the codes of eight lines: awq/modules/linear/gemm.py has 0 2 4 6 1 3 5 7 for
/// the line of each place.
const AWQ: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

impl Codes<'_> {
    /// Code `i` of a line.
    pub fn get(&self, line: usize, i: usize) -> u8 {
        let sign = if self.signed { 1 << (self.bits - 1) } else { 0 };
        self.stored(line, i) ^ sign
    }

    fn stored(&self, line: usize, i: usize) -> u8 {
        let word = |at: usize| LittleEndian::read_u32(&self.data[4 * at..]);
        match self.order {
            Order::Lines(bytes) => self.bits_at(line * bytes, i * self.bits),
            Order::Columns(lines) => {
                let (first, shift) = (i * self.bits / 32, i * self.bits % 32);
                let low = word(first * lines + line) >> shift;
                // A code of three bits may lie in two words.
                let high = match shift + self.bits {
                    33.. => word((first + 1) * lines + line) << (32 - shift),
                    _ => 0,
                };
                self.mask(low | high)
            }
            Order::Awq(lines) => self.mask(word(i * (lines / 8) + line / 8) >> (4 * AWQ[line % 8])),
            Order::HighFirst(len) => {
                let i = line * len + i;
                self.data[i / 2] >> (4 * (1 - i % 2)) & 15
            }
        }
    }

    /// Code `i` of a line plus one, the largest being followed by 0. To words of 2, 4 or 8 bits one
    /// is added all at once, as gptqmodel does: what is carried goes to the next code.
    pub fn plus_one(&self, line: usize, i: usize) -> u8 {
        let ones = match self.bits {
            2 => 0x5555_5555,
            4 => 0x1111_1111,
            8 => 0x0101_0101_u32,
            _ => 0,
        };
        let (Order::Lines(bytes), 1..) = (self.order, ones) else {
            return self.mask(u32::from(self.get(line, i)) + 1);
        };
        let word = LittleEndian::read_u32(&self.data[line * bytes + i * self.bits / 32 * 4..]);
        self.mask(word.wrapping_add(ones) >> (i * self.bits % 32))
    }

    /// The codes of a line.
    pub fn line(&self, line: usize, out: &mut [u8]) {
        let sign = if self.signed { 1 << (self.bits - 1) } else { 0 };
        match (self.order, self.bits) {
            (Order::Lines(bytes), 8) => {
                let from = &self.data[line * bytes..][..out.len()];
                out.iter_mut().zip(from).for_each(|(out, byte)| *out = byte ^ sign);
            }
            (Order::Lines(bytes), 4) => {
                let from = &self.data[line * bytes..][..out.len().div_ceil(2)];
                for (out, byte) in out.chunks_mut(2).zip(from) {
                    out.iter_mut().zip([byte & 15, byte >> 4]).for_each(|(out, v)| *out = v ^ sign);
                }
            }
            // A code never lies in two words.
            (Order::Columns(lines), 2 | 4 | 8) => {
                for (i, out) in out.chunks_mut(32 / self.bits).enumerate() {
                    let word = LittleEndian::read_u32(&self.data[4 * (i * lines + line)..]);
                    for (i, out) in out.iter_mut().enumerate() {
                        *out = self.mask(word >> (i * self.bits)) ^ sign;
                    }
                }
            }
            _ => out.iter_mut().enumerate().for_each(|(i, out)| *out = self.get(line, i)),
        }
    }

    /// The bits from `bit` on of the bytes from `start` on.
    fn bits_at(&self, start: usize, bit: usize) -> u8 {
        let (at, shift) = (start + bit / 8, bit % 8);
        let low = u32::from(self.data[at]);
        // Beyond the end there is nothing that is asked for.
        let high = if shift + self.bits > 8 { u32::from(self.data[at + 1]) } else { 0 };
        self.mask((low | high << 8) >> shift)
    }

    const fn mask(&self, word: u32) -> u8 {
        (word & ((1 << self.bits) - 1)) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lie_as_their_order_says() {
        let data: Vec<u8> = (0..=255).collect();
        let codes = |bits, order| Codes { data: &data, bits, order, signed: false };
        let lines = codes(4, Order::Lines(8));
        assert_eq!([lines.get(1, 0), lines.get(1, 1), lines.get(2, 3)], [8, 0, 1]);
        let six = codes(6, Order::Lines(6));
        // 06, 07, 08: 24 bits of four codes.
        assert_eq!([0, 1, 2, 3].map(|i| six.get(1, i)), [6, 28, 0, 2]);
        let columns = codes(8, Order::Columns(3));
        assert_eq!([columns.get(1, 0), columns.get(1, 5), columns.get(2, 3)], [4, 17, 11]);
        let three = codes(3, Order::Columns(1));
        let bits = u128::from_le_bytes(data[..16].try_into().unwrap());
        assert!((0..32).all(|i| three.get(0, i) == (bits >> (3 * i) & 7) as u8));
        let awq = codes(4, Order::Awq(16));
        // The second word of a column: 04 05 06 07.
        assert_eq!([8, 9, 10, 12, 14].map(|line| awq.get(line, 0)), [4, 6, 0, 5, 0]);
        for codes in [&lines, &six, &columns, &three, &awq] {
            let mut out = [0; 5];
            codes.line(1, &mut out);
            assert_eq!(out, std::array::from_fn(|i| codes.get(1, i)));
        }
        let high = codes(4, Order::HighFirst(6));
        assert_eq!([high.get(0, 0), high.get(0, 3), high.get(1, 1)], [0, 1, 3]);
        // 0C 0D 0E 0F; one less of F and 0 is written as 10 − 1 = 0F.
        let zeros = codes(4, Order::Lines(4));
        assert_eq!([0, 1, 6, 7].map(|i| zeros.plus_one(3, i)), [13, 1, 0, 2]);
        assert_eq!([0, 1].map(|i| three.plus_one(0, i)), [1, 1]);
        let signed = Codes { signed: true, ..codes(8, Order::Lines(16)) };
        assert_eq!([signed.get(0, 1), signed.get(15, 15)], [129, 127]);
    }
}
