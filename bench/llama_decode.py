#!/usr/bin/env python3
"""Decoding in llama.cpp, through llama-cpp-python: a run is 64 tokens after 8 others; the time is that of one token."""

import argparse
import json
import statistics
import time

import llama_cpp

DEPTH, TOKENS = 8, 64


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    threads = {"n_threads": args.threads, "n_threads_batch": args.threads}
    model = llama_cpp.Llama(args.gguf, n_ctx=512, verbose=False, **threads)
    ids = [(7 * i + 1) % model.n_vocab() for i in range(DEPTH + TOKENS)]

    def run():
        model.reset()
        model.eval(ids[:DEPTH])
        begin = time.perf_counter()
        for token in ids[DEPTH:]:
            model.eval([token])
        return 1e3 * (time.perf_counter() - begin) / TOKENS

    run()
    times = [run() for _ in range(args.runs)]
    print(json.dumps({"version": llama_cpp.__version__, "ms": statistics.median(times), "runs": len(times)}))


if __name__ == "__main__":
    main()
