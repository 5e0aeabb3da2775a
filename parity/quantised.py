#!/usr/bin/env python3
"""Makes the golden files of GGUF's block formats, crates/kernels/tests/golden/*.bin, with the package `gguf`.

    python parity/quantised.py            write the files
    python parity/quantised.py --check    make everything again and compare

Needs `gguf` (0.19) and numpy, nothing else. A file holds, little-endian: three blocks of random bytes, whose scales
are ordinary f16 numbers; what they mean (f32); and for the formats that Glassformer writes, three blocks of random
numbers (f32) and the blocks that they become.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize

FOLDER = Path(__file__).resolve().parent.parent / "crates" / "kernels" / "tests" / "golden"
BLOCKS = 3
# Where each format's f16 numbers stand in a block.
HALVES = {
    Type.Q4_0: [0],
    Type.Q4_1: [0, 2],
    Type.Q5_0: [0],
    Type.Q5_1: [0, 2],
    Type.Q8_0: [0],
    Type.Q2_K: [80, 82],
    Type.Q3_K: [108],
    Type.Q4_K: [0, 2],
    Type.Q5_K: [0, 2],
    Type.Q6_K: [208],
}
WRITTEN = [Type.Q8_0, Type.Q4_0, Type.Q5_0]


def golden(kind: Type, seed: int, count: int = BLOCKS) -> bytes:
    random = np.random.default_rng(seed)
    weights, size = GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
    for at in HALVES[kind]:
        halves = random.normal(size=(count, 1)).astype(np.float16)
        halves[-1] *= np.float16(1e-6)  # the last one is subnormal
        blocks[:, at : at + 2] = halves.view(np.uint8)
    parts = [blocks, dequantize(blocks, kind).astype(np.float32)]
    if kind in WRITTEN:
        numbers = random.normal(size=(count, weights)).astype(np.float32)
        numbers[-1] *= np.float32(1e-6)
        numbers[0, :3] = [0, -numbers[0, 5], numbers[0, 5]]
        parts += [numbers, quantize(numbers, kind)]
    return b"".join(part.tobytes() for part in parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    FOLDER.mkdir(exist_ok=True)
    failed = 0
    for seed, kind in enumerate(HALVES):
        path, made = FOLDER / f"{kind.name}.bin", golden(kind, seed)
        if not check:
            path.write_bytes(made)
        elif not path.exists() or path.read_bytes() != made:
            print(f"{path} {'differs' if path.exists() else 'is missing'}", file=sys.stderr)
            failed += 1
    if not check:
        print(f"wrote {FOLDER}")
    elif not failed:
        print(f"the golden files of {len(HALVES)} formats are as quantised.py makes them")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
