"""The paper's guidelines G1 to G3 (its Sec. V-D), tested as hypotheses."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from compactnet.report.columns import Column, Table
from compactnet.report.comparison import CONFIDENCE, PAPER_RUNS, POWER, combination, sample
from compactnet.report.published import PUBLISHED_TASKS, published_accuracies
from compactnet.report.sources import Sources
from compactnet.report.tables.verdicts import (
    CONTRADICTED,
    FEW_RUNS,
    NOT_ENOUGH,
    PROVISIONAL,
    STYLES,
    SUPPORTED,
    UNDECIDED,
    UNTESTED,
    verdict_of,
)

MARGIN = 1.0
"""Percentage points within which two operations count as equivalent: about one standard deviation of the paper's."""

FAMILIES = ("vgg", "resnet", "mobilenet")
FACTORS = (2, 4, 8)
EARLY = 0.1
"""Share of the epochs, from the first on, whose training accuracy measures how fast a network converges."""


def _percent(share):
    return f"{100 * share:.0f} %"


NOTES = (
    "The guidelines of the paper's Sec. V-D as hypotheses, tested on the paper's own accuracies (its means and "
    f"standard deviations, of {PAPER_RUNS} runs each by our reading) and on our runs. A row is a contrast of mean "
    "accuracies in percentage points, averaged over the compact factors for which each network has two runs, with its "
    "confidence interval by Welch.",
    f"G1 is a test of equivalence: it is *supported* if the 90 % interval lies within {MARGIN:g} percentage points of "
    "zero, which is two one-sided tests at 5 %, and *contradicted* if the interval lies outside; runs of average and "
    "sum with the same seed and backend start from the same weights and are compared in pairs. The first half of G2 is "
    f"supported if the interval lies above {-MARGIN:g}, and contradicted if it lies below zero otherwise: the maximum "
    f"is then less accurate than the sum, perhaps by less than {MARGIN:g} points, and the paper does not say that it "
    "equals the sum. The others are supported if the interval excludes zero in the direction that the guideline says, "
    "and contradicted if it does in the other. All else is *undecided*. For *all* families, the average decides, but a "
    "guideline is supported only if each family supports it by itself.",
    "The effect size is the contrast in standard deviations of a run, or of the differences where runs are compared in "
    "pairs. *Detectable* is the difference from zero that as many runs would find with a probability of "
    f"{100 * POWER:.0f} % ({FEW_RUNS}); the first half of G2 is supported sooner, by the margin of {MARGIN:g}. A mean "
    "needs two runs, and equal runs allow *no test*. Verdicts are *provisional* while planned runs are "
    "missing. They are not adjusted for their number: of 20 differences that are tested against zero and truly are "
    "zero, one would get a verdict by chance.",
    "Only the experiments of the paper's tables count here; shorter ones are in `contrasts.md`. Experiments on several "
    "folds are left out, because their runs differ by fold as well.",
)

