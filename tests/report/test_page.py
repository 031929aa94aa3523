"""The page and the figures: without records, with one run per network, with failed runs, complete, in a browser."""

import re
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compactnet.experiments.config import load_shipped
from compactnet.measure.counts import CountCache
from compactnet.report.figures import FIGURES, write_figures
from compactnet.report.page import CURVE_HEIGHT, write_page
from compactnet.report.page import _curve as curve
from compactnet.report.readme import fill_readme
from compactnet.report.sources import read_sources, repository_sources
from compactnet.report.tables import write_tables
from compactnet.report.tables.claims import claims
from compactnet.report.tables.image_sizes import EXPERIMENTS as SIZES
from compactnet.schema import RunRecord, Segment
from tests.report.factories import ENVIRONMENT, fill_results, run_record, write

TITLE = "MADE-UP RECORDS OF A TEST"
ACCURACY_COLUMNS = 12
PAPER_TABLES = {"table3": ("asc",), "table4": ("sed", "sed-10fold", "ic", "ic-224")}


@pytest.fixture(scope="module")
def experiments(repository):
    return load_shipped(repository / "configs")


@pytest.fixture(scope="module")
def papers(experiments):
    return [experiment for experiment in experiments if experiment.table]


@pytest.fixture(scope="module")
def images(papers):
    return [experiment for experiment in papers if experiment.name == "ic"]


@pytest.fixture(scope="module")
def read(repository, experiments):
    def read_it(folder):
        counts = CountCache(repository / "results" / "complexity.csv")
        return read_sources(folder, experiments, repository / "results" / "paper", counts)

    return read_it


@pytest.fixture(scope="module")
def page_of(read):
    """Write the page of a folder, without figures, and return its text."""

    def write_it(folder):
        return write_page(folder, read(folder), TITLE).read_text()

    return write_it


@pytest.fixture(scope="module")
def write_everything(read):
    """Write tables, figures and page of a folder."""

    def write_them(folder):
        sources = read(folder)
        write_tables(folder, sources)
        write_figures(folder, sources)
        write_page(folder, sources, TITLE)

    return write_them


@pytest.fixture(scope="module")
def whole(tmp_path_factory, papers, write_everything):
    """A folder with a record of every run of the paper's experiments, and all that is made of them."""
    folder = tmp_path_factory.mktemp("whole")
    fill_results(folder, papers)
    write_everything(folder)
    return folder


def body_rows(text, name):
    """Return the cells of each row of each section of a table in the page, as HTML."""
    section = text[text.index(f'<h2 id="{name}">') :]
    section = section[: section.index("<h2", 5)]
    return [
        [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)]
        for body in re.findall(r"<tbody>(.*?)</tbody>", section, re.DOTALL)
    ]


