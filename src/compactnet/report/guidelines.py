"""The paper's guidelines G1 to G3 (its Section IV) as hypotheses that records support or do not."""

import math
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from compactnet.report.comparison import CONFIDENCE, combination, sample
from compactnet.report.markdown import Table
from compactnet.report.paper_tables import Sources

MARGIN = 1.0
"""Percentage points within which two operations behave alike: about one standard deviation of the paper's runs."""

FAMILIES = ("vgg", "resnet", "mobilenet")
FACTORS = (2, 4, 8)
EARLY = 0.1
"""Part of the epochs, from the first on, whose training accuracy says how fast an operation converges."""


def _percent(share):
    return f"{100 * share:.0f} %"


NOTE = (
    "Each row is one contrast of mean accuracies, averaged over the families (and factors) whose runs are all there, "
    f"with its {_percent(CONFIDENCE)} interval by Welch. G1 is a test of equivalence: supported if the 90 % interval "
    f"lies within {MARGIN:g} percentage points of zero, which is two one-sided tests at 5 %. The others are supported "
    "if the interval lies on the side that the guideline says. *Not supported* does not say that the opposite holds. "
    "The effect size is the contrast in standard deviations of a run. Each mean takes two runs at least. "
    "Studies over several folds are left out: their runs differ by fold as well."
)


@dataclass(frozen=True)
class Hypothesis:
    """One guideline, or a part of it.

    Attributes:
        name: Such as "G1".
        statement: What the paper says, in words.
        measure: What is compared.
        contrasts: For one family, the contrasts that are averaged: tuples of (weight, operation, factor).
        sign: 1 if the guideline says the contrast is above zero, -1 below, 0 if it says that it is none.
        figure: Function that returns the figure of a run in percent.
    """

    name: str
    statement: str
    measure: str
    contrasts: tuple
    sign: int
    figure: object


def _last(record):
    return 100 * record["last"]["test_accuracy"]


def _early(record):
    """Return the mean training accuracy in percent over the first tenth of the epochs, at least one."""
    epochs = record["history"][: max(1, math.ceil(EARLY * len(record["history"])))]
    return 100 * float(np.mean([epoch["train_accuracy"] for epoch in epochs]))


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

VERDICTS = MappingProxyType({True: "supported", False: "not supported", None: "not enough runs"})


def guidelines(sources: Sources):
    """Return a data frame with a row for each hypothesis and each study that could tell.

    Args:
        sources: What `read_sources` returns; only runs that follow their config's protocol count.
    """
    rows = []
    for hypothesis in HYPOTHESES:
        for config in sources.configs:
            if config.table is None or len(config.data.parts()) > 1:
                continue  # folds are no replicates of each other
            planned = [contrast for contrast in _contrasts(hypothesis) if _is_planned(contrast, config)]
            if planned:
                rows.append(_row(hypothesis, config, planned, sources.members[config.name]))
    if not rows:
        return pd.DataFrame()
    frame = pd.DataFrame(rows)
    numbers = ("difference", "low", "high", "effect_size")
    return frame.astype({**dict.fromkeys(numbers, float), "runs": "Int64"})


def guidelines_table(sources: Sources):
    """Return the `Table` of the guidelines, or None where no study could tell."""
    frame = guidelines(sources)
    return None if frame.empty else Table("guidelines", "The paper's guidelines on the records", [NOTE], frame)


def _contrasts(hypothesis):
    return [
        [(weight, f"compact_{family}_{operation}_c{factor}") for weight, operation, factor in contrast]
        for family in FAMILIES
        for contrast in hypothesis.contrasts
    ]


def _is_planned(contrast, config):
    networks = {network.name for network in config.networks}
    return all(name in networks for _, name in contrast)


def _row(hypothesis, config, planned, records):
    values = {}
    for record in records:
        values.setdefault(record["network"], []).append(hypothesis.figure(record))
    complete = [contrast for contrast in planned if all(len(values.get(name, ())) > 1 for _, name in contrast)]
    row = {
        "guideline": hypothesis.name,
        "statement": hypothesis.statement,
        "study": config.name,
        "verdict": VERDICTS[None],
        "difference": None,
        "low": None,
        "high": None,
        "confidence": _percent(_confidence(hypothesis)),
        "effect_size": None,
        "runs": sum(len(values[name]) for contrast in complete for _, name in contrast) or None,
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
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "effect_size": found.value / spread if spread else None,
        "verdict": VERDICTS[holds],
    }


def _confidence(hypothesis):
    # Two one-sided tests at 5 % are a 90 % interval.
    return CONFIDENCE if hypothesis.sign else 1 - 2 * (1 - CONFIDENCE)
