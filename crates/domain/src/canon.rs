//! One way to turn columns into bytes: fixed-width integers big-endian, everything of variable length behind a
//! 32-bit length. Two different lists of columns never give the same bytes.

#[derive(Debug, Default)]
pub struct Canon(Vec<u8>);

impl Canon {
    /// Starts with a label that says what the bytes are, so that bytes of one kind never pass for another's.
    pub fn new(label: &str) -> Self {
        Self(Vec::with_capacity(256)).text(label)
    }

    pub fn byte(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub fn short(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn int(mut self, value: i64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn bytes(mut self, value: &[u8]) -> Self {
        // Every input is bounded far below 4 GiB before it comes here.
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value);
        self
    }

    pub fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    /// Absent and empty differ.
    pub fn maybe_int(self, value: Option<i64>) -> Self {
        match value {
            None => self.byte(0),
            Some(value) => self.byte(1).int(value),
        }
    }

    pub fn maybe_bytes(self, value: Option<&[u8]>) -> Self {
        match value {
            None => self.byte(0),
            Some(value) => self.byte(1).bytes(value),
        }
    }

    pub fn maybe_text(self, value: Option<&str>) -> Self {
        self.maybe_bytes(value.map(str::as_bytes))
    }

    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// The same columns read back, in the order in which they were written. `None`: the bytes are not of this form.
#[derive(Debug)]
pub struct Columns<'a>(&'a [u8]);

impl<'a> Columns<'a> {
    /// Behind the label that says what the bytes are.
    pub fn read(bytes: &'a [u8], label: &str) -> Option<Self> {
        let mut columns = Self(bytes);
        (columns.text()? == label).then_some(columns)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// A number that was written as an integer and is a small one.
    pub fn small(&mut self) -> Option<i16> {
        self.int()?.try_into().ok()
    }

    pub fn int(&mut self) -> Option<i64> {
        self.take(8)?.try_into().ok().map(i64::from_be_bytes)
    }

    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(self.take(4)?.try_into().ok()?);
        self.take(usize::try_from(length).ok()?)
    }

    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub fn maybe_int(&mut self) -> Option<Option<i64>> {
        match self.byte()? {
            0 => Some(None),
            1 => self.int().map(Some),
            _ => None,
        }
    }

    pub fn maybe_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match self.byte()? {
            0 => Some(None),
            1 => self.bytes().map(Some),
            _ => None,
        }
    }

    pub fn maybe_text(&mut self) -> Option<Option<&'a str>> {
        match self.maybe_bytes()? {
            None => Some(None),
            Some(bytes) => std::str::from_utf8(bytes).ok().map(Some),
        }
    }

    /// Whether all of it was read.
    pub fn is_done(&self) -> bool {
        self.0.is_empty()
    }
}
