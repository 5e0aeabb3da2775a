#!/usr/bin/env python3
"""Makes the golden GGUF file, crates/weights/tests/golden/all-types.*, with the package `gguf`.

    python parity/gguf_files.py            write the files
    python parity/gguf_files.py --check    make everything again and compare

Needs `gguf` (0.19), numpy and safetensors, nothing else. `all-types.gguf` holds a tensor of each type that Glassformer
reads, in odd shapes, and metadata of each type of value; `all-types.safetensors` what the tensors mean, in f32 and
Glassformer's order of axes; `all-types.json` the metadata.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize
from quantised import HALVES
from safetensors.numpy import save_file

FOLDER = Path(__file__).resolve().parent.parent / "crates" / "weights" / "tests" / "golden"
NAME = "all-types"
ALIGNMENT = 64
# Another one than those of quantised.py, whose blocks are random bytes too.
SEED = 1000

# One value of each type, at the ends of its range where it has some.
SCALARS = {
    GGUFValueType.UINT8: 255,
    GGUFValueType.INT8: -128,
    GGUFValueType.UINT16: 65535,
    GGUFValueType.INT16: -32768,
    GGUFValueType.UINT32: 2**32 - 1,
    GGUFValueType.INT32: -(2**31),
    GGUFValueType.FLOAT32: 0.5,
    GGUFValueType.BOOL: True,
    GGUFValueType.STRING: "naïve 注意力 🙂\n{% endfor %}",
    GGUFValueType.UINT64: 2**64 - 1,
    GGUFValueType.INT64: -(2**63),
    GGUFValueType.FLOAT64: -1e300,
}
ARRAYS = {
    GGUFValueType.UINT8: [0, 7, 255],
    GGUFValueType.INT8: [-128, 127],
    GGUFValueType.UINT16: [0, 65535],
    GGUFValueType.INT16: [-32768, 32767],
    GGUFValueType.UINT32: [2**32 - 1],
    GGUFValueType.INT32: [-(2**31), 0, 2**31 - 1],
    GGUFValueType.FLOAT32: [0.25, -1.5, 3e38],
    GGUFValueType.BOOL: [True, False, True],
    GGUFValueType.STRING: ["", "▁the", "注意", "<|im_end|>"],
    GGUFValueType.UINT64: [2**64 - 1, 0],
    GGUFValueType.INT64: [-(2**63)],
    GGUFValueType.FLOAT64: [1e-300],
    GGUFValueType.ARRAY: [[1, 2, 3], [4]],
}


def metadata() -> list[tuple[str, object, GGUFValueType, GGUFValueType | None]]:
    scalars = [(f"scalar.{kind.name.lower()}", value, kind, None) for kind, value in SCALARS.items()]
    arrays = [
        (f"array.{kind.name.lower()}", values, GGUFValueType.ARRAY, kind) for kind, values in ARRAYS.items()
    ]
    return scalars + arrays


def blocks(kind: Type, rows: int, per_row: int, random: np.random.Generator) -> np.ndarray:
    """Random bytes, whose f16 numbers are ordinary ones."""
    _, size = GGML_QUANT_SIZES[kind]
    made = random.integers(0, 256, (rows * per_row, size), dtype=np.uint8)
    for at in HALVES[kind]:
        made[:, at : at + 2] = random.normal(size=(len(made), 1)).astype(np.float16).view(np.uint8)
    return made.reshape(rows, per_row * size)


def tensors() -> dict[str, tuple[np.ndarray, Type | None, np.ndarray]]:
    """Name to what the file holds, its type where the array does not say it, and what it means."""
    random = np.random.default_rng(SEED)
    f32 = random.normal(size=(3, 5, 7)).astype(np.float32)
    f16 = random.normal(size=(1, 3, 1, 11)).astype(np.float16)
    bf16 = quantize(random.normal(size=(2, 13)).astype(np.float32), Type.BF16)
    i32 = random.integers(-1000, 1000, 17, dtype=np.int32)
    made = {
        "f32": (f32, None, f32),
        "f16.of four axes": (f16, None, f16),
        "bf16": (bf16, Type.BF16, dequantize(bf16, Type.BF16)),
        "i32": (i32, None, i32),
    }
    for at, kind in enumerate(HALVES):
        # One, two or three blocks in a row, an odd number of rows.
        held = blocks(kind, 3, 1 if GGML_QUANT_SIZES[kind][0] == 256 else 1 + at % 3, random)
        made[f"blk.{at}.{kind.name.lower()}"] = (held, kind, dequantize(held, kind))
    return made


def write(folder: Path) -> list[Path]:
    paths = [folder / f"{NAME}.{end}" for end in ["gguf", "safetensors", "json"]]
    writer = GGUFWriter(paths[0], "golden")
    writer.add_custom_alignment(ALIGNMENT)
    for entry in metadata():
        writer.add_key_value(*entry)
    made = tensors()
    for name, (held, kind, _) in made.items():
        writer.add_tensor(name, held, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    meant = {name: np.ascontiguousarray(values, dtype=np.float32) for name, (_, _, values) in made.items()}
    save_file(meant, paths[1])
    expected = {"general.architecture": "golden", "general.alignment": ALIGNMENT}
    expected |= {key: value for key, value, _, _ in metadata()}
    paths[2].write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    check_shapes(paths[0], meant)
    return paths


def check_shapes(path: Path, meant: dict[str, np.ndarray]) -> None:
    """The package's own reader sees the same shapes."""
    for tensor in GGUFReader(path).tensors:
        assert tuple(reversed(tensor.shape.tolist())) == meant[tensor.name].shape, tensor.name


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        FOLDER.mkdir(parents=True, exist_ok=True)
        write(FOLDER)
        return 0
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for path in write(Path(folder)):
            committed = FOLDER / path.name
            if committed.read_bytes() != path.read_bytes():
                print(f"{committed} differs", file=sys.stderr)
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
