"""What the paper claims of accuracies, beside what its own figures and our runs say."""

from dataclasses import dataclass

from compactnet.report.columns import Column, Table
from compactnet.report.comparison import CONFIDENCE, PAPER_RUNS, POWER, combination, difference, holm, sample
from compactnet.report.published import (
    PUBLISHED_TASKS,
    equal_flops_terms,
    is_papers_network,
    is_papers_training,
    published_accuracies,
)
from compactnet.report.sources import Sources
from compactnet.report.tables.budget import command
from compactnet.report.tables.contrasts import adjusted_p_value, outcome
from compactnet.report.tables.verdicts import FEW_RUNS, NOT_ENOUGH, PROVISIONAL, STYLES, verdict_of_difference

NOTES = (
    "Each claim is a difference of mean test accuracies in percentage points that is above 0 where the claim is true. "
    f"The paper's own figures are its means and standard deviations, of {PAPER_RUNS} runs each by our reading. Ours "
    "are means over the last three epochs. They come from the paper's experiment once each network has two runs there; "
    "until then from the experiment with the most runs, and the verdict is *provisional*.",
    f"A claim is *supported* or *contradicted* if the p-value is at most {1 - CONFIDENCE:.2f} after Holm's adjustment, "
    "otherwise *undecided*. The claims of the paper are adjusted for their number, those without runs included, and "
    "our questions for theirs; but in our own runs a question is a contrast of an experiment, and is adjusted there, "
    f"as in `contrasts.md`. Intervals of {100 * CONFIDENCE:.0f} % are not adjusted. *Detectable* is the "
    f"difference that such runs would find with a probability of {100 * POWER:.0f} % before the adjustment "
    f"({FEW_RUNS}). The command starts the runs that decide the claim, or resumes them.",
    "Our questions are not in the paper: do squeezed channels beat fewer channels? The paper's MobileNets are "
    "interpolated in the logarithm of their FLOPs. Ours have a width of equal FLOPs, in the experiment that the "
    "command names; for four of the questions there is none.",
)
COLUMNS = (
    Column("section", "section"),
    Column("claim", "claim"),
    Column("task", "task"),
    Column("paper_difference", "paper", ".2f"),
    Column("paper_low", "from", ".2f"),
    Column("paper_high", "to", ".2f"),
    Column("paper_detectable", "detectable", ".2f"),
    Column("paper_p_adjusted", "p, adjusted", ".3f"),
    Column("paper_verdict", "the paper's figures", style=lambda row: STYLES[row["paper_verdict"]]),
    Column("experiment", "our experiment"),
    Column("epochs", "epochs", "d"),
    Column("difference", "ours", ".2f", link="records"),
    Column("low", "from", ".2f"),
    Column("high", "to", ".2f"),
    Column("detectable", "detectable", ".2f"),
    Column("p_adjusted", "p, adjusted", ".3f"),
    Column("runs", "runs"),
    Column("verdict", "our runs", style=lambda row: STYLES[row["verdict"].removeprefix(PROVISIONAL)]),
    Column("command", "command"),
)
OURS = "ours"
TASKS = {"asc": "acoustic scenes", "sed": "sound events", "ic": "images"}


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, or a question of ours, as a difference of two accuracies.

    Attributes:
        section: Where the paper says it; `OURS` for a question of ours.
        sentence: What it says, in short.
        task: "asc", "sed" or "ic".
        more: Name of the network that is said to be more accurate.
        less: Name of the other one; None for a MobileNet v1 with as many FLOPs.
        contrast: (experiment, contrast) that decides it where `less` is None, or None.
    """

    section: str
    sentence: str
    task: str
    more: str
    less: str | None
    contrast: tuple | None = None


CLAIMS = (
    Claim("V-C", "VGG-8 outperforms CompactNet-S (C=2) by 1.3 points", "asc", "vgg8", "compact_vgg_sum_c2"),
    Claim("V-C", "CompactNet-M (C=2) outperforms XVGG-8 by 0.32", "asc", "compact_vgg_max_c2", "xvgg8"),
    Claim(
        "V-C",
        "CompactNet-M (C=2) outperforms MobileNet v1 by 0.22",
        "asc",
        "compact_mobilenet_max_c2",
        "mobilenet_v1_100",
    ),
    Claim("V-C", "CompactNets surpass ResNet by a large margin", "asc", "compact_resnet_sum_c2", "resnet50"),
    Claim("V-E", "CompactNet-S (C=2) surpasses ResNet by 1.58", "sed", "compact_resnet_sum_c2", "resnet50"),
    Claim(
        "V-E",
        "CompactNet-M (C=2) surpasses MobileNet v1 by 0.96",
        "sed",
        "compact_mobilenet_max_c2",
        "mobilenet_v1_100",
    ),
    Claim("V-E", "CompactNet-M (C=2) has 1.92 more than XVGG-8", "sed", "compact_vgg_max_c2", "xvgg8"),
    Claim("V-E", "CompactNet-S (C=2) outperforms ResNet by 1.48", "ic", "compact_resnet_sum_c2", "resnet50"),
    Claim("V-E", "XVGG-8 has 1.06 more than CompactNet-S (C=2)", "ic", "xvgg8", "compact_vgg_sum_c2"),
    Claim(
        "V-E",
        "MobileNet v1 has 1.2 more than CompactNet-S (C=2)",
        "ic",
        "mobilenet_v1_100",
        "compact_mobilenet_sum_c2",
    ),
    *(
        Claim(
            OURS,
            f"CompactNet-S (C={factor}) beats a MobileNet v1 of equal FLOPs",
            task,
            f"compact_mobilenet_sum_c{factor}",
            None,
            ("evidence-mobilenet", f"squeezed_c{factor}") if task == "ic" and factor > 2 else None,
        )
        for task in ("sed", "ic")
        for factor in (2, 4, 8)
    ),
)


def claims(sources: Sources):
    """Return a row for each of `CLAIMS`; none where no claim has runs and tables do not list what has none."""
    found = [_found(claim, sources) for claim in CLAIMS]
    if not sources.list_unstarted and not any(found):
        return Table("claims", "", (), COLUMNS, [])
    printed = [_printed(claim, sources) for claim in CLAIMS]
    p_paper = _adjusted([difference.p_value for difference in printed])
    alone = _adjusted([one and one.difference.p_value for one in found])
    p_ours = [
        adjusted_p_value(sources, *claim.contrast) if one and claim.contrast else p
        for claim, one, p in zip(CLAIMS, found, alone, strict=True)
    ]
    rows = []
    for claim, paper, p, ours, p_of_ours in zip(CLAIMS, printed, p_paper, found, p_ours, strict=True):
        row = {
            "section": claim.section,
            "claim": claim.sentence,
            "task": TASKS[claim.task],
            "paper_difference": paper.value,
            "paper_low": paper.low,
            "paper_high": paper.high,
            "paper_detectable": paper.detectable,
            "paper_p_adjusted": p,
            "paper_verdict": verdict_of_difference(paper.value, p),
            "verdict": NOT_ENOUGH,
            "command": _command(claim),
        }
        if ours:
            said = verdict_of_difference(ours.difference.value, p_of_ours, min(map(len, ours.records)))
            row |= {
                "experiment": ours.experiment,
                "epochs": ours.epochs,
                "difference": ours.difference.value,
                "low": ours.difference.low,
                "high": ours.difference.high,
                "detectable": ours.difference.detectable,
                "p_adjusted": p_of_ours,
                "runs": " + ".join(str(len(records)) for records in ours.records),
                "verdict": said if ours.complete or p_of_ours is None else PROVISIONAL + said,
                "records": [record for records in ours.records for record in records],
            }
        rows.append(row)
    notes = (*NOTES, *_changed_by_the_split(printed, p_paper), *_changed_by_the_family(found, p_ours, alone))
    return Table("claims", "Claims: what the paper says of accuracies", notes, COLUMNS, rows)


@dataclass(frozen=True)
class Found:
    """What our runs say of a claim.

    Attributes:
        experiment: Name of the experiment.
        epochs: Its epochs.
        difference: The `Difference`.
        records: The records of each network.
        complete: Whether all planned runs of the networks are done, in the experiment that decides the claim.
    """

    experiment: str
    epochs: int
    difference: object
    records: list
    complete: bool


def _adjusted(p_values):
    """Return the p-values of `CLAIMS` adjusted by Holm: those of the paper's claims, and those of our questions."""
    adjusted = [None] * len(CLAIMS)
    for ours in (False, True):
        places = [place for place, claim in enumerate(CLAIMS) if (claim.section == OURS) == ours]
        for place, p in zip(places, holm([p_values[place] for place in places]), strict=True):
            adjusted[place] = p
    return adjusted


