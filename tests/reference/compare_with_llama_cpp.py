#!/usr/bin/env python3
"""How far our logits, and llama.cpp's, are from plain FP32 arithmetic on the same weights.

    compare_with_llama_cpp.py --logits BUILD/bin/scoville_logits --model MODEL.gguf \\
        [--texts tests/data/texts] [--check-reference] [--json OUT]

Every text is tokenised and teacher-forced, one pass per text in all engines. Per position the
distributions p (reference) and q (ours, or llama.cpp's) give: KL(p || q) in nats, whether their most
likely tokens differ, and |log p - log q| of the token that really follows. --check-reference also
writes the model with all its weights dequantised to F32, runs llama.cpp on that, and compares it
with the reference: llama.cpp then computes in (nearly) the reference's precision, so this must be
close to zero, or the two do not mean the same model.
"""
import argparse
import ctypes
import json
import pathlib
import subprocess
import tempfile

import gguf
import llama_cpp as lc
import numpy as np


class LlamaCpp:
    def __init__(self, path, f32_cache=False):
        self.silent = lc.llama_log_callback(lambda level, text, data: None)
        lc.llama_log_set(self.silent, ctypes.c_void_p())
        kv = {"type_k": 0, "type_v": 0} if f32_cache else {}
        self.llama = lc.Llama(str(path), n_ctx=1024, n_batch=1024, n_ubatch=1024, n_threads=2,
                              logits_all=True, verbose=False, **kv)

    def tokenize(self, text):
        return self.llama.tokenize(text.encode(), add_bos=False, special=True)

    def logits(self, tokens):
        self.llama.reset()
        self.llama.eval(tokens)
        return np.array(self.llama.scores[:len(tokens)], dtype=np.float32)


class Program:
    """scoville_logits, fed one line per text."""

    def __init__(self, program, model, engine, vocabulary):
        self.vocabulary = vocabulary
        self.process = subprocess.Popen([program, model, engine], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def send(self, tokens):
        self.process.stdin.write((" ".join(map(str, tokens)) + "\n").encode())
        self.process.stdin.flush()

    def receive(self, count):
        size = count * self.vocabulary * 4
        data = self.process.stdout.read(size)
        if len(data) != size:
            raise SystemExit(f"{self.process.args}: got {len(data)} of {size} bytes")
        return np.frombuffer(data, dtype="<f4").reshape(count, self.vocabulary)


def log_softmax(logits):
    x = logits.astype(np.float64)
    x -= x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


class Distance:
    def __init__(self):
        self.kl, self.top1, self.delta = [], [], []

    def add(self, p, q, tokens):
        self.kl.extend((np.exp(p) * (p - q)).sum(axis=1))
        self.top1.extend(p.argmax(axis=1) != q.argmax(axis=1))
        rows, following = np.arange(len(tokens) - 1), np.array(tokens[1:])
        self.delta.extend(np.abs(p[rows, following] - q[rows, following]))

    def summary(self):
        return {"positions": len(self.kl), "mean_kl": float(np.mean(self.kl)),
                "p99_kl": float(np.percentile(self.kl, 99)), "max_kl": float(np.max(self.kl)),
                "top1_disagreement": float(np.mean(self.top1)),
                "mean_abs_delta_logprob": float(np.mean(self.delta))}


def write_f32(source, target):
    """The same model with every tensor dequantised to F32."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        sub = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub)
    writer.add_file_type(0)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, values.reshape(tensor.shape[::-1]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logits", required=True, help="the scoville_logits program")
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", default=pathlib.Path(__file__).parent.parent / "data/texts")
    parser.add_argument("--check-reference", action="store_true")
    parser.add_argument("--json", help="also write the figures to this file")
    args = parser.parse_args()

    theirs = LlamaCpp(args.model)
    vocabulary = theirs.llama.n_vocab()
    texts = sorted(pathlib.Path(args.texts).glob("*.txt"))
    if not texts:
        raise SystemExit(f"no texts in {args.texts}")
    ours = Program(args.logits, args.model, "ours", vocabulary)
    reference = Program(args.logits, args.model, "reference", vocabulary)
    distances = {"ours": Distance(), "llama.cpp": Distance(), "ours to llama.cpp": Distance()}
    with tempfile.TemporaryDirectory() as directory:
        if args.check_reference:
            path = str(pathlib.Path(directory) / "f32.gguf")
            write_f32(args.model, path)
            exact = LlamaCpp(path, f32_cache=True)
            distances["llama.cpp on F32 weights"] = Distance()
        for text in texts:
            tokens = theirs.tokenize(text.read_text(encoding="utf-8"))
            reference.send(tokens)
            ours.send(tokens)
            rows = {"ours": ours.receive(len(tokens)), "llama.cpp": theirs.logits(tokens)}
            if args.check_reference:
                rows["llama.cpp on F32 weights"] = exact.logits(tokens)
            p = log_softmax(reference.receive(len(tokens)))
            rows = {name: log_softmax(logits) for name, logits in rows.items()}
            for name, q in rows.items():
                distances[name].add(p, q, tokens)
            distances["ours to llama.cpp"].add(rows["llama.cpp"], rows["ours"], tokens)
            print(f"{text.name}: {len(tokens)} tokens", flush=True)
        if args.check_reference:
            exact.llama.close()
        theirs.llama.close()
    summaries = {name: d.summary() for name, d in distances.items()}
    print(f"\n{'to the reference':<26}{'mean KL':>12}{'p99 KL':>12}{'top-1 differs':>15}"
          f"{'mean |dlogp|':>14}{'positions':>11}")
    for name, s in summaries.items():
        print(f"{name:<26}{s['mean_kl']:>12.2e}{s['p99_kl']:>12.2e}{s['top1_disagreement']:>15.2%}"
              f"{s['mean_abs_delta_logprob']:>14.4f}{s['positions']:>11}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(summaries, indent=1) + "\n")
    mine, rival = summaries["ours"], summaries["llama.cpp"]
    worse = [k for k in ("mean_kl", "top1_disagreement") if mine[k] > rival[k]]
    raise SystemExit(f"worse than llama.cpp in {', '.join(worse)}" if worse else 0)


if __name__ == "__main__":
    main()
