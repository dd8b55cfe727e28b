"""C++ source as the rules see it: the same lines, with comments and the insides of literals blanked out."""

import re

_TOKEN = re.compile(
    r"//[^\n]*"
    r"|/\*.*?\*/"
    r'|(?:u8|[uUL])?R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'",
    re.DOTALL)


def _blank(match):
    text = match.group(0)
    if text.startswith(("//", "/*")):
        return re.sub(r"[^\n]", " ", text)
    quote = text[-1]
    inner = re.sub(r"[^\n]", " ", text[1:-1])
    return quote + inner + quote


def code_only(text):
    """The text without comments and literals; lines and columns stay where they were."""
    kept = []
    for line in _TOKEN.sub(_blank, text).split("\n"):
        kept.append(line)
    return "\n".join(kept)


def without_preprocessor(code):
    """Blanks preprocessor lines, with their continuations."""
    lines, inside = [], False
    for line in code.split("\n"):
        directive = inside or line.lstrip().startswith("#")
        inside = directive and line.rstrip().endswith("\\")
        lines.append("" if directive else line)
    return "\n".join(lines)


_NOT_A_FUNCTION = re.compile(
    r"^\s*(?:else|do|try|if|for|while|switch|catch|namespace|class|struct|union|enum|extern|export)\b")


def _opens_function(head):
    """Whether a brace after `head` (the text since the last ; { or }) opens a function's body."""
    head = re.sub(r"^\s*template\s*<.*?>\s*(?=[A-Za-z_:])", "", head, flags=re.DOTALL)
    if "(" not in head or _NOT_A_FUNCTION.match(head):
        return False
    # A brace after '=' or ',' or '(' or return is a value.
    return re.search(r"[=,(\[]\s*$|\breturn\b[^)]*$", head) is None


def functions(text):
    """Yields (first line, number of lines) of each outermost function. A lambda counts as part of what holds it."""
    code = without_preprocessor(code_only(text))
    stack, head, line, start, head_line = [], "", 1, None, None
    for char in code:
        ends_head = False
        if char == "{":
            if re.search(r"[\w>=,(]$", head):  # no space before it: a value, as in a_{1}
                stack.append("value")
            elif start is None and _opens_function(head):
                stack.append("function")
                start = head_line
                ends_head = True
            else:
                stack.append("block")
                ends_head = True
        elif char == "}":
            kind = stack.pop() if stack else "block"
            if kind == "function":
                yield start, line - start + 1
                start = None
            ends_head = kind != "value"
        elif char == ";":
            # Not the ; of a for statement, nor one inside a value.
            ends_head = head.count("(") <= head.count(")") and "value" not in stack[-1:]
        elif char == ":" and head.strip() in ("public", "private", "protected"):
            ends_head = True
        if ends_head:
            head, head_line = "", None
        else:
            if head_line is None and not char.isspace():
                head_line = line
            head += char
        if char == "\n":
            line += 1
