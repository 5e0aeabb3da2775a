#!/usr/bin/env python3
"""Vectors of texts, one a line of a file, in sentence-transformers (PyTorch) and in ONNX Runtime.

A run is from texts to vectors, tokens included. sentence-transformers sorts by length itself and reads batches of 32.
For ONNX Runtime the same is done here: its graph is exported from the same model once, and in the mode `fused` goes
through ONNX Runtime's own optimiser of Transformers. The tokenizer is that of sentence-transformers in both.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

import rounds


def sentence_transformers(folder, mode):
    dtype = torch.bfloat16 if mode.endswith("bf16") else torch.float32
    model = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": dtype})
    return lambda texts: model.encode(texts, batch_size=32, show_progress_bar=False)


class Graph(torch.nn.Module):
    """The model up to its vectors: mean over what is no padding, made 1 long."""

    def __init__(self, folder):
        super().__init__()
        self.bert = SentenceTransformer(folder, device="cpu")[0].auto_model.eval()

    def forward(self, input_ids, attention_mask):
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)


def export(folder, path):
    graph = Graph(folder)
    ids = torch.ones(2, 7, dtype=torch.int64)
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    torch.onnx.export(
        graph,
        (ids, torch.ones_like(ids)),
        path,
        input_names=["input_ids", "attention_mask"],
        output_names=["vectors"],
        dynamic_shapes={"input_ids": axes, "attention_mask": axes},
        dynamo=True,
    )
    return graph.bert.config


def onnx_runtime(folder, mode, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    with tempfile.TemporaryDirectory() as made:
        path = str(Path(made) / "model.onnx")
        config = export(folder, path)
        if mode.endswith("fused"):
            from onnxruntime.transformers import optimizer

            sizes = {"num_heads": config.num_attention_heads, "hidden_size": config.hidden_size}
            optimizer.optimize_model(path, model_type="bert", **sizes).save_model_to_file(path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    model = SentenceTransformer(folder, device="cpu")
    batch = 8

    def encode(texts):
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        vectors = [None] * len(texts)
        for first in range(0, len(texts), batch):
            chosen = order[first : first + batch]
            given = model.preprocess([texts[i] for i in chosen])
            given = {name: given[name].numpy() for name in ("input_ids", "attention_mask")}
            for i, vector in zip(chosen, session.run(None, given)[0]):
                vectors[i] = vector
        return np.stack(vectors)

    return encode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    rounds.add_flags(parser, ["torch-f32", "torch-bf16", "onnx", "onnx-fused"])
    parser.add_argument("--model", required=True, help="a folder as sentence-transformers lays it out")
    parser.add_argument("--texts", required=True, help="a file, each line of which is a text")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    texts = Path(args.texts).read_text(encoding="utf-8").splitlines()
    if args.mode.startswith("torch"):
        encode = sentence_transformers(args.model, args.mode)
    else:
        encode = onnx_runtime(args.model, args.mode, args.threads)
    with torch.inference_mode():
        rounds.serve(args, torch.__version__, lambda: (), lambda: encode(texts))


if __name__ == "__main__":
    main()