def test_complete_records_fill_every_cell_and_every_figure_of_the_paper(whole):
    text = (whole / "report.html").read_text()
    assert f"<title>{TITLE}</title>" in text
    for name in FIGURES.keys() - {"contrasts", "learning_curves", "rivals"}:
        assert (whole / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f'<figure id="figure-{name}">' in text
    assert "Missing: contrasts, learning_curves, rivals." in text
    assert "No run follows" not in text
    for name, experiments in PAPER_TABLES.items():
        sections = body_rows(text, name)[-len(experiments) :]
        for rows in sections:
            assert len(rows) == {"table3": 13, "table4": 24}[name]
            for row in rows:
                assert len(row) == ACCURACY_COLUMNS
                # Ten folds are no repetitions, so they have no interval.
                assert [place for place, cell in enumerate(row) if not cell] == ([7, 8] if row[5] == "10" else []), row
    for name in ("table1", "table2"):
        for rows in body_rows(text, name)[1:]:
            assert all(all(row) for row in rows)
    verdicts = [row[3] for row in body_rows(text, "guidelines")[0]]
    assert len(verdicts) > 4
    assert "not enough runs" not in verdicts


def test_every_record_is_behind_a_cell_and_the_page_is_small(whole, papers, experiments, read):
    text = (whole / "report.html").read_text()
    assert len(text) < 3_000_000
    opened = set(re.findall(r'popovertarget="([^"]+)"', text))
    assert opened == set(re.findall(r'<div popover id="([^"]+)"', text))
    sources = read(whole)
    assert all(len(sources.members[experiment.name]) == len(experiment.runs()) for experiment in papers)
    # Ablations show the paper's runs that they share; sizes of images show their own runs alone.
    shown = {
        tuple(map(id, sources.records_of(experiment.name, network.name)))
        for experiment in experiments
        for network in experiment.networks
        if experiment.name not in SIZES
    } | {tuple(map(id, row["records"])) for row in claims(sources).rows if "records" in row}
    assert len(re.findall(r"<h4>Seed ", text)) == sum(map(len, shown))
    assert len(re.findall(r'popover id="benchmark-', text)) == len(list((whole / "records" / "speed").iterdir()))
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text


@given(st.lists(st.floats(0, 1), min_size=2, max_size=50))
def test_a_curve_has_the_accuracy_of_each_epoch(accuracies):
    numbers = [int(number) for number in re.findall(r"-?\d+", curve(accuracies))]
    points, steps = {0: numbers[1]}, zip(numbers[2::2], numbers[3::2], strict=True)
    for length, rise in steps:
        end, height = max(points), points[max(points)]
        assert rise % length == 0
        points |= {end + step: height + step * rise // length for step in range(1, length + 1)}
    assert list(points.values()) == [round(CURVE_HEIGHT * (1 - accuracy)) for accuracy in accuracies]


def test_the_config_of_runs_lacks_what_differs_between_them(whole):
    text = (whole / "report.html").read_text()
    shown = {
        name: text[text.index("<table>", text.index(f"experiment {name}</h3>")) :].partition("</table>")[0]
        for name in ("sed", "sed-10fold")
    }
    for config in shown.values():
        assert "<td>training.epochs</td><td>100</td>" in config
        assert "<td>seed</td>" not in config
    assert "<td>data.test_folds</td><td>[10]</td>" in shown["sed"]
    assert "test_folds" not in shown["sed-10fold"]


def test_the_same_records_give_the_same_bytes(whole, write_everything):
    before = {path.name: path.read_bytes() for path in whole.iterdir() if path.is_file()}
    write_everything(whole)
    after = {path.name: path.read_bytes() for path in whole.iterdir() if path.is_file()}
    assert before == after


def test_without_records_the_page_says_so(tmp_path, write_everything):
    write_everything(tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "No run follows its config yet" in text
    assert "Missing: figure3, figure4, figure5, figure6, figure7, contrasts, learning_curves, rivals." in text
    assert "popovertarget" not in text
    assert "not enough runs" in text
    assert body_rows(text, "table3")[0][0][0] == "VGG-8"
    assert not list(tmp_path.glob("figure*"))


def test_one_run_has_no_interval(tmp_path, images, page_of):
    fill_results(tmp_path, images, seeds=1)
    text = page_of(tmp_path)
    (rows,) = [rows for rows in body_rows(text, "table4") if len(rows[0]) == ACCURACY_COLUMNS and rows[0][3]]
    for row in rows:
        _, _, _, ours, std, runs, difference, low, high, _, done, _ = row
        assert ours
        assert difference
        assert (std, runs, low, high) == ("", "1", "", "")
        assert done == "1 of 5"
    assert 'class="number unknown"' in text
    assert {row[4] for row in body_rows(text, "guidelines")[0] if row[2] == "ic"} == {"not enough runs"}


def test_failed_runs_are_listed(tmp_path, images, page_of):
    fill_results(tmp_path, images, keep=lambda run: run.network.name != "vgg8", failed=lambda run: run.seed > 2)
    text = page_of(tmp_path)
    assert "Failed runs" in text
    assert text.count("ic, vgg8 seed 3: FloatingPointError: made up (2 attempts") == 1
    assert "0 of 5, 2 failed" in text
    assert "115 of 120" in text


def test_a_failed_run_that_another_experiment_has_done_is_not_listed(tmp_path, experiments, page_of):
    chosen = [one for one in experiments if one.name in ("ic", "evidence-size-32-mobilenet-025")]
    fill_results(
        tmp_path,
        chosen,
        keep=lambda run: run.experiment != "ic",
        failed=lambda run: (run.network.name, run.seed) == ("mobilenet_v1_025", 0),
    )
    text = page_of(tmp_path)
    assert "Failed runs" not in text
    assert "2 of 5, 1 failed" not in text


def test_a_resumed_run_names_both_places(tmp_path, images, page_of):
    (experiment,) = images
    segment = Segment(from_epoch=2, environment=ENVIRONMENT.model_copy(update={"commit": "fedcba9876543210"}))
    write(tmp_path / "records" / "a.json", run_record(experiment, "xvgg8", environment=ENVIRONMENT, resumed=[segment]))
    text = page_of(tmp_path)
    assert "0123456789ab" in text
    assert "fedcba987654" in text
    assert "0, from epoch 2" in text


def test_a_cell_that_compares_networks_opens_the_runs_of_both(tmp_path, experiments, page_of):
    evidence = [experiment for experiment in experiments if experiment.name == "evidence-mobilenet"]
    networks = ("compact_mobilenet_sum_c8", "mobilenet_v1_0397")
    fill_results(tmp_path, evidence, keep=lambda run: run.network.name in networks)
    text = page_of(tmp_path)
    (title,) = re.findall("<h3>(.*; .*), experiment evidence-mobilenet</h3>", text)
    assert title == "MobileNet-like CompactNet-S (C=8); 0.397 MobileNet v1"
    assert text.count("<h4>Seed 5, 0.397 MobileNet v1: ") == 1
    assert text.count("<h4>Seed 5: ") == len(networks)


def test_a_cell_with_runs_of_two_experiments_names_both(tmp_path, experiments, page_of):
    both = [
        experiment for experiment in experiments if experiment.name in ("evidence-activation", "evidence-mobilenet")
    ]
    networks = ("compact_mobilenet_sum_c8", "compact_mobilenet_sum_c8_no_relu")
    plain = "evidence-activation", networks[0]
    fill_results(
        tmp_path,
        both,
        keep=lambda run: run.network.name in networks and (run.experiment, run.network.name) != plain,
    )
    text = page_of(tmp_path)
    names = "MobileNet-like CompactNet-S (C=8) without the inner ReLU6; MobileNet-like CompactNet-S (C=8)"
    assert f"<h3>{names}, experiment evidence-activation and evidence-mobilenet</h3>" in text
    assert "<code>learning_curves.png</code>" in text


def test_what_records_contain_is_text_and_no_code(tmp_path, images, page_of):
    fill_results(tmp_path, images, seeds=1)
    path = next((tmp_path / "records" / "ic").glob("vgg8-*.json"))
    record = RunRecord.model_validate_json(path.read_text())
    environment = record.environment.model_copy(update={"processor": "<script>alert(1)</script>"})
    write(path, record.model_copy(update={"environment": environment}))
    text = page_of(tmp_path)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_the_committed_page_and_readme_are_what_the_committed_records_give(tmp_path, repository):
    for name in FIGURES:
        for path in (repository / "results").glob(f"{name}.*"):
            (tmp_path / path.name).symlink_to(path)
    sources = repository_sources(repository, repository / "results")
    committed = (repository / "results" / "report.html").read_text()
    assert write_page(tmp_path, sources).read_text() == committed, "run `make report`"
    readme = tmp_path / "README.md"
    readme.write_bytes((repository / "README.md").read_bytes())
    fill_readme(readme, sources)
    assert readme.read_bytes() == (repository / "README.md").read_bytes(), "run `make tables`"


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium of the width of a phone, or a skip that says what is missing."""
    webdriver = pytest.importorskip("selenium.webdriver")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=500,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driven = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield driven
    driven.quit()


def test_in_a_browser_tables_sort_cells_open_and_nothing_complains(browser, whole):
    browser.get((whole / "report.html").as_uri())
    table = browser.find_elements("css selector", "#table3 ~ .wide table.sortable")[1]

    def column():
        return [
            row.find_elements("css selector", "td")[3].text for row in table.find_elements("css selector", "tbody tr")
        ]

    given = column()
    head = table.find_elements("css selector", "th")[3]
    for order in ("ascending", "descending", None):
        browser.execute_script("arguments[0].click()", head.find_element("css selector", "button"))
        assert head.get_attribute("aria-sort") == order
        expected = given if order is None else sorted(given, key=float, reverse=order == "descending")
        assert column() == expected
    opener = table.find_element("css selector", "td button")
    shown = browser.find_element("id", opener.get_attribute("popovertarget"))
    assert not shown.is_displayed()
    browser.execute_script("arguments[0].click()", opener)
    assert shown.is_displayed()
    assert "Seed 0" in shown.text
    assert len(shown.find_elements("css selector", "svg path.test")) == 5
    images = browser.find_elements("css selector", "figure img")
    assert len(images) == 5
    assert all(browser.execute_script("return arguments[0].naturalWidth > 0", image) for image in images)
    # Tables scroll inside themselves; the page is no wider than the screen.
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.get_log("browser") == []