def _changed_by_the_family(found, adjusted, others):
    """Say of which questions our runs would decide otherwise if these were adjusted for their own number."""
    if changed := _changed([one and one.difference for one in found], adjusted, others):
        yield f"Adjusted for the number of our questions, our runs would decide otherwise: {'; '.join(changed)}."


def _changed_by_the_split(printed, adjusted):
    """Say of which claims the paper's figures would decide otherwise if claims and questions were adjusted together."""
    if changed := _changed(printed, adjusted, holm([difference.p_value for difference in printed])):
        yield (
            "The claims and the questions were adjusted together at first, and by themselves only after the result was "
            f"known. Adjusted together, the paper's figures would decide otherwise: {'; '.join(changed)}."
        )


def _changed(differences, adjusted, others):
    """Return the claims that other p-values would decide otherwise, with their verdicts."""
    return [
        f'"{claim.sentence}" ({TASKS[claim.task]}) would be {verdict} (p {other:.3f})'
        for claim, difference, p, other in zip(CLAIMS, differences, adjusted, others, strict=True)
        if difference
        and (verdict := verdict_of_difference(difference.value, other)) != verdict_of_difference(difference.value, p)
    ]


def _printed(claim, sources):
    """Return the `Difference` of the paper's figures."""
    accuracies = published_accuracies(sources.published, PUBLISHED_TASKS[claim.task], claim.task)
    if claim.less:
        others = [(1.0, accuracies[claim.less])]
    else:
        others = equal_flops_terms(sources.published, claim.task, claim.more)
    return combination([(1.0, accuracies[claim.more]), *((-weight, of) for weight, of in others)])


