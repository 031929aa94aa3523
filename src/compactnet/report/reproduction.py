"""The page docs/reproduction.md: what the paper claims, and what its figures and our runs say."""

from compactnet.networks import CATALOGUE
from compactnet.report.columns import Column, select
from compactnet.report.sources import Sources
from compactnet.report.tables.accuracy_columns import rows_that_differ
from compactnet.report.tables.budget import budget
from compactnet.report.tables.claims import OURS, claims
from compactnet.report.tables.contrasts import contrasts
from compactnet.report.tables.guidelines import guidelines
from compactnet.report.tables.image_sizes import image_sizes
from compactnet.report.tables.speed_columns import BASELINES, DEPLOYED, RUNTIME_NAMES
from compactnet.report.tables.table1 import table1
from compactnet.report.tables.table2 import table2
from compactnet.report.tables.table3 import table3
from compactnet.report.tables.table4 import table4
from compactnet.report.tables.verdicts import (
    CONTRADICTED,
    NOT_ENOUGH,
    PROVISIONAL,
    SUPPORTED,
    UNDECIDED,
    UNTESTED,
    verdict_of,
)
from compactnet.report.text import fill_place, fill_section

SPEED_NOTE = (
    "How many times as fast as the uncompressed network of its family each network is, on one processor thread with "
    "128x512x1 inputs: in the paper, here as built in TensorFlow, and as deployed in float32. The paper claims that "
    "C=8 is the fastest of its family, except for MobileNet v1 of width 0.25, and that FLOPs alone do not predict "
    "speed (Sec. V-B). The columns say where that is so here; it depends on the runtime."
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
    fill_place(path, "summary", _summary(sources))
    speeds = table1(sources)
    model = Column("model", "model")
    by_network = {row["network"]: row for row in (*table2(sources).rows, *speeds.rows)}
    rows = [row for row in by_network.values() if row["flops_ratio"] != 1]
    fill_section(path, "speed", SPEED_NOTE, select((model, *speeds.columns), SPEEDS), rows)
    found, compared = claims(sources), contrasts(sources)
    for table, tallies in (
        (found, _tallies_of_claims(found.rows)),
        (compared, [f"**Our runs**: of {len(compared.rows)} contrasts {_tally(compared.rows, 'verdict')}."]),
        (image_sizes(sources), []),
        (budget(sources), []),
    ):
        fill_section(path, table.name, "\n\n".join([*table.notes, *tallies]), table.columns, table.rows)
    table = guidelines(sources)
    rows = [row for row in table.rows if row["family"] == "all" or "difference" in row]
    fill_section(path, table.name, "\n\n".join(table.notes), select(table.columns, GUIDELINES), rows)


def _summary(sources):
    """Return what came out, as a list."""
    rows = [*table1(sources).rows, *table2(sources).rows]
    sizes = {row["network"]: row for row in rows}.values()
    params = sum(row["params_difference"] == 0 for row in sizes)
    flops = sum(f"{row['mflops_counted']:.1f}" == f"{row['mflops_published']:.1f}" for row in sizes)
    return "\n".join(
        [
            f"- **Size.** Of {len(sizes)} networks in {len(rows)} rows of Tables I and II, {params} have the paper's "
            f"parameters to the unit, and {flops} its MFLOPs to the printed digit.",
            f"- **Speed.** {_fastest(sizes)}",
            f"- **Accuracy.** {_accuracies(sources)}",
            f"- **Claims.** {_decided(contrasts(sources).rows)}",
        ]
    )


def _fastest(rows):
    """Say which compact network is the fastest of its family, in the paper and here, how fast it is, and which others
    are faster."""
    ours, published = "tensorflow_cpu_ratio", "cpu_ratio_published"
    said = []
    for baseline in dict.fromkeys(BASELINES.values()):
        family = [row for row in rows if BASELINES[row["network"]] == baseline]
        compact = [row for row in family if row["network"].startswith("compact")]
        if not compact or any(row.get(ours) is None for row in family):
            continue
        here, paper = (max(compact, key=lambda row: row[name]) for name in (ours, published))
        faster = []
        for row in (row for row in family if row[ours] > here[ours]):
            word = "as" if row[published] > paper[published] else "unlike"
            faster.append(f"{row['model']} with {row[ours]:.2f}, {word} in the paper")
        text = f"{here['model']}, {here[ours]:.2f} times as fast as {CATALOGUE[baseline].title}"
        said.append((paper is here, text + (f" (faster than it: {', and '.join(faster)})" if faster else "")))
    same = sum(agrees for agrees, _ in said)
    return (
        "With TensorFlow on one processor thread, the fastest compact network is the same as in the paper in "
        f"{same} of {len(said)} families: {'; '.join(text for _, text in said)}."
    )


def _accuracies(sources):
    """Say how many accuracies of Tables III and IV have runs, and how many of them differ from the paper's."""
    has_runs, differ, tested = {}, 0, 0
    for name, table in (("table3", table3(sources)), ("table4", table4(sources))):
        for experiment in sources.of_table(name):
            for row in table.rows:
                # Several experiments may read one accuracy of the paper in different ways.
                cell = experiment.data.paper_task, row["network"]
                has_runs[cell] = has_runs.get(cell, False) or f"{experiment.name}_accuracy" in row
            found = rows_that_differ(experiment, table.rows)
            differ, tested = differ + found[0], tested + found[1]
    runs, cells = sum(has_runs.values()), len(has_runs)
    return (
        f"Of {cells} accuracies of Tables III and IV, {runs} {'has' if runs == 1 else 'have'} runs by our configs. "
        f"Significantly different from the paper: {differ} of {tested} with an interval."
    )


def _decided(rows):
    """Say what our experiments found of each claim that has enough runs."""
    found = [row for row in rows if verdict_of(row) not in (NOT_ENOUGH, UNTESTED)]
    lines = [
        f"    - {row['claim']} *{row['verdict'].capitalize()}*: {row['difference']:+.2f} points, "
        f"from {row['low']:.2f} to {row['high']:.2f} ({row['experiment']}{_otherwise(row)})."
        for row in found
    ]
    return "\n".join([f"After few epochs, of {len(rows)} contrasts {len(found)} have enough runs.", *lines])


def _otherwise(row):
    last = row["last_epoch_verdict"]
    return "" if last == row["verdict"] else f"; *{last}* by the last epoch alone"


def _tallies_of_claims(rows):
    """Say how many claims and questions have which verdict, by the paper's figures and by our runs."""
    questions = [row for row in rows if row["section"] == OURS]
    stated = [row for row in rows if row["section"] != OURS]
    return [
        f"**{whose}**: of the paper's {len(stated)} claims {_tally(stated, name)}; of our {len(questions)} questions "
        f"{_tally(questions, name)}."
        for whose, name in (("The paper's figures", "paper_verdict"), ("Our runs", "verdict"))
    ]


def _tally(rows, name):
    """Return how many rows have which verdict."""
    said = [row[name] for row in rows]
    parts = []
    for word, text in (
        (SUPPORTED, SUPPORTED),
        (CONTRADICTED, CONTRADICTED),
        (UNDECIDED, UNDECIDED),
        (NOT_ENOUGH, "without enough runs"),
        *([(UNTESTED, "without a test")] if UNTESTED in said else []),
    ):
        provisional = said.count(PROVISIONAL + word)
        part = f"{said.count(word) + provisional} {text}"
        parts.append(f"{part} ({provisional} provisional)" if provisional else part)
    return ", ".join(parts)
