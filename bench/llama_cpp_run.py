#!/usr/bin/env python3
"""What llama.cpp takes, through llama-cpp-python.

start    from nothing to the first token: the file is opened, a short prompt is cut and read, the likeliest token chosen
prefill  reading a prompt of N tokens at once, up to the logits after the last
decode   64 tokens one by one after N others; the time is that of one

In the mode `flash` attention is the one that llama.cpp calls flash attention.
"""

import argparse

import llama_cpp

import rounds

TOKENS = 64
PROMPT = "The capital of France is"


def opened(args, n_ctx):
    threads = {"n_threads": args.threads, "n_threads_batch": args.threads}
    return llama_cpp.Llama(args.gguf, n_ctx=n_ctx, n_batch=n_ctx, verbose=False, flash_attn=args.mode == "flash", **threads)


def start(args):
    last = []

    def forget():
        last.clear()  # not while the time is taken
        return ()

    def run():
        model = opened(args, 512)
        last.append(model)
        model.eval(model.tokenize(PROMPT.encode()))
        model.sample(temp=0.0)

    return forget, run, 1


def prefill(args):
    model = opened(args, args.tokens)
    ids = [(7 * i + 1) % model.n_vocab() for i in range(args.tokens)]
    return lambda: (model.reset() or ()), lambda: model.eval(ids), 1


def decode(args):
    model = opened(args, args.tokens + TOKENS)
    ids = [(7 * i + 1) % model.n_vocab() for i in range(args.tokens + TOKENS)]

    def read():
        model.reset()
        model.eval(ids[: args.tokens])
        return ()

    def run():
        for token in ids[args.tokens :]:
            model.eval([token])

    return read, run, TOKENS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    rounds.add_flags(parser, ["plain", "flash"])
    works = {work.__name__: work for work in (start, prefill, decode)}
    parser.add_argument("work", choices=works)
    parser.add_argument("gguf", help="the model's file")
    parser.add_argument("--tokens", type=int, default=8, metavar="N")
    args = parser.parse_args()
    prepare, run, parts = works[args.work](args)
    rounds.serve(args, llama_cpp.__version__, prepare, run, parts)


if __name__ == "__main__":
    main()
