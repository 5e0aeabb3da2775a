//! Reading a header from front to back, never past its end.

/// What was wrong, and where: becomes the reason of an error that names the file.
pub(super) type Parsed<T> = Result<T, String>;

/// A place in the bytes of a file.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes not yet read.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Parsed<&'a [u8]> {
        let end = self
            .at
            .checked_add(count)
            .filter(|&end| end <= self.bytes.len());
        let Some(end) = end else {
            return Err(format!(
                "it ends at byte {} where {count} bytes from byte {} on are expected",
                self.bytes.len(),
                self.at
            ));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// The next `N` bytes, for `from_le_bytes`.
    pub(super) fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self) -> Parsed<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Parsed<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A count of things, each of which takes at least `least` bytes: so there cannot be more than the rest holds.
    pub(super) fn count(&mut self, what: &str, least: usize) -> Parsed<usize> {
        let count = self.u64()?;
        let most = self.left() / least;
        match usize::try_from(count) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(format!(
                "it claims {count} {what}, but the {} bytes left can hold at most {most}",
                self.left()
            )),
        }
    }

    /// A length and so many bytes of UTF-8.
    pub(super) fn string(&mut self) -> Parsed<&'a str> {
        let start = self.at;
        let length = self.count("bytes of a string", 1)?;
        std::str::from_utf8(self.take(length)?)
            .map_err(|error| format!("the string at byte {start} is not UTF-8: {error}"))
    }
}
