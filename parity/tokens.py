#!/usr/bin/env python3
"""Makes crates/tokens/tests/golden/tokenizers/*.json: small tokenizers in the shapes of well-known ones, and their ids.

    python parity/tokens.py            write the files
    python parity/tokens.py --check    make everything again and compare

Needs tokenizers and transformers, nothing else. Each file holds a `tokenizer.json` (`file`), the same as a GGUF file's
metadata would give it (`gguf`, null where GGUF has no such thing), and texts with the ids that the library makes of them:
special tokens left alone (`plain`), recognised (`marked`), and with what the tokenizer sets around a text (`prompt`).
"""

import argparse
import json
import random
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX as QWEN2
from transformers.tokenization_utils_base import generate_merges

FOLDER = Path(__file__).resolve().parent.parent / "crates" / "tokens" / "tests" / "golden" / "tokenizers"
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")
CORPUS = [
    "The quick brown fox jumps over the lazy dog. The dog sleeps; the fox doesn't, and they'll see that I'm there.",
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。床前明月光，疑是地上霜。",
    "for (int i = 0; i < 100; i++) {\n\tprintf(\"%d\\n\", i);\n    return 2024;\n}\n\n",
    "naïve café, Straße, ÀÉÎ, 🎈🎈 the the then there this that 1234 1234 567  the    end",
]
BITS = (
    ["the", " The", "hello", "'s", "'LL", " don't", " ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", "a", "Z", "é", "e\u0301"]
    + ["ß", "İ", "ſ", "naïve", "Straße", "ÀÉ", "床前明月光", "한국어", "ｶﾅ", "עברית", "हिन्दी", "🎈", "👩‍👩‍👧", "🇩🇪", "123", "4567"]
    + ["1,000.5", "½", "²", "٣٤", "Ⅷ", "!", "?!", "...", "—", "“q”", "##ing", "▁", "▁▁a", "\u00a0", "\u2003", "\u200b", "\u200d"]
    + ["\ufeff", "\0", "\x7f", "\u0085", "\u2028", "\ufffd", "\U00020000", "_", "$x+=1;", "https://a.b/c?d", "camelCase", "Å", "\u212b"]
    + ["ﬁ", "\u3000", "e" * 30, "~`^|<>", "<0x41>"]
)


def texts(specials: list[str]) -> list[str]:
    """Fixed ones, and random ones of pieces where tokenizers differ, of any characters, and of special tokens."""
    rnd = random.Random(20)
    ranges = [(0, 0x80), (0x80, 0x370), (0x370, 0x3000), (0x3000, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000)]

    def piece() -> str:
        kind = rnd.random()
        if kind < 0.65:
            return rnd.choice(BITS)
        return rnd.choice(specials) if kind < 0.8 else chr(rnd.randrange(*rnd.choice(ranges)))

    fixed = ["", " ", "Hello there", " the  end ", *(f"a {name} b{name}c" for name in specials)]
    return fixed + ["".join(piece() for _ in range(rnd.randrange(1, 9))) for _ in range(70)]


def template(tokenizer: Tokenizer, single: str, pair: str, names: list[str]) -> processors.TemplateProcessing:
    ids = [(name, tokenizer.token_to_id(name)) for name in names]
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=ids)


def byte_level(pre, size=400, first=(), added=(), normalizer=None, **settings) -> Tokenizer:
    """Byte-level BPE learned from the corpus, with tokens before the vocabulary and after it."""
    tokenizer = Tokenizer(models.BPE(**settings))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre, decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    alphabet = sorted(bytes_to_unicode().values())
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, special_tokens=list(first), show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([token for token in added if token.special])
    tokenizer.add_tokens([token for token in added if not token.special])
    return tokenizer


def split(pattern: str):
    words = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    return pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def special(name: str, **settings) -> AddedToken:
    return AddedToken(name, special=True, normalized=False, **settings)


def plain(name: str) -> AddedToken:
    return AddedToken(name, special=False, normalized=False)


