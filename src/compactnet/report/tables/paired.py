"""Pairs of trained networks compared sample by sample, from the predictions that records keep."""

import numpy as np

from compactnet.report.columns import Column, Table
from compactnet.report.comparison import CONFIDENCE, difference, holm, sample
from compactnet.report.comparison import paired as paired_difference
from compactnet.report.sources import Sources

NOTE = (
    "The two networks of each contrast, sample by sample, with the weights after the last epoch and averaged over all "
    "pairs of their runs. *Only first correct* is the share of test samples that the first network alone classifies "
    f"correctly. The {100 * CONFIDENCE:.0f} % interval and the p-value are of the paired test over samples (with one "
    "run each, nearly McNemar's): they say whether **these trained networks** would differ on other samples. Whether "
    "**other trainings** would, the contrasts say. The two standard errors of the difference are over test sets and "
    "over runs. *P, adjusted* is by Holm for all contrasts of the experiment."
)
COLUMNS = (
    Column("experiment", "experiment"),
    Column("contrast", "contrast"),
    Column("first", "first"),
    Column("second", "second"),
    Column("runs", "runs"),
    Column("samples", "samples", "d"),
    Column("first_alone_percent", "only first correct, %", ".2f"),
    Column("second_alone_percent", "only second correct, %", ".2f"),
    Column("difference", "difference", ".2f", link="records"),
    Column("low", "from", ".2f"),
    Column("high", "to", ".2f"),
    Column("p_value", "p", ".3f"),
    Column("p_adjusted", "p, adjusted", ".3f"),
    Column("sampling_error", "standard error, test set", ".2f"),
    Column("runs_error", "standard error, runs", ".2f"),
)


def paired(sources: Sources):
    """Return a row for each contrast of two networks on real data that have runs with predictions."""
    rows = []
    for experiment in sources.real:
        found = [_row(contrast, experiment, sources) for contrast in experiment.contrasts]
        adjusted = holm([row and row["p_value"] for row in found])
        rows += [row | {"p_adjusted": p} for row, p in zip(found, adjusted, strict=True) if row]
    return Table("paired", "Pairs of trained networks, sample by sample", (NOTE,), COLUMNS, rows)


def _row(contrast, experiment, sources):
    """Return the row of a contrast without the adjusted p-value, or None where it has no such runs."""
    # Test samples of several folds, or of data that differ, do not come in pairs.
    if sorted(contrast.terms.values()) != [-1, 1] or len(experiment.data.folds()) > 1:
        return None
    first, second = sorted(contrast.terms, key=contrast.terms.get, reverse=True)
    of_first, of_second = (
        [record for record in sources.records_of(experiment.name, name) if record.predictions]
        for name in (first, second)
    )
    if not of_first or not of_second or len({record.fingerprint for record in (*of_first, *of_second)}) > 1:
        return None
    right = [np.array([record.predictions.right for record in records]) for records in (of_first, of_second)]
    shares = [100 * of.mean(axis=0) for of in right]
    apart = paired_difference(*shares)
    return {
        "experiment": experiment.name,
        "contrast": contrast.name,
        "first": first,
        "second": second,
        "runs": f"{len(of_first)}, {len(of_second)}",
        "samples": len(shares[0]),
        # The mean over all pairs of runs is a product of means.
        "first_alone_percent": np.mean(shares[0] * (100 - shares[1])) / 100,
        "second_alone_percent": np.mean(shares[1] * (100 - shares[0])) / 100,
        "difference": apart.value,
        "low": apart.low,
        "high": apart.high,
        "p_value": apart.p_value,
        "sampling_error": apart.error,
        "runs_error": difference(*(sample(100 * of.mean(axis=1)) for of in right)).error,
        "records": [*of_first, *of_second],
    }
