#!/usr/bin/env python3
"""Checks what `glassformer convert` writes: transformers and llama.cpp load it, and compute the same.

    python parity/conversions.py PROGRAM [--model GGUF] [--text FILE] [--only NAME …]

PROGRAM is the built `glassformer`. Of each family a tiny random model with a small tokenizer is made by transformers and
converted: to a folder and back, and to a GGUF file of each type. With --model a pretrained model in GGUF is taken through
the same, its greedy texts and, with --text, its perplexity are compared too. Prints a table; exits with 1 where something
does not agree. Needs torch, transformers, safetensors and llama-cpp-python; writes nothing but temporary files.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from llama_cpp import LLAMA_POOLING_TYPE_NONE, Llama
from safetensors.numpy import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
from transformers import BertConfig, GPT2Config, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

CORPUS = ["The cat sat on the mat; the dog sat on the log.\n", "One day 12 birds flew over the sea. 3 came back!\n"] * 8
PROMPTS = [
    "The capital of France is",
    "Once upon a time, there was",
    "Water boils at",
    "def fibonacci(n):",
    "The best way to learn a language is",
    "In 1969, people first",
    "My favourite colour is",
    "A good soup begins with",
    "The sun rises in the",
    "To be or not to be,",
]
TYPES = ["f32", "f16", "bf16", "q8_0", "q6_k", "q4_k", "q4_0"]
# Σ (a − b)² / Σ b² of logits. Both programs round activations to 8 bits before blocks, and llama.cpp to f16 or bf16
# before floats of that type; it keeps keys and values as f16, and GELU as a table. Before the K formats it rounds 256
# activations with one scale, we 32.
BAR = {"f32": 1e-4, "f16": 1e-4, "bf16": 1e-3, "q8_0": 4e-3, "q6_k": 5e-3, "q4_k": 5e-3, "q4_0": 4e-3}
SMALL = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4}
ROPE3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
         "high_freq_factor": 4.0, "original_max_position_embeddings": 64}


def families(vocab: int) -> dict:
    decoder = SMALL | {"num_key_value_heads": 2, "vocab_size": vocab, "max_position_embeddings": 256}
    return {
        "gpt2": GPT2Config(vocab_size=vocab, n_positions=128, n_embd=256, n_layer=3, n_head=4),
        "llama": LlamaConfig(**decoder, tie_word_embeddings=False),
        "llama3": LlamaConfig(**decoder, tie_word_embeddings=True, rope_parameters=ROPE3),
        "llama-96": LlamaConfig(**decoder | {"hidden_size": 96, "intermediate_size": 160}),
        "mistral": MistralConfig(**decoder, sliding_window=None, head_dim=32),
        "qwen2": Qwen2Config(**decoder, tie_word_embeddings=True),
        "qwen3": Qwen3Config(**decoder, head_dim=64),
    }


def tokenizer() -> PreTrainedTokenizerFast:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    made.train_from_iterator(CORPUS, trainer)
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token=end, eos_token=end)


class Check:
    def __init__(self, program: str, folder: Path) -> None:
        self.program, self.folder, self.failed, self.count = program, folder, 0, 0

    def run(self, *arguments: str) -> str:
        ran = subprocess.run([self.program, *arguments], capture_output=True, text=True, check=False)
        if ran.returncode:
            raise SystemExit(f"{' '.join(arguments)}: {ran.stderr}")
        return ran.stdout

    def convert(self, model: str, name: str, dtype: str | None = None) -> str:
        self.count += 1
        out = self.folder / f"{self.count}-{name}"
        self.run("convert", "-m", model, "--out", str(out), *(["--dtype", dtype] if dtype else []))
        return str(out)

    def logits(self, model: str, ids: list[int]) -> np.ndarray:
        out = self.folder / "trace.safetensors"
        self.run("trace", "-m", model, "--ids", ",".join(map(str, ids)), "--sites", "logits", "--out", str(out))
        return load_file(out)["logits"]

    def report(self, what: str, value: float, bar: float) -> None:
        bad = not value <= bar
        self.failed += bad
        print(f"{what:58} {value:9.2e}  bar {bar:.0e}{'  FAILED' if bad else ''}", flush=True)


def apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Σ (a − b)² / Σ b², of rows whose mean is taken away, as softmax does not see it."""
    ours, theirs = (x.astype(np.float64) - x.mean(-1, keepdims=True) for x in (ours, theirs))
    return float(((ours - theirs) ** 2).sum() / (theirs**2).sum())


