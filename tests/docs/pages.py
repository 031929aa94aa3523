"""The pages of the documentation, and what is in them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "data" / "README.md",
    ROOT / "results" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    language: str
    text: str


def page_name(page):
    """Return the path of a page in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(language):
    """Return the fenced blocks in a language, in the order of the pages."""
    found = [Block(page, *match.groups()) for page in PAGES for match in FENCE.finditer(page.read_text())]
    return [block for block in found if block.language == language]


def prose(page):
    """Return a page without its fenced blocks."""
    return FENCE.sub("", page.read_text())
