#!/usr/bin/env python3
"""Tokens per second of bench_model and of llama.cpp on the same file, alternating, and their ratio.

    compare_with_llama_cpp.py --bench BUILD/bin/bench_model --model MODEL.gguf [--rounds 5]

llama.cpp is used through llama-cpp-python's low-level llama_decode: n_threads = n_threads_batch =
--threads, one batch entry per sequence for decode, logits of each sequence's last token only, greedy
choice inside the measured time, flash attention as its default chooses. Run it on an idle machine.
"""
import argparse
import ctypes
import json
import random
import statistics
import subprocess
import time

import llama_cpp as lc
import numpy as np

CASES = ["decode:1", "decode:8", "decode:32", "decode:64", "prefill:512"]


class LlamaCpp:
    def __init__(self, path, threads, context):
        lc.llama_backend_init()
        self.silent = lc.llama_log_callback(lambda level, text, data: None)
        lc.llama_log_set(self.silent, ctypes.c_void_p())
        params = lc.llama_model_default_params()
        params.n_gpu_layers = 0
        self.model = lc.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        self.vocabulary = lc.llama_vocab_n_tokens(lc.llama_model_get_vocab(self.model))
        self.threads = threads
        self.context = context

    def new_context(self, sequences, length, batch):
        params = lc.llama_context_default_params()
        params.n_ctx = sequences * length
        params.n_batch = batch
        params.n_ubatch = batch
        params.n_seq_max = sequences
        params.n_threads = self.threads
        params.n_threads_batch = self.threads
        context = lc.llama_init_from_model(self.model, params)
        if not context:
            raise SystemExit("llama.cpp cannot make a context")
        return context

    def tokens(self, seed, count):
        draw = random.Random(seed)
        return [draw.randrange(100, self.vocabulary) for _ in range(count)]

    @staticmethod
    def fill(batch, entries):
        """entries: (token, position, sequence, wants logits)"""
        batch.n_tokens = len(entries)
        for i, (token, position, sequence, logits) in enumerate(entries):
            batch.token[i] = token
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = logits

    def decode(self, context, batch):
        result = lc.llama_decode(context, batch)
        if result != 0:
            raise SystemExit(f"llama_decode returned {result}")

    def best(self, context, row):
        logits = lc.llama_get_logits_ith(context, row)
        return int(np.ctypeslib.as_array(logits, (self.vocabulary,)).argmax())

    def run(self, case, seconds):
        kind, n = case.split(":")
        n = int(n)
        return self.run_decode(n, seconds) if kind == "decode" else self.run_prefill(n, seconds)

    def run_decode(self, rows, seconds):
        context = self.new_context(rows, self.context + 64, max(self.context, rows))
        batch = lc.llama_batch_init(max(self.context, rows), 0, 1)
        memory = lc.llama_get_memory(context)
        following = []
        for s in range(rows):
            prompt = self.tokens(s, self.context)
            self.fill(batch, [(t, i, s, i == len(prompt) - 1) for i, t in enumerate(prompt)])
            self.decode(context, batch)
            following.append(self.best(context, -1))
        steps = 0
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            if steps % 32 == 0 and steps:
                for s in range(rows):
                    lc.llama_memory_seq_rm(memory, s, self.context, -1)
            position = self.context + steps % 32
            self.fill(batch, [(following[s], position, s, True) for s in range(rows)])
            self.decode(context, batch)
            following = [self.best(context, s) for s in range(rows)]
            steps += 1
        rate = rows * steps / (time.perf_counter() - start)
        lc.llama_batch_free(batch)
        lc.llama_free(context)
        return rate

    def run_prefill(self, count, seconds):
        context = self.new_context(1, count + 64, count)
        batch = lc.llama_batch_init(count, 0, 1)
        memory = lc.llama_get_memory(context)
        prompt = self.tokens(7, count)
        self.fill(batch, [(t, i, 0, i == count - 1) for i, t in enumerate(prompt)])
        self.decode(context, batch)
        self.best(context, -1)
        steps = 0
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            lc.llama_memory_clear(memory, False)
            self.decode(context, batch)
            self.best(context, -1)
            steps += 1
        rate = count * steps / (time.perf_counter() - start)
        lc.llama_batch_free(batch)
        lc.llama_free(context)
        return rate


def ours(args, case):
    command = [args.bench, args.model, "--lanes", str(args.threads), "--context",
               str(args.context), "--seconds", str(args.seconds), case]
    if args.without_avx512:
        command.append("--without-avx512")
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["tokens_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-avx512", action="store_true",
                        help="keep bench_model to AVX2; llama.cpp stays as it was built")
    parser.add_argument("cases", nargs="*", default=CASES)
    args = parser.parse_args()
    rival = LlamaCpp(args.model, args.threads, args.context)
    print(f"llama.cpp: {lc.llama_print_system_info().decode()}")
    print(f"{args.threads} threads, context {args.context}, medians of {args.rounds} rounds, tokens/s")
    print(f"{'case':<14}{'ours':>10}{'llama.cpp':>12}{'ratio':>8}   spread (ours; llama.cpp)")
    for case in args.cases:
        mine, theirs = [], []
        for _ in range(args.rounds):
            mine.append(ours(args, case))
            theirs.append(rival.run(case, args.seconds))
        a, b = statistics.median(mine), statistics.median(theirs)
        print(f"{case:<14}{a:>10.0f}{b:>12.0f}{a / b:>8.2f}   "
              f"{min(mine):.0f}-{max(mine):.0f}; {min(theirs):.0f}-{max(theirs):.0f}", flush=True)


if __name__ == "__main__":
    main()
