#!/usr/bin/env python3
"""From Tatoeba's English–Chinese sentences (tab-separated) to the pairs that the built-in translator learns from, and those it is tried on.

One model goes both ways, so each pair is there twice. Chinese is brought to simplified characters where it is to be written; where it
is read, both scripts stay. Of 800 English sentences drawn by a fixed seed, 300 are for validation and 500 for the test: no pair that
shares a sentence with them, on either side, is left to learn from.

Needs: pip install opencc-python-reimplemented
"""

import argparse
import random
import re
from pathlib import Path

from opencc import OpenCC

SIMPLIFIED = OpenCC("t2s").convert
HALF_TO_FULL = str.maketrans({",": "，", "?": "？", "!": "！", ":": "：", ";": "；", "｡": "。"})
QUOTES = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "…": "...", "–": "-", "—": "-"})


def english(text):
    return re.sub(r"\s+", " ", text.translate(QUOTES)).strip()


def chinese(text):
    text = re.sub(r"(?<!\d)[,?!:;｡]|[,?!:;｡](?!\d)", lambda m: m[0].translate(HALF_TO_FULL), text.strip())
    text = re.sub(r"(?<=[\u4e00-\u9fff，。？！])\s+|\s+(?=[\u4e00-\u9fff，。？！])", "", text)
    return re.sub(r"\.$", "。", text)


def key(text):
    """A sentence without case and punctuation: two that differ only there are one."""
    return re.sub(r"\W+", "", SIMPLIFIED(text).lower())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tatoeba", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    lines = args.tatoeba.read_text(encoding="utf-8").splitlines()
    read = [(english(columns[0]), chinese(columns[1])) for columns in (line.split("\t") for line in lines)]
    pairs = list(dict.fromkeys(pair for pair in read if all(map(key, pair))))
    drawn = random.Random(20261129)
    sentences = sorted({key(en) for en, _ in pairs})
    held_out = drawn.sample(sentences, 800)
    first = {}
    for en, zh in pairs:
        first.setdefault(key(en), (en, SIMPLIFIED(zh)))
    held = [first[sentence] for sentence in held_out]
    test, validation = held[:500], held[500:]
    seen_en = set(held_out)
    seen_zh = {key(zh) for en, zh in pairs if key(en) in seen_en}
    left = [(en, zh) for en, zh in pairs if key(en) not in seen_en and key(zh) not in seen_zh]

    def both(pairs):
        ways = [(en, SIMPLIFIED(zh)) for en, zh in pairs] + [(zh, en) for en, zh in pairs]
        return list(dict.fromkeys(ways + [(SIMPLIFIED(zh), en) for en, zh in pairs]))

    args.out.mkdir(parents=True, exist_ok=True)
    for name, ways in (("train", both(left)), ("valid", both(validation))):
        drawn.shuffle(ways)
        (args.out / f"{name}.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in ways), encoding="utf-8")
    for number, suffix in enumerate(("en", "zh")):
        (args.out / f"test.{suffix}").write_text("".join(f"{pair[number]}\n" for pair in test), encoding="utf-8")
    print(f"{len(read)} pairs; {len(left)} to learn from, {len(both(left))} in both directions; 300 for validation, 500 for the test")


if __name__ == "__main__":
    main()
