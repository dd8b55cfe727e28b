#!/usr/bin/env python3
"""Writes tests/data/tokenizer_goldens.json: token ids by Hugging Face's `tokenizers`.

The tokenizer is built out of the vocabulary and the merges that the model file itself carries, with the pre-tokenizer
that SmolLM2 was trained with (each number alone, then GPT-2's byte-level pattern). Needs: pip install gguf tokenizers.

Usage: make_tokenizer_goldens.py MODEL.gguf tests/data/tokenizer_goldens.json
"""

import json
import random
import sys

import gguf
import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

CONTROL = 3


def build(path):
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ", 1)) for m in fields["tokenizer.ggml.merges"].contents()]
    types = fields["tokenizer.ggml.token_type"].contents()
    assert fields["tokenizer.ggml.pre"].contents() == "smollm"
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    control = [AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, types) if k == CONTROL]
    return tokenizer, control


PROSE = [
    "", " ", "\n", "a", " a", "Hello, world!", "The quick brown fox jumps over the lazy dog.",
    "It's what they're saying; I'll go, he'd stay, we've won, I'm in, don't.", "IT'S WHAT THEY'RE SAYING",
    "naïve café, façade, Übergröße, smørrebrød, Dvořák, İstanbul ıI, ß ẞ",
    "1234567890 3.14159 1,000,000 ½ ⅓ Ⅷ ² ③ ٣٤٥ १२३ 一二三 𝟙𝟚𝟛 0x1F 1e-10",
    "  leading", "trailing  ", "two  spaces", "tab\tand\ttabs\t\t", "line\nline\r\nline\r\rline\n\n\nend\n",
    "a  \n  b", " \n", "\n ", "   \n\n   ", "x   y    z     ",
]
CODE = [
    "def f(x: int) -> int:\n    return x**2  # square\n\n\nif __name__ == '__main__':\n\tprint(f(3))\n",
    "for (int i = 0; i < n; ++i) { a[i] += b[i] * c->d; } // done\n",
    "#include <vector>\ntemplate <typename T> auto g(T&& t) { return std::forward<T>(t); }\n",
    "SELECT * FROM t WHERE a = 'it''s' AND b >= 10;", '{"key": [1, 2.5e3, null, true], "s": "\\u00e9\\n"}',
    "<html><body class=\"x\">&nbsp;&amp;</body></html>", "$ ls -la | grep '^d' && echo \"$HOME\" >> /tmp/x 2>&1",
    "https://example.org/a_b?c=d&e=%20f#g", "user@example.org", "snake_case camelCase PascalCase kebab-case",
    "\t\t\tindented\n        eight\n", "a=b==c!=d<=e>=f<<g>>h&&i||j", "((((((((((", "))))]]]]}}}}", "...!!!???---___",
]
SCRIPTS = [
    "日本語のテキストです。ひらがなカタカナ漢字", "中文分词测试，没有空格。", "한국어 텍스트 입니다", "Привет, мир! Как дела?",
    "Γειά σου Κόσμε", "שלום עולם, מה שלומך?", "مرحبا بالعالم، كيف حالك؟", "हिन्दी में पाठ", "ภาษาไทยไม่มีช่องว่าง",
    "Tiếng Việt có dấu", "ქართული ენა", "አማርኛ", "\u202bright to left\u202c \u200f\u200e",
    "e\u0301 vs \u00e9, a\u0308\u0323", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𓀀𓂀 𠜎𠜱", "ﬁ ﬂ ﷺ", "\ufeffBOM", "\ufffd\ufffe\uffff\U0010ffff",
]
EMOJI = [
    "😀😃😄", "👨‍👩‍👧‍👦 family", "👍🏽 skin", "🇫🇷🇩🇪 flags", "❤️ vs ❤", "1️⃣2️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "text😀text 😀 text", "🤷‍♂️🤷‍♀️",
]
CONTROL_TEXTS = [
    "".join(chr(c) for c in range(32)), "\x00", "a\x00b", "\x7f\x80\x9f", "\x04\x06\x13", "t\x04he \x06th\x13e",
    "\x1b[31mred\x1b[0m", "bell\x07back\x08", "\x0b\x0c\x1c\x1d\x1e\x1f", " \x0b \x0c ",
]
SPACE_CHARS = "\t\n\x0b\x0c\r \x85\xa0\u1680\u180e\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a" \
    "\u200b\u200c\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff\u00ad"