def _found(claim, sources):
    """Return what the experiment with most runs of both networks has found, or None without runs."""
    pairs = []
    for experiment in sources.experiments:
        more, less = claim.more, claim.less
        if claim.contrast:
            contrasts = {(experiment.name, contrast.name): contrast for contrast in experiment.contrasts}
            if claim.contrast not in contrasts:
                continue
            terms = contrasts[claim.contrast].terms
            more, less = sorted(terms, key=terms.get, reverse=True)
        elif less is None or not _is_the_papers(experiment, claim.task, (more, less)):
            continue
        records = [sources.records_of(experiment.name, name) for name in (more, less)]
        if all(records):
            planned = len(experiment.runs([more, less]))
            fewest, of_paper = min(map(len, records)), bool(experiment.table)
            complete = sum(map(len, records)) == planned and bool(of_paper or claim.contrast)
            # Shorter runs, however many, never stand in for the paper's; the command names the experiment of the task.
            enough = of_paper and fewest > 1
            rank = enough, enough and experiment.name == claim.task, fewest, of_paper
            pairs.append(
                (rank, Found(experiment.name, experiment.training.epochs, _difference(records), records, complete))
            )
    if not pairs:
        return None
    return max(pairs, key=lambda pair: pair[0])[1]


def _difference(records):
    """Return the `Difference` of two networks' runs."""
    return difference(*(sample([outcome(record) for record in of_network]) for of_network in records))


def _is_the_papers(experiment, task, names):
    """Say whether an experiment has the paper's data of a task, all of them, with one split, its training but for the
    epochs, and its networks of these names."""
    data = experiment.data
    known = data.paper_task == task and data.complete and bool(data.official_fingerprint) and len(data.folds()) == 1
    papers = [network.name for network in experiment.networks if is_papers_network(network)]
    return known and is_papers_training(experiment.training) and set(names) <= set(papers)


def _command(claim):
    if claim.contrast:
        return command(claim.task, claim.contrast[0])
    if claim.less is None:
        return ""
    return f'{command(claim.task, claim.task)} ARGS="--only {claim.more} {claim.less}"'
