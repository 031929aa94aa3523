"""The page docs/reproduction.md: what the paper claims, and what its figures and our runs say."""

from compactnet.report.columns import Column, select
from compactnet.report.sources import Sources
from compactnet.report.tables.budget import budget
from compactnet.report.tables.claims import claims
from compactnet.report.tables.contrasts import contrasts
from compactnet.report.tables.guidelines import guidelines
from compactnet.report.tables.image_sizes import image_sizes
from compactnet.report.tables.speed_columns import DEPLOYED, RUNTIME_NAMES
from compactnet.report.tables.table1 import table1
from compactnet.report.tables.table2 import table2
from compactnet.report.tables.verdicts import CONTRADICTED, NOT_ENOUGH, SUPPORTED
from compactnet.report.text import fill_section

SPEED_NOTE = (
    "How many times as fast as the uncompressed network of its family each network is, on one processor thread with "
    "128x512x1 inputs: in the paper, in ours as built by TensorFlow, and as deployed in float32. The paper's claim is "
    "the order: fewer FLOPs, more speed."
)
SPEEDS = {
    "model": "network",
    "flops_ratio": "FLOPs ratio",
    "cpu_ratio_published": "paper",
    "tensorflow_cpu_ratio": "as built",
    **{
        f"{runtime}_deployed_{precision}_ratio": RUNTIME_NAMES[runtime]
        for runtime, precision in DEPLOYED
        if precision == "float32"
    },
}
GUIDELINES = {
    "guideline": "guideline",
    "statement": "statement",
    "evidence": "evidence",
    "family": "family",
    "verdict": "verdict",
    "difference": "difference",
    "low": "from",
    "high": "to",
    "detectable": "detectable",
    "runs": "runs",
}


def fill_reproduction(path, sources: Sources):
    """Write the generated tables into the page."""
    speeds = table1(sources)
    model = Column("model", "model")
    by_network = {row["network"]: row for row in (*table2(sources).rows, *speeds.rows)}
    rows = [row for row in by_network.values() if row["flops_ratio"] != 1]
    fill_section(path, "speed", SPEED_NOTE, select((model, *speeds.columns), SPEEDS), rows)
    for table, verdicts in (
        (claims(sources), ("paper_verdict", "verdict")),
        (contrasts(sources), ("verdict",)),
        (image_sizes(sources), ()),
        (budget(sources), ()),
    ):
        note = "\n\n".join([*table.notes, *(_tally(table.rows, name) for name in verdicts)])
        fill_section(path, table.name, note, table.columns, table.rows)
    table = guidelines(sources)
    rows = [row for row in table.rows if row["family"] == "all" or "difference" in row]
    fill_section(path, table.name, "\n\n".join(table.notes), select(table.columns, GUIDELINES), rows)


def _tally(rows, name):
    """Return how many claims have which verdict, as a sentence."""
    said = [row[name] for row in rows]
    counts = {word: sum(one.endswith(word) for one in said) for word in (SUPPORTED, CONTRADICTED, NOT_ENOUGH)}
    whose = "The paper's figures" if name.startswith("paper") else "Our runs"
    rest = len(said) - sum(counts.values())
    return (
        f"**{whose}**: {counts[SUPPORTED]} of {len(said)} supported, {counts[CONTRADICTED]} contradicted, {rest} "
        f"undecided, {counts[NOT_ENOUGH]} without enough runs."
    )
