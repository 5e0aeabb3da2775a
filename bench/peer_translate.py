#!/usr/bin/env python3
"""Translating the lines of a file with beam search in CTranslate2 and in transformers: what `glassformer translate` does.

The model is a folder as `glassformer convert` writes it. A run translates the whole file; CTranslate2 sorts it by length and cuts it
into batches as it likes, transformers gets batches of sentences of like length. Tokens are made beforehand, and not timed.
"""

import argparse
import tempfile
from pathlib import Path

import rounds

MODES = ["ct2-float32", "ct2-bfloat16", "ct2-int8", "transformers-float32", "transformers-bfloat16"]
BEYOND_SOURCE = 50


def tokenizer_of(model):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_file=str(Path(model) / "tokenizer.json"), bos_token="<pad>", eos_token="</s>", pad_token="<pad>", unk_token="<pad>")


def ctranslate2_run(args, lines, kind):
    import ctranslate2
    import transformers
    from ctranslate2.converters import TransformersConverter

    # Ours is not from the hub: its special tokens are its own, and so is the file of its tokenizer.
    class Converter(TransformersConverter):
        def load_tokenizer(self, _, path, **__):
            return tokenizer_of(path)

    # As mBART is: norms before the parts, and one behind the embeddings.
    transformers.MBartConfig.normalize_before = True
    transformers.MBartConfig.normalize_embedding = True
    folder = tempfile.TemporaryDirectory()
    Converter(args.model).convert(folder.name, force=True)
    translator = ctranslate2.Translator(folder.name, device="cpu", compute_type=kind, inter_threads=1, intra_threads=args.threads)
    tokenizer = tokenizer_of(args.model)
    sources = [tokenizer.convert_ids_to_tokens(tokenizer(line)["input_ids"]) for line in lines]
    longest = max(map(len, sources)) + BEYOND_SOURCE
    # Of mBART it does not know with which token to begin; ours begin with padding, as Marian's do.
    begun = [["<pad>"]] * len(sources)

    def run():
        results = translator.translate_batch(
            sources, begun, beam_size=args.beam, length_penalty=1.0, max_batch_size=args.batch, max_decoding_length=longest
        )
        return [tokenizer.decode(tokenizer.convert_tokens_to_ids(r.hypotheses[0]), skip_special_tokens=True) for r in results]

    # Kept as long as the translator lives.
    run.folder = folder
    return ctranslate2.__version__, run


def transformers_run(args, lines, kind):
    import torch
    import transformers

    torch.set_num_threads(args.threads)
    tokenizer = tokenizer_of(args.model)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(args.model, dtype=getattr(torch, kind)).eval()
    ids = [tokenizer(line)["input_ids"] for line in lines]
    order = sorted(range(len(ids)), key=lambda n: len(ids[n]))

    def run():
        said = [""] * len(ids)
        for first in range(0, len(order), args.batch):
            batch = order[first : first + args.batch]
            padded = tokenizer.pad({"input_ids": [ids[n] for n in batch]}, return_tensors="pt")
            with torch.inference_mode():
                out = model.generate(**padded, num_beams=args.beam, length_penalty=1.0, max_new_tokens=padded["input_ids"].shape[1] + BEYOND_SOURCE)
            for n, text in zip(batch, tokenizer.batch_decode(out, skip_special_tokens=True)):
                said[n] = text
        return said

    return transformers.__version__, run


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", required=True)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--out", help="write the translations there, once")
    rounds.add_flags(parser, MODES)
    args = parser.parse_args()
    lines = Path(args.texts).read_text(encoding="utf-8").splitlines()
    who, kind = args.mode.split("-")
    version, run = (ctranslate2_run if who == "ct2" else transformers_run)(args, lines, kind)
    if args.out:
        Path(args.out).write_text("".join(f"{text.strip()}\n" for text in run()), encoding="utf-8")
    rounds.serve(args, version, lambda: (), run)


if __name__ == "__main__":
    main()
