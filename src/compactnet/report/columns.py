"""Tables as data: what their columns show, whatever a page looks like."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Its key in a row, and its heading in the CSV file.
        heading: Its heading in pages.
        format: Format specification of its values, such as ".2f"; empty for text. Numbers are aligned right.
        style: Function of a row that returns how its cell looks: "same", "above", "below", "apart", "unknown" or "".
        link: Key in a row of the evidence that the cell opens: a list of `RunRecord`s or a `SpeedRecord`.
    """

    name: str
    heading: str
    format: str = ""
    style: Callable | None = None
    link: str | None = None

    @property
    def numeric(self):
        """Whether its values are numbers."""
        return bool(self.format)

    def text(self, row):
        """Return the text of its cell in a row; a missing value is empty."""
        value = row.get(self.name)
        if value is None:
            return ""
        text = format(value, self.format)
        # Rounding must not leave a negative zero.
        return text.lstrip("-") if self.numeric and not float(text) else text


MODEL = Column("model", "model")
"""The network as the paper calls it."""


@dataclass(frozen=True)
class Section:
    """Some columns of a table, as a page shows them.

    Attributes:
        heading: Heading of the section.
        columns: Its `Column`s.
        note: A paragraph above them.
    """

    heading: str
    columns: tuple
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table; one without rows is not written.

    Attributes:
        name: File name without the ending.
        title: Its heading.
        notes: Paragraphs under the heading; all that they use of Markdown is emphasis and code.
        columns: All `Column`s, those of the CSV file.
        rows: A dict for each row, with the columns' values and what they link to.
        sections: The `Section`s that pages show; left out, one with all columns.
        summary: The `Section` of the table in the results folder's README.md, or None.
        on_page: Whether report.html has it.
    """

    name: str
    title: str
    notes: tuple
    columns: tuple
    rows: list
    sections: tuple = ()
    summary: Section | None = None
    on_page: bool = True

    def shown(self):
        """Return `sections`, also where they are left out."""
        return self.sections or (Section("", self.columns),)


def select(columns, headings):
    """Return some columns under other headings.

    Args:
        columns: `Column`s.
        headings: {name: heading} in the order wanted; names without a column are left out.
    """
    by_name = {column.name: column for column in columns}
    return tuple(
        dataclasses.replace(by_name[name], heading=heading) for name, heading in headings.items() if name in by_name
    )
