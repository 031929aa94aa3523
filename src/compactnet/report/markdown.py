"""Tables as Markdown and CSV files, with the numbers written one way wherever they show."""

from dataclasses import dataclass

import pandas as pd

from compactnet.files import remove, write_text


@dataclass(frozen=True)
class Table:
    """A table as pages show it.

    Attributes:
        name: File name without the ending.
        title: Its heading.
        notes: Paragraphs under the heading.
        frame: The data frame; missing values stay empty.
        sections: {heading: {column: its heading}}: the tables that a page shows, each with some columns of the frame,
            in order. None for one table with all columns as they are.
    """

    name: str
    title: str
    notes: list
    frame: pd.DataFrame
    sections: dict | None = None

    def parts(self):
        """Return `sections`, also where it is None."""
        return self.sections or {"": {name: name.replace("_", " ") for name in self.frame.columns}}


def write_table(folder, table: Table):
    """Write a table as CSV, with all columns, and as a Markdown page into a folder."""
    frame = table.frame
    texts = pd.DataFrame({column: [text_of(value, column) for value in frame[column]] for column in frame.columns})
    write_text(folder / f"{table.name}.csv", texts.to_csv(index=False, lineterminator="\n"))
    lines = [f"# {table.title}", ""]
    for note in table.notes:
        lines += [note, ""]
    for heading, columns in table.parts().items():
        if heading:
            lines += [f"## {heading}", ""]
        lines += [*_lines(frame, columns), ""]
    write_text(folder / f"{table.name}.md", "\n".join(lines).rstrip("\n") + "\n")


def fill_section(path, name, tables):
    """Write tables into a page that people wrote, between the lines `<!-- name -->` and `<!-- /name -->`.

    Args:
        path: The page; one that is missing or has no such lines is left alone.
        name: Name of the section.
        tables: [(paragraph, data frame, {column: its heading})].

    Returns:
        Whether it has such a section.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    before, begin, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->\n")
    if not begin or not end:
        return False
    lines = []
    for paragraph, frame, columns in tables:
        lines += [paragraph, "", *_lines(frame, columns), ""]
    write_text(path, before + begin + "\n" + "\n".join(lines) + "\n" + end + after)
    return True


def _lines(frame, columns):
    """Return the lines of a Markdown table with some columns of a frame, in order."""
    texts = [[text_of(value, column) for value in frame[column]] for column in columns]
    numeric = [pd.api.types.is_numeric_dtype(frame[column]) for column in columns]
    rows = [_row(columns.values()), _row("---:" if right else "---" for right in numeric)]
    return rows + [_row(row) for row in zip(*texts, strict=True)]


def remove_table(folder, name):
    """Remove a table that has no rows any more."""
    for ending in ("csv", "md"):
        remove(folder / f"{name}.{ending}")


def _row(cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def text_of(value, column):
    """Return a value of a column as text, as all tables show it."""
    if pd.isna(value):
        return ""
    if isinstance(value, float):
        # The paper prints one decimal of its MFLOPs and two of its accuracies.
        text = f"{value:.1f}" if "mflops" in column and column.endswith("_published") else f"{value:.2f}"
        return text if float(text) else text.lstrip("-")
    return str(value)
