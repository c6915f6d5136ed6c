"""The pages lead where they say: every link, anchor and path in them is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
TOP_FOLDERS = (
    "deploy",
    "docs",
    "evaluation",
    "orchestration",
    "presets",
    "tests",
    "web",
    "workers",
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
IN_BACKTICKS = re.compile(r"`([^`\n]+)`")
PATH = re.compile(rf"(?:{'|'.join(TOP_FOLDERS)})/[\w./-]+")


def without_code(text):
    """The text of a page, without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```", "", text, flags=re.M | re.S)


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page):
    """The links of a page that lead to a file or a heading here."""
    targets = LINK.findall(without_code(page.read_text()))
    return [target for target in targets if "://" not in target]


def paths(page):
    """The texts in backticks that look like a path of the repository, without placeholders."""
    texts = IN_BACKTICKS.findall(without_code(page.read_text()))
    return [text for text in texts if PATH.fullmatch(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page):
    wrong = []
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_in_backticks_is_there(page):
    assert [path for path in paths(page) if not (ROOT / path).exists()] == []


def test_links_anchors_and_paths_are_seen():
    """The patterns above see what the pages have; without this they could see nothing."""
    architecture, readme = ROOT / "docs" / "ARCHITECTURE.md", ROOT / "README.md"
    assert "BOUNDS.md" in links(architecture)
    assert "workers/lua/" in paths(architecture)
    assert "post-v1chatcompletions" in anchors(ROOT / "docs" / "API.md")
    assert "docs/API.md" in links(readme)


def test_the_readme_names_every_page():
    named = set(links(ROOT / "README.md"))
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} - named == set()


@pytest.mark.parametrize("page", PAGES[2:], ids=lambda page: page.name)
def test_a_page_begins_with_a_command_or_a_picture(page):
    """Within its first lines: who opens a page wants to do something."""
    assert "```" in "\n".join(page.read_text().splitlines()[:16])
