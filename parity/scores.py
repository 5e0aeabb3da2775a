#!/usr/bin/env python3
"""Makes crates/generate/tests/golden/scores.json: BLEU and chrF of small corpora, as sacreBLEU computes them.

    python parity/scores.py            write the file
    python parity/scores.py --check    compute everything again and compare

Needs sacrebleu, nothing else. The sentences are written for this; the last corpus is drawn from odd characters.
"""

import argparse
import json
import random
import sys
from pathlib import Path

from sacrebleu.metrics import BLEU, CHRF

FILE = Path(__file__).resolve().parent.parent / "crates" / "generate" / "tests" / "golden" / "scores.json"

ENGLISH = {
    "hypotheses": [
        "The little girl climbs into a wooden playhouse.",
        "A man in a blue shirt is standing on a ladder, cleaning the window .",
        "Two men at the stove prepare food",
        "He paid $1,234.56 on 3.5.2019 - that's 20-30% more!",
        "",
        "the the the the the the the",
        "“Quotes” &amp; &quot;entities&quot; &lt;b&gt; <skipped>and-\u00a0dashes",
        "It is 7 o'clock: (hi) [there] {you} e-mail a@b.c #tag ~/x\\y ^_` |",
    ],
    "references": [
        [
            "A little girl climbing into a wooden playhouse.",
            "A man in a blue shirt is standing on a ladder cleaning a window.",
            "Two men are at the stove preparing food.",
            "He paid $1,234.56 on 3.5.2019 – that's 20-30 % more!",
            "Nothing was said.",
            "the cat is on the mat",
            "\"Quotes\" & \"entities\" <b> and - dashes",
            "It's 7 o'clock: (Hi) [There] {you} e-mail a@b.c #tag ~/x\\y ^_` |",
        ],
        [
            "A small girl is climbing into a playhouse made of wood.",
            "A man wearing a blue shirt stands on a ladder, cleaning the window.",
            "",
            "On 3.5.2019 he paid 1.234,56$, 20-30% more.",
            "",
            "there is a cat on the mat",
            "“Quotes” and entities",
            "it is seven",
        ],
    ],
}

CHINESE = {
    "hypotheses": [
        "你好，老师！",
        "我今天在北京买了3.5公斤苹果。",
        "這個句子是繁體字寫的",
        "他说：“OK，没问题。”（真的吗？）",
        "ＡＢＣ　１２３ ㈱ ㎏ ☃ 𠀀𠮷",
        "Tom和Mary去了iPhone店。",
        "……",
        "１,２ – 3,4 ① ½ ™ é",
    ],
    "references": [
        [
            "老师，您好！",
            "今天我在北京买了3.5公斤的苹果。",
            "這個句子是用繁體字寫的。",
            "他说：“好，没问题。”（真的？）",
            "ＡＢＣ　１２３ ㈱ ㎏ ☃ 𠀀𠮶",
            "汤姆和玛丽去了iPhone店。",
            "他什么也没说……",
            "１,２ — 3,4 ① ½ ® è",
        ],
    ],
}

SHORT = {"hypotheses": ["a b", "c"], "references": [["a b", "d"]]}
NOTHING = {"hypotheses": ["", "\u3000 "], "references": [["a b c d e", "f"]]}
DIFFERENT = {"hypotheses": ["one two three four five"], "references": [["six seven eight nine ten"]]}
NO_LONG_MATCH = {"hypotheses": ["a x b y c z d"], "references": [["a b c d e f g"]]}

ALPHABET = list("ab1,.-'\"&/()ABÉß İΣς猫，。") + ["\u2019", "\u00a0", "\u1680", "\u2028", "\u001c", "\u200b", "\u2a6d", "\u2a6e", "\u2f81", "🎈", "e\u0301", " ", " ", " "]


def drawn() -> dict:
    draw = random.Random(7)

    def text() -> str:
        return "".join(draw.choices(ALPHABET, k=draw.randrange(0, 24)))

    def near(line: str) -> str:
        return "".join(draw.choice(ALPHABET) if draw.random() < 0.15 else letter for letter in line)

    references = [text() for _ in range(40)]
    return {
        "hypotheses": [near(line) for line in references],
        "references": [references, [near(near(line)) for line in references]],
    }


def bleu(corpus: dict, tokenize: str, lowercase: bool) -> dict:
    metric = BLEU(tokenize=tokenize, lowercase=lowercase, force=True)
    score = metric.corpus_score(corpus["hypotheses"], corpus["references"])
    return {
        "tokenize": tokenize,
        "lowercase": lowercase,
        "score": score.score,
        "precisions": score.precisions,
        "brevity_penalty": score.bp,
        "tokens": [score.sys_len, score.ref_len],
        "verbose": score._verbose,
        "signature": str(metric.get_signature()),
    }


def chrf(corpus: dict, words: int, lowercase: bool) -> dict:
    metric = CHRF(word_order=words, lowercase=lowercase)
    score = metric.corpus_score(corpus["hypotheses"], corpus["references"])
    return {
        "words": words,
        "lowercase": lowercase,
        "name": score.name,
        "score": score.score,
        "signature": str(metric.get_signature()),
    }


def scored(corpus: dict) -> dict:
    lines = corpus["hypotheses"] + sum(corpus["references"], [])
    return corpus | {
        "tokenized": {
            name: [BLEU(tokenize=name)._preprocess_segment(line).split() for line in lines]
            for name in ["13a", "zh", "char", "none"]
        },
        "bleu": [bleu(corpus, name, lower) for name in ["13a", "zh", "char", "none"] for lower in [False, True]],
        "chrf": [chrf(corpus, words, lower) for words in [0, 2] for lower in [False, True]],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    corpora = [ENGLISH, CHINESE, SHORT, NOTHING, DIFFERENT, NO_LONG_MATCH, drawn()]
    text = json.dumps([scored(corpus) for corpus in corpora], ensure_ascii=True) + "\n"
    if check:
        same = FILE.read_text() == text
        print(f"{FILE.name}: {'the same' if same else 'DIFFERENT'}")
        return 0 if same else 1
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text)
    print(f"wrote {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
