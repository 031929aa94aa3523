"""The comparisons that experiments are made for, each chosen before the first run."""

from itertools import chain

from compactnet.report.columns import Column, Table
from compactnet.report.comparison import CONFIDENCE, POWER, combination, holm, sample
from compactnet.report.published import published_terms
from compactnet.report.sources import Sources
from compactnet.report.tables.accuracy_columns import repeated
from compactnet.report.tables.verdicts import (
    FEW_RUNS,
    PROVISIONAL,
    SIGNIFICANT,
    STYLES,
    verdict_of,
    verdict_of_difference,
)

LAST_EPOCHS = 3
"""Epochs at the end of a run whose mean test accuracy is compared: less noisy than the last one alone."""

NOTES = (
    f"Each claim is a difference of mean test accuracies over the last {LAST_EPOCHS} epochs, in percentage points, "
    "and has been in the experiment's config since before its first run, unless the config says otherwise. It is "
    "*supported* if the difference is above 0, and *contradicted* if it is below, with a p-value of at most "
    f"{SIGNIFICANT:.2f} by Welch's test after Holm's adjustment for all contrasts of the experiment, those without "
    f"runs included; otherwise it is *undecided*. The {100 * CONFIDENCE:.0f} % interval is "
    "not adjusted. Verdicts are *provisional* while planned runs are missing, and there is *no test* where all runs "
    "are equal or are of several folds, which are no repetitions. "
    "The last two columns have what the last epoch alone, which Tables III and IV show, would say: a verdict that it "
    "changes is weak.",
    "Runs of few epochs compare how fast networks learn as much as where they end: `learning_curves.png` shows which "
    "were still improving.",
    "*Detectable* is the difference that as many runs, spread as these are, would find with a probability of "
    f"{100 * POWER:.0f} % before the adjustment ({FEW_RUNS}): an undecided contrast says nothing "
    "about smaller ones.",
    "Beside ours stands the same difference of the paper's accuracies. The paper does not state its epochs, and the "
    "size of its images is open; it has more recordings than our runs. Where it has no network of a width, its "
    "MobileNets are interpolated in the logarithm of their FLOPs.",
)
COLUMNS = (
    Column("experiment", "experiment"),
    Column("contrast", "contrast"),
    Column("claim", "claim"),
    Column("verdict", "verdict", style=lambda row: STYLES[verdict_of(row)]),
    Column("difference", "difference", ".2f", link="records"),
    Column("low", "from", ".2f"),
    Column("high", "to", ".2f"),
    Column("p_value", "p", ".3f"),
    Column("p_adjusted", "p, adjusted", ".3f"),
    Column("detectable", "detectable", ".2f"),
    Column("runs", "runs"),
    Column("paper_difference", "paper", ".2f"),
    Column("paper_low", "from", ".2f"),
    Column("paper_high", "to", ".2f"),
    Column("last_epoch_difference", "last epoch", ".2f"),
    Column("last_epoch_verdict", "verdict of the last epoch"),
)


def contrasts(sources: Sources):
    """Return a row for each contrast on real data; those of experiments without runs only where tables list these."""
    shown = [
        experiment
        for experiment in sources.real
        if experiment.contrasts and (sources.list_unstarted or sources.members[experiment.name])
    ]
    rows = [row for experiment in shown for row in _rows(experiment, sources)]
    notes = (*NOTES, *(f"*{experiment.name}*: {experiment.note}" for experiment in shown if experiment.note))
    return Table("contrasts", "Contrasts: what the experiments were made to decide", notes, COLUMNS, rows)


def outcome(record, epochs=LAST_EPOCHS):
    """Return what is compared of a `RunRecord`: the mean test accuracy of its last epochs, in percent."""
    last = record.history[-epochs:]
    return 100 * sum(epoch.test_accuracy for epoch in last) / len(last)


def adjusted_p_value(sources, experiment, contrast):
    """Return the p-value of a contrast, adjusted for all contrasts of its experiment.

    Args:
        sources: The `Sources`.
        experiment: Name of the experiment.
        contrast: Name of the contrast, which has runs.
    """
    (found,) = (one for one in sources.experiments if one.name == experiment)
    names = [one.name for one in found.contrasts]
    return _differences(found, sources, LAST_EPOCHS)[1][names.index(contrast)]


def _rows(experiment, sources):
    found, adjusted = _differences(experiment, sources, LAST_EPOCHS)
    last, last_adjusted = _differences(experiment, sources, 1)
    for place, (contrast, difference, p) in enumerate(zip(experiment.contrasts, found, adjusted, strict=True)):
        runs = {name: sources.records_of(experiment.name, name) for name in contrast.terms}
        planned = {name: len(experiment.runs([name])) for name in contrast.terms}
        complete = all(len(runs[name]) == planned[name] for name in planned)
        fewest = min(map(len, runs.values()))
        prefix = "" if complete or p is None else PROVISIONAL
        said = verdict_of_difference(difference and difference.value, p, fewest)
        row = {
            "experiment": experiment.name,
            "contrast": contrast.name,
            "claim": contrast.claim,
            "verdict": prefix + said,
            "runs": ", ".join(f"{len(runs[name])} of {planned[name]}" for name in contrast.terms),
        }
        if difference:
            row |= {name: getattr(difference, name) for name in ("low", "high", "p_value", "detectable")}
            row |= {
                "difference": difference.value,
                "p_adjusted": p,
                "records": list(chain(*runs.values())),
                "last_epoch_difference": last[place].value,
                "last_epoch_verdict": prefix + verdict_of_difference(last[place].value, last_adjusted[place], fewest),
            }
        yield row | _published(contrast, experiment, sources)


def _differences(experiment, sources, epochs):
    """Return the `Difference` of each contrast, or None, and their adjusted p-values."""
    found = [_difference(contrast, experiment, sources, epochs) for contrast in experiment.contrasts]
    return found, holm([difference and difference.p_value for difference in found])


def _difference(contrast, experiment, sources, epochs):
    """Return the `Difference` of our runs, or None if a network has none."""
    records = {name: sources.records_of(experiment.name, name) for name in contrast.terms}
    if not all(records.values()):
        return None
    return combination(
        [
            (weight, repeated(experiment, sample([outcome(record, epochs) for record in records[name]])))
            for name, weight in contrast.terms.items()
        ]
    )


def _published(contrast, experiment, sources):
    """Return the values of the same difference in the paper; none if it has no such networks or other data."""
    if experiment.data.name != experiment.data.title:
        return {}
    by_name = {network.name: network for network in experiment.networks}
    terms = []
    for name, weight in contrast.terms.items():
        of_network = published_terms(sources.published, sources.counts, experiment.data, by_name[name])
        if of_network is None:
            return {}
        terms += [(weight * share, of) for share, of in of_network]
    found = combination(terms)
    return {"paper_difference": found.value, "paper_low": found.low, "paper_high": found.high}