@torch.no_grad()
def of_transformers(folder: str, ids: list[int]) -> np.ndarray:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model(torch.tensor([ids])).logits[0].numpy()


def llama(path: str, **more: object) -> Llama:
    return Llama(path, n_ctx=256, n_threads=2, verbose=False, **more)


def of_llama(path: str, ids: list[int]) -> np.ndarray:
    model = llama(path, logits_all=True)
    model.eval(ids)
    return np.array(model.scores[: len(ids)])


def check_decoder(check: Check, name: str, source: str, ids: list[int]) -> None:
    """From a source to a folder, to each type of GGUF, and from there back."""
    ours = check.logits(source, ids)
    folder = check.convert(source, name)
    check.report(f"{name}: folder in transformers", apart(of_transformers(folder, ids), ours), 1e-9)
    for dtype in TYPES:
        file = check.convert(source, f"{name}.{dtype}.gguf", dtype)
        theirs = of_llama(file, ids)
        check.report(f"{name}: {dtype} in llama.cpp", apart(theirs, check.logits(file, ids)), BAR[dtype])
        if dtype == "f32":
            back = check.convert(file, f"{name}.back")
            # Llama 3's frequencies come back as their factors, rounded once more.
            check.report(f"{name}: GGUF f32 and back", apart(check.logits(back, ids), ours), 1e-9)
            check.report(f"{name}: and in transformers", apart(of_transformers(back, ids), ours), 1e-9)


def check_tokenizers(check: Check, name: str, folder: str, file: str) -> None:
    """The folder's tokenizer in transformers and the file's in llama.cpp cut texts alike."""
    # Not AutoTokenizer, which gives the Qwen tokenizer's own cut to whatever is called a Qwen.
    theirs = PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json")
    model = llama(file, vocab_only=True)
    texts = [*PROMPTS, *CORPUS[:2], "naïve  café 🎈\n\n\tx = 1234", "床前明月光"]
    wrong = sum(
        theirs.encode(text) != model.tokenize(text.encode(), add_bos=True, special=False) for text in texts
    )
    check.report(f"{name}: texts of {len(texts)} cut otherwise", wrong, 0)


def check_tiny(check: Check, only: list[str]) -> None:
    cutter = tokenizer()
    for name, config in families(len(cutter)).items():
        if only and name not in only:
            continue
        torch.manual_seed(sum(name.encode()))
        model = AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():  # norms and biases too, and larger than at the start of training
            torch.nn.init.normal_(parameter, float(parameter.dim() < 2), 0.08)
        source = str(check.folder / name)
        model.save_pretrained(source)
        cutter.save_pretrained(source)
        ids = torch.randint(len(cutter), (60,)).tolist()
        check_decoder(check, name, source, ids)
        check_tokenizers(check, name, source, check.convert(source, "cut.gguf", "q8_0"))


