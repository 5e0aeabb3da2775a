//! Kinds of file that are never read, by their first bytes and names.

use std::path::Path;

use crate::WeightsError;

/// Ends of names under which people keep pickles, indices of several of them included.
const PICKLE_NAMES: [&str; 6] = [
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    ".pt",
    ".pth",
    ".ckpt",
    ".pkl",
];

/// An error for bytes that are no weights at all, or must not be read as such.
pub(crate) fn refuse(bytes: &[u8], path: &Path) -> Result<(), WeightsError> {
    if is_pickle(bytes) {
        return Err(pickle(path));
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(WeightsError::Unsupported {
            path: path.to_owned(),
            what: "is a Git LFS pointer, not the file itself".to_owned(),
            todo: "run `git lfs pull` in its folder".to_owned(),
        });
    }
    Ok(())
}

/// An error for names that only pickles have.
pub(crate) fn refuse_name(path: &Path) -> Result<(), WeightsError> {
    let name = path.to_string_lossy();
    if PICKLE_NAMES.iter().any(|end| name.ends_with(end)) {
        return Err(pickle(path));
    }
    Ok(())
}

fn pickle(path: &Path) -> WeightsError {
    WeightsError::Unsupported {
        path: path.to_owned(),
        what: "is a PyTorch pickle, which may run code when it is loaded".to_owned(),
        todo: "convert it to safetensors, in Python: safetensors.torch.save_file(torch.load(FILE, \
               weights_only=True), \"model.safetensors\"); a nanoGPT checkpoint has its tensors under [\"model\"]"
            .to_owned(),
    }
}

/// A zip archive, as `torch.save` writes since version 1.6, or a bare pickle, which begins with the opcode 0x80 and
/// its protocol. A safetensors file may begin with such a length, but its ninth byte is `{`.
fn is_pickle(bytes: &[u8]) -> bool {
    let zip = bytes.starts_with(b"PK\x03\x04");
    let bare = matches!(bytes, [0x80, 2..=5, ..]) && bytes.get(8) != Some(&b'{');
    zip || bare
}

#[cfg(test)]
mod tests {
    use super::is_pickle;

    #[test]
    fn a_safetensors_header_of_640_bytes_is_no_pickle() {
        assert!(!is_pickle(b"\x80\x02\0\0\0\0\0\0{\"a\":"));
        assert!(is_pickle(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P"));
        assert!(is_pickle(b"PK\x03\x04\0\0"));
        assert!(!is_pickle(b"GGUF\x03\0\0\0") && !is_pickle(b""));
    }
}
