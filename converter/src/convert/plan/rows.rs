//! Rows of the file's tensors among those of the source's: reordered, fused, pooled.

/// Heads that become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadPool {
    /// Heads of the source in one of the file's.
    pub heads: usize,
    /// Rows of a head.
    pub head_dim: usize,
}

impl HeadPool {
    pub const NONE: Self = Self { heads: 1, head_dim: 1 };

    /// The rows of the unpooled tensor that become row `row`.
    pub fn rows(self, row: usize) -> impl ExactSizeIterator<Item = usize> {
        let first = row / self.head_dim * self.heads * self.head_dim + row % self.head_dim;
        (0..self.heads).map(move |i| first + i * self.head_dim)
    }
}

/// The order of a tensor's rows (of a vector's elements) in the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowOrder {
    /// Rows of a head, and how many of them are rotated, its first, where the source pairs rows
    /// (2i, 2i + 1) of a head for rotation, the file (i, i + half).
    pub interleaved: Option<[usize; 2]>,
    /// The place of the rows among others.
    pub place: RowPlace,
}

/// Places of rows among the others of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowPlace {
    /// Next to one another, from this one on.
    From(usize),
    /// Some rows of each group.
    Grouped {
        /// Rows of a group.
        group: usize,
        /// The first of them that is meant.
        first: usize,
        /// Rows of a group that are meant.
        rows: usize,
    },
}

impl Default for RowPlace {
    fn default() -> Self {
        Self::From(0)
    }
}

impl RowOrder {
    /// The source row of `row`.
    pub const fn source(self, row: usize) -> usize {
        let row = match self.interleaved {
            Some([head_dim, rot_dim]) => paired(row, head_dim, rot_dim),
            None => row,
        };
        match self.place {
            RowPlace::From(first) => first + row,
            RowPlace::Grouped { group, first, rows } => row / rows * group + first + row % rows,
        }
    }
}

const fn paired(row: usize, head_dim: usize, rot_dim: usize) -> usize {
    let (head, i, half) = (row / head_dim, row % head_dim, rot_dim / 2);
    let i = match i {
        i if i < half => 2 * i,
        i if i < rot_dim => 2 * (i - half) + 1,
        i => i,
    };
    head * head_dim + i
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Permutes as the published GGUF converter does q and k: reshape to (2, half), swap.
    #[test]
    fn rows_of_gguf_come_back_in_order() {
        let (heads, head_dim) = (3, 8);
        let half = head_dim / 2;
        let mut permuted = vec![0; heads * head_dim];
        for row in 0..heads * head_dim {
            let (head, i) = (row / head_dim, row % head_dim);
            permuted[head * head_dim + i % half * 2 + i / half] = row;
        }
        let paired = |head_dim, rot_dim| RowOrder {
            interleaved: Some([head_dim, rot_dim]),
            ..RowOrder::default()
        };
        let order = paired(head_dim, head_dim);
        let back: Vec<_> = (0..heads * head_dim).map(|row| permuted[order.source(row)]).collect();
        assert!(back.iter().enumerate().all(|(row, &source)| row == source));
        let order = paired(8, 4);
        let rows: Vec<_> = (8..16).map(|row| order.source(row)).collect();
        assert_eq!(rows, [8, 10, 9, 11, 12, 13, 14, 15]);
    }
}
