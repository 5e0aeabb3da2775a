//! The values of metadata: thirteen types, of which one is an array of any of them.

/// A value.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the types' names say what they are")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(String),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// Values of one type.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the types' names say what they are")]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    Bool(Vec<bool>),
    String(Vec<String>),
    Array(Vec<Array>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F64(Vec<f64>),
}

impl Value {
    /// The number by which GGUF calls the type.
    pub(super) fn type_number(&self) -> u32 {
        match self {
            Self::U8(_) => 0,
            Self::I8(_) => 1,
            Self::U16(_) => 2,
            Self::I16(_) => 3,
            Self::U32(_) => 4,
            Self::I32(_) => 5,
            Self::F32(_) => 6,
            Self::Bool(_) => 7,
            Self::String(_) => 8,
            Self::Array(_) => 9,
            Self::U64(_) => 10,
            Self::I64(_) => 11,
            Self::F64(_) => 12,
        }
    }

    /// Type and value in a few words, for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Array(array) => array.describe(),
            Self::String(text) => format!("the string {:?}", shortened(text)),
            Self::Bool(value) => format!("the truth value {value}"),
            Self::F32(value) => format!("the float {value}"),
            Self::F64(value) => format!("the float {value}"),
            other => match other.integer() {
                Some(value) => format!("the integer {value}"),
                None => "of another type".to_owned(),
            },
        }
    }

    /// The value of any type of integer.
    pub(super) fn integer(&self) -> Option<i128> {
        Some(match *self {
            Self::U8(x) => x.into(),
            Self::I8(x) => x.into(),
            Self::U16(x) => x.into(),
            Self::I16(x) => x.into(),
            Self::U32(x) => x.into(),
            Self::I32(x) => x.into(),
            Self::U64(x) => x.into(),
            Self::I64(x) => x.into(),
            Self::F32(_) | Self::F64(_) | Self::Bool(_) | Self::String(_) | Self::Array(_) => {
                return None;
            }
        })
    }
}

impl Array {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(x) => x.len(),
            Self::I8(x) => x.len(),
            Self::U16(x) => x.len(),
            Self::I16(x) => x.len(),
            Self::U32(x) => x.len(),
            Self::I32(x) => x.len(),
            Self::F32(x) => x.len(),
            Self::Bool(x) => x.len(),
            Self::String(x) => x.len(),
            Self::Array(x) => x.len(),
            Self::U64(x) => x.len(),
            Self::I64(x) => x.len(),
            Self::F64(x) => x.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number by which GGUF calls the elements' type.
    pub(super) fn type_number(&self) -> u32 {
        match self {
            Self::U8(_) => 0,
            Self::I8(_) => 1,
            Self::U16(_) => 2,
            Self::I16(_) => 3,
            Self::U32(_) => 4,
            Self::I32(_) => 5,
            Self::F32(_) => 6,
            Self::Bool(_) => 7,
            Self::String(_) => 8,
            Self::Array(_) => 9,
            Self::U64(_) => 10,
            Self::I64(_) => 11,
            Self::F64(_) => 12,
        }
    }

    fn describe(&self) -> String {
        let of = match self {
            Self::F32(_) | Self::F64(_) => "floats",
            Self::Bool(_) => "truth values",
            Self::String(_) => "strings",
            Self::Array(_) => "arrays",
            _ => "integers",
        };
        format!("an array of {} {of}", self.len())
    }

    /// The elements of an array of any type of integer.
    pub(super) fn integers(&self) -> Option<Vec<i128>> {
        fn widen<T: Copy + Into<i128>>(values: &[T]) -> Vec<i128> {
            values.iter().map(|&x| x.into()).collect()
        }
        Some(match self {
            Self::U8(x) => widen(x),
            Self::I8(x) => widen(x),
            Self::U16(x) => widen(x),
            Self::I16(x) => widen(x),
            Self::U32(x) => widen(x),
            Self::I32(x) => widen(x),
            Self::U64(x) => widen(x),
            Self::I64(x) => widen(x),
            Self::F32(_) | Self::F64(_) | Self::Bool(_) | Self::String(_) | Self::Array(_) => {
                return None;
            }
        })
    }
}

/// The beginning of a text that may be long.
fn shortened(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
