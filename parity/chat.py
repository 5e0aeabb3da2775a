#!/usr/bin/env python3
"""Makes crates/tokens/tests/golden/chat.json: conversations as transformers renders the templates beside it.

    python parity/chat.py            write the file
    python parity/chat.py --check    render everything again and compare

Needs transformers and jinja2, nothing else. The templates in crates/tokens/tests/golden/chat/ are written for this, with
the constructs of the models after which they are named.
"""

import argparse
import json
import sys
from datetime import datetime, timezone
from pathlib import Path

from transformers.utils.chat_template_utils import _compile_jinja_template as compiled

GOLDEN = Path(__file__).resolve().parent.parent / "crates" / "tokens" / "tests" / "golden"
NOW = 1_767_323_045  # 2 January 2026, 03:04:05
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def messages(*turns: tuple[str, str]) -> list[dict]:
    return [{"role": role, "content": content} for role, content in turns]


ONE = messages(("user", "Hello!"))
LONG = messages(
    ("system", "  Be brief.\nVery brief. "),
    ("user", " What is 2+2?\n"),
    ("assistant", "<think>\nEasy.\n</think>\n\n 4 "),
    ("user", "床前明月光 🎈 {{ messages }} {% raw %} <|im_end|> \"quoted\" it's"),
)
ANSWERED = LONG[1:] + messages(("assistant", "<think>\nOne moment.\n</think>\n\nThat is a poem."))
TOOL = messages(("user", "Weather?"), ("assistant", "Let me see."), ("tool", '{"t": 21}'), ("tool", "windy"))
CONVERSATIONS = {
    "one": ONE,
    "long": LONG,
    "answered": ANSWERED,
    "tool": TOOL,
    "wrong order": messages(("assistant", "I begin."), ("user", "No.")),
    "unknown role": messages(("user", "a"), ("assistant", "b"), ("critic", "c")),
    "empty": messages(("user", ""), ("assistant", ""), ("user", "")),
}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "It's <b>", "parameters": {"city": []}}}]
VARIABLES = {
    "qwen3": [{}, {"enable_thinking": False}, {"enable_thinking": True}],
    "qwen25": [{}, {"tools": TOOLS}],
    "llama31": [{}, {"tools": TOOLS}, {"date_string": "1 May 2025"}, {"builtin_tools": ["search", "code_interpreter"]}],
}


def render(source: str, case: dict) -> dict:
    template = compiled(source)
    template.environment.globals.pop("strftime_now", None)
    if case["clock"]:
        template.environment.globals["strftime_now"] = datetime.fromtimestamp(NOW, timezone.utc).strftime
    variables = {name: json.loads(value) for name, value in case["variables"].items()}
    try:
        text = template.render(
            messages=CONVERSATIONS[case["conversation"]],
            add_generation_prompt=case["add_generation_prompt"],
            **({"tools": None, "documents": None} | TOKENS | variables),
        )
    except Exception as error:  # what the template raises, and whatever else it cannot do
        return case | {"refused": str(error)}
    return case | {"text": text}


def golden() -> dict:
    templates = {}
    for path in sorted((GOLDEN / "chat").glob("*.jinja")):
        name = path.stem
        cases = [
            {
                "conversation": conversation,
                "add_generation_prompt": prompt,
                "variables": {key: json.dumps(value) for key, value in variables.items()},
                "clock": conversation != "long",
            }
            for variables in VARIABLES.get(name, [{}])
            for conversation in CONVERSATIONS
            for prompt in ([True, False] if conversation in ("one", "long") else [True])
        ]
        templates[name] = [render(path.read_text(encoding="utf8"), case) for case in cases]
    return {"now": NOW, "tokens": TOKENS, "conversations": CONVERSATIONS, "templates": templates}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    path = GOLDEN / "chat.json"
    text = json.dumps(golden(), ensure_ascii=False, indent=1) + "\n"
    if not check:
        path.write_text(text, encoding="utf8")
    elif path.read_text(encoding="utf8") != text:
        print(f"{path.name} differs from what is rendered now", file=sys.stderr)
        return 1
    print(f"{path.name}: {'as rendered now' if check else 'written'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
