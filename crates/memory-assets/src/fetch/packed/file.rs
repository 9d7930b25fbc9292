//! Reading of a packed model.
//!
//! All numbers are little-endian:
//!
//! ```text
//! "E5S1", u32 version
//! i32 × 7: hidden, layers, heads, intermediate, vocabulary, positions, types
//! f32 epsilon, i32 numbers per block
//! i32 × 5: pieces, and the ids of <s>, </s>, <pad>, <unk>; u64 bytes of all pieces
//! u32 × (pieces + 1) offsets, f32 × pieces scores, the pieces' UTF-8
//! i32 mappings of characters, u32 bytes of these; the mappings
//! i32 tensors; of each: u16 length and name, u8 type, u32 numbers, u64 offset, u64 bytes
//! the tensors at their offsets from the beginning of the file
//! ```

/// Why a file cannot be converted.
#[derive(Debug)]
pub(super) struct Problem(pub(super) String);

/// The numbers in one block of a quantized tensor.
pub(super) const BLOCK: usize = 32;
/// The bytes of a block: a scale in 16 bits, and 4 bits for each number.
pub(super) const BLOCK_BYTES: usize = 2 + BLOCK / 2;

/// A packed model.
#[derive(Debug)]
pub(super) struct PackedFile<'a> {
    pub(super) hidden: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) intermediate: usize,
    pub(super) vocabulary: usize,
    pub(super) positions: usize,
    pub(super) types: usize,
    pub(super) epsilon: f32,
    pub(super) tokenizer: PackedTokenizer<'a>,
    tensors: Vec<PackedTensor<'a>>,
}

/// The Unigram tokenizer of a packed model.
#[derive(Debug)]
pub(super) struct PackedTokenizer<'a> {
    /// The pieces in the order of their ids, with their scores.
    pub(super) pieces: Vec<(&'a str, f32)>,
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) pad: usize,
    pub(super) unknown: usize,
}

/// A tensor of a packed model.
#[derive(Debug, Clone, Copy)]
pub(super) struct PackedTensor<'a> {
    name: &'a str,
    /// The count of numbers.
    pub(super) count: usize,
    pub(super) is_quantized: bool,
    pub(super) data: &'a [u8],
}

impl<'a> PackedFile<'a> {
    /// Reads a file's content, and checks that every part of it is inside.
    pub(super) fn read(content: &'a [u8]) -> Result<Self, Problem> {
        let mut cursor = Cursor(content);
        if cursor.take(4)? != b"E5S1" || cursor.u32()? != 1 {
            return Err(problem("it is not a packed model of version 1"));
        }
        let [
            hidden,
            layers,
            heads,
            intermediate,
            vocabulary,
            positions,
            types,
        ] = cursor.sizes()?;
        let epsilon = f32::from_le_bytes(cursor.array()?);
        let [block] = cursor.sizes()?;
        if block != BLOCK || !hidden.is_multiple_of(BLOCK) || !intermediate.is_multiple_of(BLOCK) {
            return Err(problem(format!(
                "its blocks have {block} numbers, and its vectors {hidden} and {intermediate}; \
                 blocks of {BLOCK} are expected"
            )));
        }
        let tokenizer = PackedTokenizer::read(&mut cursor)?;
        let [_mappings] = cursor.sizes()?;
        let mapping_bytes = cursor.u32()? as usize;
        cursor.take(mapping_bytes)?;
        let [count] = cursor.sizes()?;
        let tensors = (0..count).map(|_| PackedTensor::read(&mut cursor, content));
        Ok(Self {
            hidden,
            layers,
            heads,
            intermediate,
            vocabulary,
            positions,
            types,
            epsilon,
            tokenizer,
            tensors: tensors.collect::<Result<_, _>>()?,
        })
    }

    /// The tensor of a name, with this count of numbers.
    pub(super) fn tensor(&self, name: &str, count: usize) -> Result<PackedTensor<'a>, Problem> {
        let found = self.tensors.iter().find(|tensor| tensor.name == name);
        let tensor = found.ok_or_else(|| problem(format!("it has no tensor {name}")))?;
        if tensor.count == count {
            return Ok(*tensor);
        }
        Err(problem(format!(
            "the tensor {name} has {} numbers instead of {count}",
            tensor.count
        )))
    }
}

impl<'a> PackedTokenizer<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Problem> {
        let [count, begin, end, pad, unknown] = cursor.sizes()?;
        let bytes = cursor.length()?;
        let offsets = cursor.take(4 * (count + 1))?;
        let scores = cursor.take(4 * count)?;
        let text = cursor.take(bytes)?;
        let (offsets, _) = offsets.as_chunks::<4>();
        let (scores, _) = scores.as_chunks::<4>();
        let mut pieces = Vec::with_capacity(count);
        for (range, score) in offsets.windows(2).zip(scores) {
            let [start, end] =
                [range[0], range[1]].map(|offset| u32::from_le_bytes(offset) as usize);
            let piece = text.get(start..end).map(str::from_utf8);
            let Some(Ok(piece)) = piece else {
                return Err(problem(format!("its piece {} is not UTF-8", pieces.len())));
            };
            pieces.push((piece, f32::from_le_bytes(*score)));
        }
        Ok(Self {
            pieces,
            begin,
            end,
            pad,
            unknown,
        })
    }
}

impl<'a> PackedTensor<'a> {
    fn read(cursor: &mut Cursor<'a>, content: &'a [u8]) -> Result<Self, Problem> {
        let length = usize::from(u16::from_le_bytes(cursor.array()?));
        let name = str::from_utf8(cursor.take(length)?)
            .map_err(|_| problem("a tensor's name is not UTF-8"))?;
        let [kind] = cursor.array()?;
        let count = cursor.u32()? as usize;
        let (offset, bytes) = (cursor.length()?, cursor.length()?);
        let is_quantized = match kind {
            0 => false,
            1 => true,
            other => return Err(problem(format!("the tensor {name} has the type {other}"))),
        };
        let expected = match is_quantized {
            true => count / BLOCK * BLOCK_BYTES,
            false => count * size_of::<f32>(),
        };
        let data = content.get(offset..offset.saturating_add(bytes));
        match data {
            Some(data) if bytes == expected => Ok(Self {
                name,
                count,
                is_quantized,
                data,
            }),
            _ => Err(problem(format!(
                "the tensor {name} has {bytes} bytes at {offset} for {count} numbers"
            ))),
        }
    }
}

/// The part of a file that is not read yet.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Problem> {
        let Some((taken, rest)) = self.0.split_at_checked(bytes) else {
            return Err(problem("it is truncated"));
        };
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| problem("it is truncated"))
    }

    fn u32(&mut self) -> Result<u32, Problem> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A length or an offset in 64 bits.
    fn length(&mut self) -> Result<usize, Problem> {
        usize::try_from(u64::from_le_bytes(self.array()?))
            .map_err(|_| problem("a length is too large"))
    }

    /// Sizes in 32 bits, which are not negative.
    fn sizes<const N: usize>(&mut self) -> Result<[usize; N], Problem> {
        let mut sizes = [0; N];
        for size in &mut sizes {
            let number = i32::from_le_bytes(self.array()?);
            *size = usize::try_from(number)
                .map_err(|_| problem(format!("it has the size {number}")))?;
        }
        Ok(sizes)
    }
}

pub(super) fn problem(why: impl Into<String>) -> Problem {
    Problem(why.into())
}
