"""The page that says which convolution to take when, from the table of rivals."""

from compactnet.report.columns import select
from compactnet.report.figures.rivals import pareto_front
from compactnet.report.sources import Sources
from compactnet.report.tables.rivals import RUNTIMES, STEP, rivals
from compactnet.report.text import fill_section

HEADINGS = {
    "model": "network",
    "parameters": "parameters",
    "mflops": "MFLOPs",
    **{f"{runtime}_ms": f"{title}, ms" for runtime, title in RUNTIMES.items()},
    STEP: "training step, ms",
    "accuracy_percent": "accuracy, %",
    "std": "std",
    "runs": "runs",
    "difference": "difference from the first",
    "difference_low": "from",
    "difference_high": "to",
}


def fill_choosing(path, sources: Sources):
    """Write what was measured of each experiment into the page, and what follows from it."""
    table = rivals(sources)
    for experiment in dict.fromkeys(row["experiment"] for row in table.rows):
        rows = [row for row in table.rows if row["experiment"] == experiment]
        fill_section(path, experiment, summary(rows), select(table.columns, HEADINGS), rows)


def summary(rows):
    """Return what rows of the table say of the networks on each skeleton, as a list."""
    measured = [row for row in rows if row.get("accuracy_percent") is not None]
    if not measured:
        return "No network of this experiment is trained yet."
    skeletons = dict.fromkeys(row["skeleton"] for row in measured)
    lines = [_lines(skeleton, [row for row in measured if row["skeleton"] == skeleton]) for skeleton in skeletons]
    return "\n".join(f"- {line}" for of_skeleton in lines for line in of_skeleton)


def _lines(skeleton, measured):
    """Return what was measured of the networks on a skeleton, which were trained for equal epochs."""
    runs = sorted({row["runs"] for row in measured})
    said = [f"{skeleton}, {measured[0]['epochs']} epochs, runs of a network: {', '.join(map(str, runs))}."]
    best = max(measured, key=lambda row: row["accuracy_percent"])
    said.append(f"Most accurate: **{best['model']}**, {best['accuracy_percent']:.1f} %.")
    apart = [row for row in measured if row.get("difference_low") is not None]
    if apart:
        for word, chosen in (
            ("more", [row for row in apart if row["difference_low"] > 0]),
            ("less", [row for row in apart if row["difference_high"] < 0]),
        ):
            names = "; ".join(row["model"] for row in chosen) or "none"
            said.append(
                f"Significantly {word} accurate than {measured[0]['model']} (95 %, not adjusted for the number of "
                f"comparisons, {len(apart)}): {names}."
            )
    else:
        said.append(f"No difference from {measured[0]['model']} has an interval yet: that takes two runs of each.")
    for runtime, title in RUNTIMES.items():
        points = {
            row["model"]: (row[f"{runtime}_ms"], row["accuracy_percent"])
            for row in measured
            if row.get(f"{runtime}_ms") is not None
        }
        if points:
            front = "; ".join(f"{name} ({points[name][0]:.2f} ms)" for name in pareto_front(points))
            said.append(f"Beaten by none in both accuracy and time with {title}, the fastest first: {front}.")
    return said
