"""The paper's guidelines G1 to G3 (its Sec. V-D), tested as hypotheses."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from compactnet.report.columns import Column, Table
from compactnet.report.comparison import CONFIDENCE, combination, sample
from compactnet.report.sources import Sources

MARGIN = 1.0
"""Percentage points within which two operations count as equivalent: about one standard deviation of the paper's."""

FAMILIES = ("vgg", "resnet", "mobilenet")
FACTORS = (2, 4, 8)
EARLY = 0.1
"""Share of the epochs, from the first on, whose training accuracy measures how fast a network converges."""


def _percent(share):
    return f"{100 * share:.0f} %"


NOTE = (
    "Tests of the guidelines in the paper's Sec. V-D. Each row is a contrast of mean accuracies, averaged over the "
    "families (and factors) for which all runs exist, with its confidence interval by Welch. G1 is a test of "
    f"equivalence: it is supported if the 90 % interval lies within {MARGIN:g} percentage points of zero, which is two "
    "one-sided tests at 5 %. The others are supported if their "
    f"{_percent(CONFIDENCE)} interval excludes zero in the direction that the guideline says. *Not supported* does not "
    "mean that the opposite is true. The effect size is the contrast in standard deviations of a run. Each mean needs "
    "two runs. Experiments on several folds are left out, because their runs differ by fold as well."
)

VERDICTS = MappingProxyType({True: "supported", False: "not supported", None: "not enough runs"})
STYLES = MappingProxyType({VERDICTS[True]: "same", VERDICTS[False]: "apart", VERDICTS[None]: "unknown"})

COLUMNS = (
    Column("guideline", "guideline"),
    Column("statement", "statement"),
    Column("experiment", "experiment"),
    Column("verdict", "verdict", style=lambda row: STYLES[row["verdict"]]),
    Column("difference", "difference", ".2f"),
    Column("low", "from", ".2f"),
    Column("high", "to", ".2f"),
    Column("confidence", "confidence"),
    Column("effect_size", "effect size", ".2f"),
    Column("runs", "runs", "d"),
    Column("comparisons", "comparisons"),
    Column("measure", "measure"),
)


@dataclass(frozen=True)
class Hypothesis:
    """One guideline, or a part of it.

    Attributes:
        name: Such as "G1".
        statement: What the paper says.
        measure: What is compared.
        contrasts: For one family, the contrasts that are averaged: tuples of (weight, operation, factor).
        sign: The contrast is 1: positive, -1: negative, 0: zero, if the guideline is true.
        value: Function that returns the measure of a `RunRecord`, in percent.
    """

    name: str
    statement: str
    measure: str
    contrasts: tuple
    sign: int
    value: Callable


def _last(record):
    return 100 * record.last.test_accuracy


def _early(record):
    """Return the mean training accuracy in percent over the first tenth of the epochs."""
    epochs = record.history[: max(1, math.ceil(EARLY * len(record.history)))]
    return 100 * float(np.mean([epoch.train_accuracy for epoch in epochs]))


HYPOTHESES = (
    Hypothesis(
        "G1",
        "average and sum behave alike",
        "test accuracy, average less sum",
        tuple(((1, "average", factor), (-1, "sum", factor)) for factor in FACTORS),
        0,
        _last,
    ),
    Hypothesis(
        "G2",
        "max falls behind as C grows",
        "test accuracy, max less sum, at C=8 less at C=2",
        (((1, "max", 8), (-1, "sum", 8), (-1, "max", 2), (1, "sum", 2)),),
        -1,
        _last,
    ),
    Hypothesis(
        "G3, convergence",
        "linear operations converge faster",
        f"training accuracy over the first {_percent(EARLY)} of the epochs, sum less max",
        tuple(((1, "sum", factor), (-1, "max", factor)) for factor in FACTORS),
        1,
        _early,
    ),
    Hypothesis(
        "G3, large C",
        "linear operations win at large C",
        "test accuracy at C=8, sum less max",
        (((1, "sum", 8), (-1, "max", 8)),),
        1,
        _last,
    ),
)


def guidelines(sources: Sources):
    """Return a row for each hypothesis and each experiment of the paper that can test it."""
    rows = []
    for hypothesis in HYPOTHESES:
        for experiment in sources.experiments:
            if experiment.table is None or len(experiment.data.folds()) > 1:
                continue
            planned = [contrast for contrast in _contrasts(hypothesis) if _is_planned(contrast, experiment)]
            if planned:
                rows.append(_row(hypothesis, experiment.name, planned, sources.members[experiment.name]))
    return Table("guidelines", "Guidelines: the paper's G1 to G3 tested on our runs", (NOTE,), COLUMNS, rows)


def _contrasts(hypothesis):
    return [
        [(weight, f"compact_{family}_{operation}_c{factor}") for weight, operation, factor in contrast]
        for family in FAMILIES
        for contrast in hypothesis.contrasts
    ]


def _is_planned(contrast, experiment):
    networks = {network.name for network in experiment.networks}
    return all(name in networks for _, name in contrast)


def _row(hypothesis, experiment, planned, records):
    values = {}
    for record in records:
        values.setdefault(record.run.network.name, []).append(hypothesis.value(record))
    complete = [contrast for contrast in planned if all(len(values.get(name, ())) > 1 for _, name in contrast)]
    row = {
        "guideline": hypothesis.name,
        "statement": hypothesis.statement,
        "experiment": experiment,
        "verdict": VERDICTS[None],
        "confidence": _percent(_confidence(hypothesis)),
        "comparisons": f"{len(complete)} of {len(planned)}",
        "measure": hypothesis.measure,
    }
    if not complete:
        return row
    terms = [(weight / len(complete), sample(values[name])) for contrast in complete for weight, name in contrast]
    found = combination(terms, _confidence(hypothesis))
    spread = math.sqrt(sum(of.std**2 for _, of in terms) / len(terms))
    if hypothesis.sign:
        holds = found.low > 0 if hypothesis.sign > 0 else found.high < 0
    else:
        holds = found.low > -MARGIN and found.high < MARGIN
    return row | {
        "verdict": VERDICTS[holds],
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "effect_size": found.value / spread if spread else None,
        "runs": sum(len(values[name]) for contrast in complete for _, name in contrast),
    }


def _confidence(hypothesis):
    # Two one-sided tests at 5 % are a 90 % interval.
    return CONFIDENCE if hypothesis.sign else 1 - 2 * (1 - CONFIDENCE)