@torch.no_grad()
def check_encoder(check: Check) -> None:
    """A BERT with WordPiece: vectors of positions, as llama.cpp gives them."""
    words = [w for text in CORPUS[:2] for w in text.lower().replace(";", " ;").replace(".", " .").split()]
    words = sorted({"the", "##s", "a", *"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"), *words})
    vocab = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])}
    from transformers import BertModel, BertTokenizerFast

    folder = check.folder / "bert"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(vocab) + "\n")
    cutter = BertTokenizerFast(vocab=vocab)
    torch.manual_seed(5)
    model = BertModel(BertConfig(vocab_size=len(vocab), max_position_embeddings=128, **SMALL)).eval()
    model.save_pretrained(folder)
    cutter.save_pretrained(folder)
    text = "the cat sat on the sea"
    theirs = model(**cutter(text, return_tensors="pt")).last_hidden_state[0].numpy()
    back = check.convert(check.convert(str(folder), "bert.gguf", "f32"), "bert.back")
    again = AutoModel.from_pretrained(back).eval()(**AutoTokenizer.from_pretrained(back)(text, return_tensors="pt"))
    check.report("bert: GGUF and back, in transformers", apart(again.last_hidden_state[0].numpy(), theirs), 1e-9)
    for dtype in ["f32", "f16", "q8_0"]:
        file = check.convert(str(folder), f"bert.{dtype}.gguf", dtype)
        reader = llama(file, embedding=True, pooling_type=LLAMA_POOLING_TYPE_NONE)
        found = np.array(reader.embed(text))
        same = found.shape == theirs.shape
        check.report(f"bert: {dtype} in llama.cpp", apart(found, theirs) if same else np.inf, 1e-3)


def greedy(model: Llama, prompt: str) -> str:
    model.reset()
    return model(prompt, max_tokens=64, temperature=0.0, repeat_penalty=1.0)["choices"][0]["text"]


def perplexity(model: Llama, ids: list[int]) -> float:
    """As `eval --context 256 --stride 128`: windows of 256 ids, of which the first 128 are context alone, but in the first."""
    loss, told = 0.0, 1
    for start in range(0, len(ids), 128):
        window = ids[start : start + 256]
        first = told - start
        if first >= len(window):
            break
        model.reset()
        model.eval(window)
        scores = torch.from_numpy(np.array(model.scores[first - 1 : len(window) - 1]))
        loss += torch.nn.functional.cross_entropy(scores, torch.tensor(window[first:]), reduction="sum").item()
        told = start + len(window)
    return float(np.exp(loss / (told - 1)))


def check_pretrained(check: Check, source: str, text: Path | None) -> None:
    name = Path(source).stem
    model = llama(source, vocab_only=True)
    ids = model.tokenize(" ".join(PROMPTS).encode(), add_bos=False)[:96]
    check_decoder(check, name, source, ids)
    folder = check.convert(source, f"{name}.folder")
    check_tokenizers(check, name, folder, source)
    for dtype in [None, *TYPES]:
        file = check.convert(source, f"{name}.{dtype}.gguf", dtype)
        theirs, flash, same, same_flash = llama(file), llama(file, flash_attn=True), 0, 0
        for prompt in PROMPTS:
            ours = check.run("generate", "-m", file, prompt, "--max-tokens", "64", "--temperature", "0")
            written = greedy(theirs, prompt)
            same += ours.strip() == (prompt + written).strip()
            same_flash += greedy(flash, prompt) == written
        # Near ties fall as roundings do. How much that is shows llama.cpp next to itself, with its other attention.
        figures = f"{name}: {dtype or 'as it is'}: of {len(PROMPTS)} greedy texts {same} as llama.cpp's"
        figures += f" ({same_flash} of its own with flash attention)"
        if text is not None:
            measured = json.loads(check.run("eval", "-m", file, str(text), "--context", "256", "--stride", "128", "--json"))
            cut = theirs.tokenize(text.read_bytes(), add_bos=False)
            judge = llama(file, logits_all=True)
            figures += f"; perplexity {measured['perplexity']:.4f}, llama.cpp {perplexity(judge, cut):.4f}"
        print(figures, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--model", help="a pretrained model in GGUF")
    parser.add_argument("--text", type=Path, help="a text for perplexity")
    parser.add_argument("--only", nargs="*", default=[], help="families, or none of the tiny models: -")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        check = Check(arguments.program, Path(folder))
        check_tiny(check, arguments.only)
        if not arguments.only or "bert" in arguments.only:
            check_encoder(check)
        if arguments.model:
            check_pretrained(check, arguments.model, arguments.text)
        return int(check.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