SPACES = [f"a{c}b" for c in SPACE_CHARS] + [f"a{c}{c}b {c} {c}" for c in SPACE_CHARS] + \
    [f" {c}x{c} y" for c in SPACE_CHARS] + [SPACE_CHARS, SPACE_CHARS[::-1]]
SPECIAL = [
    "<|im_start|>user\nhi<|im_end|>\n", "<|im_end|>", "<|im_end", "<|im_end|", "|im_end|>", "a<|endoftext|>b",
    "<|im_start|><|im_start|>", "<<|im_end|>>", "  <|im_end|>  ", "<repo_name>x<file_sep>y", "<|im_end|>1<|im_end|>",
    "<empty_output><jupyter_code>", "<reponame><repo_name>", "é<|im_end|>é",
]
RUNS = [
    "a" * 300, " " * 300, "\n" * 300, "1" * 100, "ab" * 150, "!" * 200, "é" * 100, "😀" * 60, "the " * 60, "=" * 257,
    "\t" * 99, " \n" * 80, "x" + " " * 120 + "y", "的" * 120, "abcdefghijklmnopqrstuvwxyz" * 8, "\u200b" * 40,
]


def random_texts():
    rng = random.Random(20)
    pools = [
        [chr(c) for c in range(32, 127)], list(SPACE_CHARS) + list("ab'1.") * 3, list("'stremvld ' \n12aA.,"),
        [chr(c) for c in range(0x80, 0x250)], [chr(c) for c in range(0x370, 0x600)] + [" "] * 60,
        list("的一是不了人我在有他这") + list(" a1\n"), [chr(c) for c in range(256)],
        ["<", "|", "im", "_", "end", "start", "|>", "<|", "<|im_end|>", "<|im_start|>", " "],
    ]
    texts = []
    for _ in range(220):
        pool = rng.choice(pools)
        texts.append("".join(rng.choice(pool) for _ in range(rng.randrange(1, 60))))
    for _ in range(100):
        while True:
            text = "".join(chr(rng.choice([rng.randrange(0x20, 0x3000), rng.randrange(0x3000, 0xd800),
                                           rng.randrange(0x1f300, 0x1f700)])) for _ in range(rng.randrange(1, 16)))
            # Code points that one side's Unicode tables do not have yet would compare the tables.
            import unicodedata
            if all(unicodedata.category(c) != "Cn" for c in text):
                break
        texts.append(text)
    return texts


def main():
    tokenizer, control = build(sys.argv[1])
    texts = PROSE + CODE + SCRIPTS + EMOJI + CONTROL_TEXTS + SPACES + SPECIAL + RUNS + random_texts()
    plain = [tokenizer.encode(t, add_special_tokens=False).ids for t in texts]
    tokenizer.add_special_tokens(control)
    cases = []
    for text, ids in zip(texts, plain):
        case = {"text": text, "ids": ids}
        special = tokenizer.encode(text, add_special_tokens=False).ids
        if special != ids:
            case["control_ids"] = special  # with control tokens cut out
        cases.append(case)
    with open(sys.argv[2], "w", encoding="ascii") as out:
        out.write('{"made_by": "tokenizers %s",\n "cases": [\n' % tokenizers.__version__)
        out.write(",\n".join(json.dumps(c, separators=(",", ":")) for c in cases))
        out.write("\n]}\n")
    print(len(cases), "texts,", sum(len(c["ids"]) for c in cases), "tokens")


if __name__ == "__main__":
    main()