def gguf(tokenizer: Tokenizer, model: str, **more) -> dict:
    """The metadata that llama.cpp's converter writes for `tokenizer`."""
    file = json.loads(tokenizer.to_str())
    added = {token["id"]: token for token in file["added_tokens"]}
    ids = range(tokenizer.get_vocab_size())
    types = [1 if id not in added else 3 if added[id]["special"] else 4 for id in ids]
    tokens = [tokenizer.id_to_token(id) for id in ids]
    return {"model": model, "tokens": tokens, "token_types": types} | more


def merges(tokenizer: Tokenizer) -> list[str]:
    return [" ".join(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def gpt2():
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), added=[special("<|endoftext|>")])
    end = tokenizer.token_to_id("<|endoftext|>")
    return tokenizer, gguf(tokenizer, "gpt2", pre="gpt-2", merges=merges(tokenizer), bos=end, eos=end)


def llama3():
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = byte_level(split(LLAMA3), added=[special(name) for name in names], ignore_merges=True)
    around = template(tokenizer, f"{names[0]} $A", f"{names[0]} $A {names[0]}:1 $B:1", names[:1])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), around])
    bos, eos = (tokenizer.token_to_id(name) for name in (names[0], names[4]))
    return tokenizer, gguf(tokenizer, "gpt2", pre="llama-bpe", merges=merges(tokenizer), bos=bos, eos=eos)


def qwen2():
    added = [special("<|endoftext|>"), special("<|im_start|>"), special("<|im_end|>"), plain("<tool_call>"), plain("<think>")]
    tokenizer = byte_level(split(QWEN2), added=added, normalizer=normalizers.NFC())
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    bos, eos = (tokenizer.token_to_id(name) for name in ("<|endoftext|>", "<|im_end|>"))
    more = {"pre": "qwen2", "merges": merges(tokenizer), "bos": bos, "eos": eos, "add_bos": False}
    return tokenizer, gguf(tokenizer, "gpt2", **more)


def smollm2():
    digits = pre_tokenizers.Digits(individual_digits=True)
    pre = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer = byte_level(pre, first=["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>"])
    more = {"pre": "smollm", "merges": merges(tokenizer), "bos": 1, "eos": 2, "unknown": 0, "add_bos": False}
    return tokenizer, gguf(tokenizer, "gpt2", **more)


def roberta():
    first = [special(name) for name in ("<s>", "<pad>", "</s>", "<unk>")] + [special("<mask>", lstrip=True)]
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), first=first)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    more = {"bos": 0, "eos": 2, "unknown": 3, "separator": 2, "padding": 1, "mask": 4, "add_bos": True, "add_eos": True}
    return tokenizer, gguf(tokenizer, "gpt2", pre="roberta-bpe", merges=merges(tokenizer), add_separator=True, **more)


