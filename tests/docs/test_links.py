"""Links of README, docs/ and the other pages lead somewhere, and the paths that they name exist."""

import re

import pytest

from tests.docs.pages import PAGES, ROOT, page_name, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:\.ci|configs|data|docs|results|scripts|src|tests)/[\w./-]*)`")
MADE_BY_A_RUN = ("data/features/",)


def slug(heading):
    """Return the anchor of a heading, on GitHub and in MkDocs."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower())


def anchors(page):
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_resolve(page):
    for target in LINK.findall(prose(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page_name(page)}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{page_name(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_named_paths_exist(page):
    for path in PATH.findall(prose(page)):
        assert path in MADE_BY_A_RUN or (ROOT / path).exists(), f"{page_name(page)} names {path}"


def test_the_api_reference_has_every_public_name():
    from compactnet import data, deploy, layers, measure, networks

    for module in (data, deploy, layers, measure, networks):
        name = module.__name__.rpartition(".")[2]
        listed = re.findall(r"^::: .*\.(\w+)$", (ROOT / "docs" / "api" / f"{name}.md").read_text(), re.MULTILINE)
        assert set(module.__all__) <= set(listed), name