COLUMNS = (
    Column("guideline", "guideline"),
    Column("statement", "statement"),
    Column("evidence", "evidence"),
    Column("family", "family"),
    Column("verdict", "verdict", style=lambda row: STYLES[verdict_of(row)]),
    Column("difference", "difference", ".2f"),
    Column("low", "from", ".2f"),
    Column("high", "to", ".2f"),
    Column("confidence", "confidence"),
    Column("detectable", "detectable", ".2f"),
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
        judge: Function of the ends of the interval that returns the verdict.
        value: Function that returns the measure of a `RunRecord`, in percent.
        published: Whether the paper has the measure of its networks.
        paired: Whether runs of a contrast with the same seed and backend start from the same weights.
        confidence: Confidence of the interval.
    """

    name: str
    statement: str
    measure: str
    contrasts: tuple
    judge: Callable
    value: Callable
    published: bool = True
    paired: bool = False
    confidence: float = CONFIDENCE


def _last(record):
    return 100 * record.last.test_accuracy


def _early(record):
    """Return the mean training accuracy in percent over the first tenth of the epochs."""
    epochs = record.history[: max(1, math.ceil(EARLY * len(record.history)))]
    return 100 * float(np.mean([epoch.train_accuracy for epoch in epochs]))


def _positive(low, high):
    return SUPPORTED if low > 0 else CONTRADICTED if high < 0 else UNDECIDED


def _negative(low, high):
    return _positive(-high, -low)


def _equivalent(low, high):
    if low > -MARGIN and high < MARGIN:
        return SUPPORTED
    return CONTRADICTED if low > MARGIN or high < -MARGIN else UNDECIDED


def _not_worse(low, high):
    return SUPPORTED if low > -MARGIN else CONTRADICTED if high < 0 else UNDECIDED


HYPOTHESES = (
    Hypothesis(
        "G1",
        "average and sum behave alike",
        "test accuracy, average less sum",
        tuple(((1, "average", factor), (-1, "sum", factor)) for factor in FACTORS),
        _equivalent,
        _last,
        paired=True,
        # Two one-sided tests at 5 %.
        confidence=1 - 2 * (1 - CONFIDENCE),
    ),
    Hypothesis(
        "G2, small C",
        "max does well at small C",
        "test accuracy at C=2, max less sum",
        (((1, "max", 2), (-1, "sum", 2)),),
        _not_worse,
        _last,
    ),
    Hypothesis(
        "G2, large C",
        "max falls behind as C grows",
        "test accuracy, max less sum, at C=8 less at C=2",
        (((1, "max", 8), (-1, "sum", 8), (-1, "max", 2), (1, "sum", 2)),),
        _negative,
        _last,
    ),
    Hypothesis(
        "G3, convergence",
        "linear operations converge faster",
        f"training accuracy over the first {_percent(EARLY)} of the epochs, sum less max",
        tuple(((1, "sum", factor), (-1, "max", factor)) for factor in FACTORS),
        _positive,
        _early,
        published=False,
    ),
    Hypothesis(
        "G3, large C",
        "linear operations win at large C",
        "test accuracy at C=8, sum less max",
        (((1, "sum", 8), (-1, "max", 8)),),
        _positive,
        _last,
    ),
)


@dataclass(frozen=True)
class Evidence:
    """Accuracies that a hypothesis is tested on.

    Attributes:
        name: What the table calls them.
        networks: Names of the networks that have, or will have, some.
        samples: Function of a contrast, pairs (weight, network), that returns it as pairs (weight, `Sample`), or None
            where a network has fewer than two runs.
        complete: Function of a network that says whether all its runs are done.
    """

    name: str
    networks: frozenset
    samples: Callable
    complete: Callable


def guidelines(sources: Sources):
    """Return rows for each hypothesis, of the paper's accuracies and of each experiment that can test it."""
    rows = []
    for hypothesis in HYPOTHESES:
        for evidence in (*_published(hypothesis, sources), *_experiments(hypothesis, sources)):
            rows += _rows(hypothesis, evidence)
    return Table("guidelines", "Guidelines: the paper's G1 to G3 tested", NOTES, COLUMNS, rows)


def _published(hypothesis, sources):
    """Yield the paper's accuracies of each task."""
    for task, table in PUBLISHED_TASKS.items() if hypothesis.published else ():
        accuracies = published_accuracies(sources.published, table, task)

        def samples(contrast, accuracies=accuracies):
            return [(weight, accuracies[network]) for weight, network in contrast]

        yield Evidence(f"paper, {task}", frozenset(accuracies), samples, lambda network: True)


def _experiments(hypothesis, sources):
    """Yield the accuracies of each experiment of the paper."""
    for experiment in sources.experiments:
        if experiment.table is None or len(experiment.data.folds()) > 1:
            continue
        by_seed = {}
        for record in sources.members[experiment.name]:
            # From one seed, backends draw different initial weights.
            start = record.run.seed, record.run.execution.backend
            by_seed.setdefault(record.run.network.name, {})[start] = hypothesis.value(record)

        def samples(contrast, by_seed=by_seed):
            runs = [by_seed.get(network, {}) for _, network in contrast]
            if hypothesis.paired:
                shared = set.intersection(*map(set, runs))
                sums = [
                    sum(weight * of[seed] for (weight, _), of in zip(contrast, runs, strict=True)) for seed in shared
                ]
                return [(1, sample(sums))] if len(sums) > 1 else None
            if any(len(of) < 2 for of in runs):
                return None
            return [(weight, sample(list(of.values()))) for (weight, _), of in zip(contrast, runs, strict=True)]

        def complete(network, by_seed=by_seed, experiment=experiment):
            return len(by_seed.get(network, ())) == len(experiment.runs([network]))

        names = frozenset(network.name for network in experiment.networks)
        yield Evidence(experiment.name, names, samples, complete)


def _rows(hypothesis, evidence):
    """Return a row for each family and, if there are several, one for all; before the first runs, that one alone."""
    planned = {family: _contrasts(hypothesis, family, evidence.networks) for family in FAMILIES}
    planned = {family: contrasts for family, contrasts in planned.items() if contrasts}
    rows = [_row(hypothesis, evidence, family, contrasts) for family, contrasts in planned.items()]
    if len(rows) < 2:
        return rows
    every = [contrast for contrasts in planned.values() for contrast in contrasts]
    of_all = _row(hypothesis, evidence, "all", every, [verdict_of(row) for row in rows])
    return [*rows, of_all] if "difference" in of_all else [of_all]


def _contrasts(hypothesis, family, networks):
    """Return the contrasts of a family whose networks all exist, as lists of pairs (weight, network)."""
    named = [
        [(weight, f"compact_{family}_{operation}_c{factor}") for weight, operation, factor in contrast]
        for contrast in hypothesis.contrasts
    ]
    return [contrast for contrast in named if all(name in networks for _, name in contrast)]


def _row(hypothesis, evidence, family, planned, of_families=()):
    found = [(contrast, terms) for contrast in planned if (terms := evidence.samples(contrast))]
    row = {
        "guideline": hypothesis.name,
        "statement": hypothesis.statement,
        "evidence": evidence.name,
        "family": family,
        "verdict": NOT_ENOUGH,
        "confidence": _percent(hypothesis.confidence),
        "comparisons": f"{len(found)} of {len(planned)}",
        "measure": hypothesis.measure,
    }
    if not found:
        return row
    terms = [(weight / len(found), of) for _, terms in found for weight, of in terms]
    apart = combination(terms, hypothesis.confidence)
    if apart.low is None:
        return row | {"verdict": UNTESTED}
    spread = math.sqrt(sum(of.std**2 for _, of in terms) / len(terms))
    verdict = hypothesis.judge(apart.low, apart.high)
    if verdict == SUPPORTED and not all(one == SUPPORTED for one in of_families):
        verdict = UNDECIDED
    complete = all(evidence.complete(network) for contrast in planned for _, network in contrast)
    return row | {
        "verdict": verdict if complete else PROVISIONAL + verdict,
        "difference": apart.value,
        "low": apart.low,
        "high": apart.high,
        "detectable": None if hypothesis.judge is _equivalent else apart.detectable,
        "effect_size": apart.value / spread if spread else None,
        "runs": sum(of.runs for _, terms in found for _, of in terms) * (len(found[0][0]) // len(found[0][1])),
    }
