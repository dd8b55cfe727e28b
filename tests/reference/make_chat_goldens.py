#!/usr/bin/env python3
"""Writes tests/data/chat_goldens.json: conversations rendered by Jinja, the language chat templates are written in.

The model file's own template is rendered and tokenized (control tokens as ids). Of each other family a template that
renders as its models' do is rendered to text. Needs: pip install gguf tokenizers jinja2.

Usage: make_chat_goldens.py MODEL.gguf tests/data/chat_goldens.json
"""

import json
import sys

import gguf
import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

import make_tokenizer_goldens

CHATML = """{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + \
'<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
CHATML_DEFAULT = """{%- if tools %}{{- '<|im_start|>system\\n' }}{{- messages[0].content }}{%- else %}
{%- if messages[0].role == 'system' %}{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- else %}{{- "<|im_start|>system\\nYou're a careful assistant.<|im_end|>\\n" }}{%- endif %}{%- endif %}
{%- for m in messages %}{%- if m.role != 'system' or not loop.first %}
{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""
LLAMA3 = """{% for m in messages %}{% set c = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + \
m['content'] | trim + '<|eot_id|>' %}{% if loop.first %}{% set c = bos_token + c %}{% endif %}{{ c }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""
TURNS = "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns') }}{% endif %}"
SYSTEM_APART = "{% if messages[0].role == 'system' %}{% set ms = messages[1:] %}{% set sys = messages[0].content %}" \
    "{% else %}{% set ms = messages %}{% set sys = none %}{% endif %}" \
    "{% if ms | length == 0 %}{{ raise_exception('no user') }}{% endif %}"
LLAMA2 = SYSTEM_APART + "{% for m in ms %}" + TURNS + """{% if loop.first and sys is not none %}\
{% set c = '<<SYS>>\\n' + sys + '\\n<</SYS>>\\n\\n' + m.content %}{% else %}{% set c = m.content %}{% endif %}\
{% if m.role == 'user' %}{{ bos_token + '[INST] ' + c.strip() + ' [/INST]' }}\
{% else %}{{ ' ' + c.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""
MISTRAL = "{{ bos_token }}{% for m in messages %}" + TURNS + """{% if m.role == 'user' %}\
{{ '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}"""
MISTRAL_V3 = "{{ bos_token }}{% for message in messages %}{% set m = message %}" + TURNS + """{% if m.role == 'user' %}\
{{ '[INST] ' + message.content + '[/INST]' }}{% else %}{{ ' ' + message.content + eos_token }}{% endif %}{% endfor %}"""
GEMMA = """{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}\
{% endif %}{% for m in messages %}""" + TURNS + """{% set role = 'model' if m.role == 'assistant' else m.role %}\
{{ '<start_of_turn>' + role + '\\n' + m.content | trim + '<end_of_turn>\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""
GEMMA3 = "{{ bos_token }}" + SYSTEM_APART + "{% for m in ms %}" + TURNS + """{{ '<start_of_turn>' + \
('model' if m.role == 'assistant' else m.role) + '\\n' + (sys + '\\n\\n' if loop.first and sys is not none else '') \
}}{{ m.content | trim }}{{ '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}\
{{ '<start_of_turn>model\\n' }}{% endif %}"""
PHI3 = """{% for m in messages %}{% if m.role == 'system' %}{{ '<|system|>\\n' + m.content + '<|end|>\\n' }}\
{% elif m.role == 'user' %}{{ '<|user|>\\n' + m.content + '<|end|>\\n' }}{% else %}\
{{ '<|assistant|>\\n' + m.content + '<|end|>\\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}\
{{ '<|assistant|>\\n' }}{% endif %}"""
ZEPHYR = """{% for m in messages %}
{% if m.role == 'user' %}
{{ '<|user|>\\n' + m.content + eos_token }}
{% elif m.role == 'system' %}
{{ '<|system|>\\n' + m.content + eos_token }}
{% else %}
{{ '<|assistant|>\\n' + m.content + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

LLAMA_MARKS = ["<s>", "</s>"]
FAMILIES = [
    ("chatml", CHATML, ["<|endoftext|>", "<|im_end|>", "<|im_start|>"]),
    ("chatml", CHATML_DEFAULT, ["<|endoftext|>", "<|im_end|>", "<|im_start|>"]),
    ("llama3", LLAMA3, ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]),
    ("llama2", LLAMA2, LLAMA_MARKS),
    ("mistral", MISTRAL, LLAMA_MARKS),
    ("mistral", MISTRAL_V3, LLAMA_MARKS + ["[INST]", "[/INST]"]),
    ("gemma", GEMMA, ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"]),
    ("gemma", GEMMA3, ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"]),
    ("phi3", PHI3, ["<s>", "<|endoftext|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]),
    ("zephyr", ZEPHYR, LLAMA_MARKS),
]


def m(*texts, system=None):
    messages = [{"role": "system", "content": system}] if system is not None else []
    for i, text in enumerate(texts):
        messages.append({"role": "assistant" if i % 2 else "user", "content": text})
    return messages


CONVERSATIONS = [
    m("Hello"), m("What is 2 + 2?", "4", "And 3 + 3?"), m("Hi", system="You are a pirate."),
    m("Hi", "Ahoy!\n", " Where to? ", system="You are a pirate.\n"), m("\n\n  leading and trailing \u3000\n"),
    m(""), m("a\n\nb", system=""), m("日本語 😀", "ответ", "سؤال"), m("'s quotes", "\tcode\n", "1 2 3"),
    m(system="alone"), m("q", "a") + m("late", system="too late"),
    [{"role": "assistant", "content": "I begin"}], m("one") + m("two"), m("q", "an answer"),
]


def raise_exception(message):
    raise jinja2.TemplateError(message)


def render(source, messages, bos, eos):
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = raise_exception
    try:
        return environment.from_string(source).render(messages=messages, add_generation_prompt=True, bos_token=bos,
                                                      eos_token=eos)
    except jinja2.TemplateError:
        return None


def main():
    fields = gguf.GGUFReader(sys.argv[1]).fields
    source = fields["tokenizer.chat_template"].contents()
    tokens = fields["tokenizer.ggml.tokens"].contents()
    tokenizer, control = make_tokenizer_goldens.build(sys.argv[1])
    tokenizer.add_special_tokens(control)
    model = []
    for messages in CONVERSATIONS:
        text = render(source, messages, tokens[1], tokens[2])
        model.append({"messages": messages, "text": text,
                      "ids": tokenizer.encode(text, add_special_tokens=False).ids})
    families = []
    for family, template, marks in FAMILIES:
        cases = [{"messages": c, "text": render(template, c, marks[0], marks[1])} for c in CONVERSATIONS]
        families.append({"family": family, "template": template, "marks": marks, "cases": cases})
    with open(sys.argv[2], "w", encoding="ascii") as out:
        json.dump({"made_by": "jinja2 " + jinja2.__version__, "model": model, "families": families}, out, indent=0)
        out.write("\n")


if __name__ == "__main__":
    main()
