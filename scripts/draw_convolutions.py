#!/usr/bin/env python3
"""Draw the standard, the separable and the compact convolution, the figure of the README.

The SVG is written as text, not by Matplotlib, so that its bytes do not depend on a version.
"""

import sys
from pathlib import Path

from compactnet.commands import Parser, exit_status

ROOT = Path(__file__).resolve().parent.parent
PATH = ROOT / "docs" / "images" / "convolutions.svg"

WIDTH, TOP, ROW, FOOT = 960, 34, 146, 34
TILE, GAP = 20, 28
INPUT, FILTERED, POOLED, OUTPUT, WEIGHTS = 190, 365, 520, 675, 740
COLORS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7")
GREY = "#b8b8b8"
FACTOR = 2


def main():
    from compactnet.files import write_text

    parser = Parser(description=__doc__)
    parser.add_argument("--output", type=Path, default=PATH, help=f"SVG file (default: {PATH.relative_to(ROOT)})")
    path = parser.parse_args().output
    write_text(path, draw())
    print(path)


def draw():
    """Return the drawing as SVG text."""
    height = TOP + 3 * ROW + FOOT
    channels, filters = [(color,) for color in COLORS], [(GREY,)] * len(COLORS)
    groups = [COLORS[start : start + FACTOR] for start in range(0, len(COLORS), FACTOR)]
    rows = [_row_center(number) for number in range(3)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="14" fill="#222222">',
        "<title>A standard, a separable and a compact convolution</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(INPUT, 22, "N channels", "middle"),
        _text(OUTPUT, 22, "F channels", "middle"),
        _text(WEIGHTS, 22, "kernel weights (N = F = 256)"),
    ]
    n = f = 256
    for y, name, formula, count in (
        (rows[0], "standard", "9 N F", 9 * n * f),
        (rows[1], "separable", "9 N + N F", 9 * n + n * f),
        (rows[2], f"compact, C = {FACTOR}", "9 N + N F / C", 9 * n + n * f // FACTOR),
    ):
        parts += [
            _text(20, y + 5, name, weight="bold"),
            _text(WEIGHTS, y - 4, formula),
            _text(WEIGHTS, y + 18, f"{count:,}", weight="bold"),
        ]
    parts += _connect(rows[0], INPUT, 4, OUTPUT, 4, lambda start, end: True)
    parts.append(_label(INPUT, OUTPUT, rows[0], "3x3 convolution"))
    for y, last in ((rows[1], FILTERED), (rows[2], FILTERED)):
        parts += _connect(y, INPUT, 4, last, 4, lambda start, end: start == end)
        parts.append(_label(INPUT, last, y, "3x3 depthwise"))
    parts += _connect(rows[1], FILTERED, 4, OUTPUT, 4, lambda start, end: True)
    parts.append(_label(FILTERED, OUTPUT, rows[1], "1x1 convolution"))
    parts += _connect(rows[2], FILTERED, 4, POOLED, 2, lambda start, end: start // FACTOR == end)
    parts.append(_label(FILTERED, POOLED, rows[2], "sum, max or average"))
    parts += _connect(rows[2], POOLED, 2, OUTPUT, 4, lambda start, end: True)
    parts.append(_label(POOLED, OUTPUT, rows[2], "1x1 convolution"))
    for y in rows:
        parts += _tiles(INPUT, y, channels) + _tiles(OUTPUT, y, filters)
    for y in rows[1:]:
        parts += _tiles(FILTERED, y, channels)
    parts += _tiles(POOLED, rows[2], groups)
    note = "Sum, max and average reduce each group of C channels to one. They have no weights."
    parts += [_text(20, height - 16, note), "</svg>"]
    return "\n".join(parts) + "\n"


def _row_center(number):
    return TOP + number * ROW + ROW // 2 + 6


def _y(center, index, count):
    """Return the middle of a tile in a column of `count` tiles."""
    spread = GAP if count == len(COLORS) else FACTOR * GAP
    return center + (index - (count - 1) / 2) * spread


def _tiles(x, center, colors):
    """Return a column of channels; a channel made from several has a stripe of each color."""
    parts = []
    left, width = x - TILE // 2, TILE // FACTOR
    for index, stripes in enumerate(colors):
        top = _y(center, index, len(colors)) - TILE / 2
        if len(stripes) == 1:
            parts.append(_rectangle(left, top, TILE, stripes[0]))
        else:
            parts += [_rectangle(left + width * number, top, width, color) for number, color in enumerate(stripes)]
        parts.append(_rectangle(left, top, TILE, "none", ' stroke="#222222"'))
    return parts


def _rectangle(x, y, width, color, extra=""):
    return f'<rect x="{x:g}" y="{y:g}" width="{width}" height="{TILE}" fill="{color}"{extra}/>'


def _connect(center, start_x, starts, end_x, ends, reads):
    """Return a line from each channel to each channel that is computed from it."""
    return [
        f'<line x1="{start_x}" y1="{_y(center, start, starts):g}" x2="{end_x}" y2="{_y(center, end, ends):g}" '
        'stroke="#8a8a8a"/>'
        for start in range(starts)
        for end in range(ends)
        if reads(start, end)
    ]


def _label(start_x, end_x, center, text):
    return _text((start_x + end_x) // 2, center - 62, text, "middle")


def _text(x, y, text, anchor="start", weight="normal"):
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-weight="{weight}">{text}</text>'


if __name__ == "__main__":
    sys.exit(exit_status(main))
