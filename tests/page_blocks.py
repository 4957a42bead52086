"""The blocks of a page: ```python to run, ```text right behind it for what that prints."""

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[1] / "docs"
FENCE = re.compile(r"^```(?P<language>\w*)(?P<rest>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


class Block(NamedTuple):
    """A fenced block, and the block of text that follows at once, if there is one."""

    language: str
    title: str
    text: str
    printed: str | None


def blocks_of(markdown: str) -> list[Block]:
    """All fenced blocks of a page in order."""
    fences = list(FENCE.finditer(markdown))
    blocks = []
    for fence, following in zip(fences, [*fences[1:], None], strict=False):  # a page may have none
        is_output = following is not None and following["language"] == "text"
        is_output = is_output and not markdown[fence.end() : following.start()].strip()
        title = re.search(r'title="([^"]*)"', fence["rest"])
        blocks.append(Block(fence["language"], title[1] if title else "", fence["text"],
                            following["text"] if is_output else None))  # fmt: skip
    return blocks


def same_output(printed: str, shown: str) -> bool:
    """Whether a page shows what was printed: the same words, and numbers as near as other processors may come."""
    if NUMBER.sub("0", printed).split() != NUMBER.sub("0", shown).split():
        return False
    pairs = zip(map(float, NUMBER.findall(printed)), map(float, NUMBER.findall(shown)), strict=True)
    return all(abs(a - b) <= max(0.1 * abs(b), 0.05) for a, b in pairs)