def sentencepiece():
    """A SentencePiece vocabulary: special tokens, bytes, pieces by score, characters."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
    learner.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=350, show_progress=False))
    learned = json.loads(learner.to_str())["model"]
    pieces = ["".join(pair) for pair in learned["merges"]]
    letters = [piece for piece in learned["vocab"] if len(piece) == 1]
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = names + pieces + letters
    scores = [0.0] * len(names) + [float(-rank) for rank in range(len(pieces) + len(letters))]
    types = [2, 3, 3] + [6] * 256 + [1] * (len(pieces) + len(letters))
    return tokens, scores, types


def sentencepiece_bpe(tokens: list[str], scores: list[float]) -> Tokenizer:
    vocab = {token: id for id, token in enumerate(tokens)}
    pairs = generate_merges(vocab, dict(zip(tokens, scores)), skip_tokens=tokens[:259])
    tokenizer = Tokenizer(models.BPE(vocab, pairs, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    tokenizer.add_special_tokens([special(name) for name in tokens[:3]])
    tokenizer.post_processor = template(tokenizer, "<s> $A", "<s> $A <s>:1 $B:1", ["<s>"])
    return tokenizer


def llama2():
    tokens, scores, types = sentencepiece()
    tokenizer = sentencepiece_bpe(tokens, scores)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    more = {"scores": scores, "token_types": types, "bos": 1, "eos": 2, "unknown": 0, "add_bos": True}
    return tokenizer, gguf(tokenizer, "llama", **more)


def mistral():
    """As newer folders have it: the space before a text is set by the pre-tokenizer, and only at the very beginning."""
    tokens, scores, _ = sentencepiece()
    tokenizer = sentencepiece_bpe(tokens, scores)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return tokenizer, None


def bert(lowercase: bool):
    """Every other word of the corpus, the letters of all, and what words end with."""
    normalizer, pre_tokenizer = normalizers.BertNormalizer(lowercase=lowercase), pre_tokenizers.BertPreTokenizer()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    normal = " ".join(normalizer.normalize_str(text) for text in CORPUS)
    words = sorted({word for word, _ in pre_tokenizer.pre_tokenize_str(normal)})
    letters = sorted(set("".join(words)))
    entries = names + letters + ["##" + letter for letter in letters] + ["##ing", "##ello", "##ere", "##re"] + words[::2]
    vocab = {entry: id for id, entry in enumerate(dict.fromkeys(entries))}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens([special(name) for name in names])
    pair = "[CLS] $A [SEP] $B:1 [SEP]:1"
    tokenizer.post_processor = template(tokenizer, "[CLS] $A [SEP]", pair, ["[CLS]", "[SEP]"])
    more = {"unknown": 1, "cls": 2, "separator": 3, "padding": 0, "mask": 4}
    metadata = gguf(tokenizer, "bert", **more)
    spelled = [t[2:] if t.startswith("##") else t if t in names else "▁" + t for t in metadata["tokens"]]
    return tokenizer, metadata | {"tokens": spelled}


def golden(tokenizer: Tokenizer, metadata: dict | None) -> dict:
    file = json.loads(tokenizer.to_str())
    added = [token["content"] for token in file["added_tokens"]]
    cases = []
    for text in texts(added):
        tokenizer.encode_special_tokens = True
        bare, prompt = (tokenizer.encode(text, add_special_tokens=more).ids for more in (False, True))
        tokenizer.encode_special_tokens = False
        marked = tokenizer.encode(text, add_special_tokens=False).ids
        decoded = tokenizer.decode(bare, skip_special_tokens=False)
        cases.append({"text": text, "plain": bare, "marked": marked, "prompt": prompt, "decoded": decoded})
    pair = tokenizer.encode("the fox", "the dog 1")
    asked = {"ids": pair.ids, "segments": pair.type_ids}
    return {"file": file, "gguf": metadata, "cases": cases, "pair": asked}


def compact(value, depth: int = 0) -> str:
    """JSON with a line for each case and each part, not for each number."""
    if depth < 2 and isinstance(value, dict):
        lines = [f"{json.dumps(key)}: {compact(inner, depth + 1)}" for key, inner in value.items()]
        return "{\n" + ",\n".join(lines) + "\n}"
    if depth < 2 and isinstance(value, list):
        return "[\n" + ",\n".join(compact(inner, depth + 1) for inner in value) + "\n]"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    FOLDER.mkdir(parents=True, exist_ok=True)
    makers = [gpt2, llama3, qwen2, smollm2, roberta, llama2, mistral]
    made = {maker.__name__: maker() for maker in makers} | {"bert": bert(True), "bert-cased": bert(False)}
    wrong = []
    for name, (tokenizer, metadata) in made.items():
        path = FOLDER / f"{name}.json"
        text = compact(golden(tokenizer, metadata)) + "\n"
        if not check:
            path.write_text(text, encoding="utf8")
        elif path.read_text(encoding="utf8") != text:
            wrong.append(path.name)
    if wrong:
        print(f"made otherwise now: {', '.join(wrong)}", file=sys.stderr)
        return 1
    print(f"{len(made)} tokenizers: {'as made now' if check else 'written'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
