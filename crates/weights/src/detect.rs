//! What kind of file this is, by its first bytes; and the kinds that are never read.

use std::path::Path;

use crate::WeightsError;

/// A zip archive, as `torch.save` writes since version 1.6, or a bare pickle of protocol 2 and later.
fn is_pickle(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || (bytes.first() == Some(&0x80) && pickle_protocol(bytes))
}

/// A pickle begins with the opcode PROTO, 0x80, and its version. A safetensors header of that length byte would go on
/// with 0 soon, but its ninth byte is `{`.
fn pickle_protocol(bytes: &[u8]) -> bool {
    matches!(bytes.get(1), Some(2..=5)) && bytes.get(8) != Some(&b'{')
}

/// An error for files that are no weights at all, or must not be read as such.
pub(crate) fn refuse(bytes: &[u8], path: &Path) -> Result<(), WeightsError> {
    let unsupported = |what: &str, todo: &str| {
        Err(WeightsError::Unsupported {
            path: path.to_owned(),
            what: what.to_owned(),
            todo: todo.to_owned(),
        })
    };
    if is_pickle(bytes) {
        return unsupported(
            "is a PyTorch pickle, which may run code when it is loaded",
            "convert it in Python: safetensors.torch.save_file(torch.load(FILE, weights_only=True), \"model.safetensors\")",
        );
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return unsupported(
            "is a Git LFS pointer, not the file itself",
            "run `git lfs pull` in its folder",
        );
    }
    Ok(())
}
