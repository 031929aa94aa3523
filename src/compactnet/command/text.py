"""Tables in plain text."""


def aligned(rows, left=(0,)):
    """Return rows of texts as lines with aligned columns.

    Args:
        rows: Sequence of sequences of texts, equally long.
        left: Numbers of the columns that are aligned to the left; the others hold numbers.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if column in left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
