"""What a study will take; the steps are timed by a made-up clock."""

import math

import pytest

from compactnet.errors import InputError
from compactnet.experiments.config import load_config
from compactnet.experiments.study import cells
from compactnet.experiments.timed_epoch import EpochTimes, timed_epoch
from compactnet.report import plan as module
from compactnet.report.plan import plan


@pytest.fixture
def clock(monkeypatch):
    """Each step of each network takes 0.1 s, an evaluated batch 0.04 s and a start 7 s."""
    asked = []

    def timed(config, network, backend, samples):
        asked.append((network, backend, samples))
        return EpochTimes(start=7.0, step=0.1, evaluation=0.04)

    monkeypatch.setattr(module, "timed_epoch", timed)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 8)
    return asked


def planned(config, **options):
    return cells(config, config.data.official_fingerprint, **options)


def record_of(cell, **changes):
    protocol = {**cell.protocol, **changes}
    protocol["data"] = {**protocol["data"], "fingerprint": cell.protocol["data"]["fingerprint"] + "content"}
    return {"study": cell.study, "network": cell.network, "seed": cell.seed, "protocol": protocol}


def test_cells_hours_and_gigabytes_of_images(clock, repository):
    config = load_config(repository / "configs" / "ic.yaml")
    found = plan(config, planned(config), [], "nowhere", workers=3)
    assert (found.cells, found.done, len(found.networks)) == (120, 0, 24)
    assert clock[:2] == [("vgg8", "tensorflow", 60_000), ("xvgg8", "tensorflow", 60_000)]
    # 1,563 steps and 313 evaluated batches, 50 times.
    hours = (7 + 50 * (0.1 * 1563 + 0.04 * 313)) / 3600
    assert found.networks[0].cell_hours == pytest.approx(hours)
    assert found.at_once == 3
    assert found.hours == pytest.approx(120 * hours / 3)
    assert found.download_gigabytes == pytest.approx(0.17, abs=0.01)
    assert found.sample_gigabytes == pytest.approx(60_000 * 32 * 32 * 3 * 4 / 1e9)


def test_cells_with_their_record_are_not_counted_again(clock, repository):
    config = load_config(repository / "configs" / "ic.yaml")
    chosen = planned(config, only=["xvgg8"])
    records = [record_of(chosen[0]), record_of(chosen[1], threads=7)]
    found = plan(config, chosen, records, "nowhere")
    assert (found.cells, found.done) == (5, 1)
    assert (found.networks[0].done, found.networks[0].left) == (1, 4)
    assert plan(config, chosen, [record_of(cell) for cell in chosen], "nowhere").hours == 0


def test_recordings_are_planned_without_a_file_and_fold_by_fold(clock, repository):
    config = load_config(repository / "configs" / "sed-10fold.yaml")
    found = plan(config, planned(config, only=["xvgg8"]), [], "nowhere")
    assert found.cells == 10
    assert found.download_gigabytes == 6.0
    assert found.sample_gigabytes == pytest.approx(8732 * 128 * 201 * 4 / 1e9)
    sizes = (873, 888, 925, 990, 936, 823, 838, 806, 816, 837)
    epochs = sum(0.1 * math.ceil((8732 - size) / 32) + 0.04 * math.ceil(size / 32) for size in sizes)
    assert found.hours == pytest.approx((config.training.epochs * epochs + 10 * 7) / 3600)


def test_what_is_not_official_is_counted_where_it_lies(clock, repository, generated_images):
    config = load_config(repository / "configs" / "sample" / "ic.yaml")
    found = plan(config, planned(config), [], generated_images, workers=64)
    assert found.download_gigabytes == 0
    assert found.sample_gigabytes == pytest.approx(200 * 32 * 32 * 3 * 4 / 1e9)
    assert found.at_once == 8 // config.threads


@pytest.mark.slow
def test_a_networks_epochs_are_timed_in_a_process_of_its_own(repository, monkeypatch):
    config = load_config(repository / "configs" / "sample" / "ic.yaml", ["networks=[xvgg8]"])
    times = timed_epoch(config, "xvgg8", "tensorflow", 100)
    assert all(math.isfinite(seconds) and seconds > 0 for seconds in (times.start, times.step, times.evaluation))
    with pytest.raises(InputError, match="unknown cannot be timed, status 1: KeyError"):
        timed_epoch(config, "unknown", "tensorflow", 100)
