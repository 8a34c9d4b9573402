"""The site: built without a warning, it loads nothing from elsewhere, and its made pages are up to date."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import urlparse

import pytest

from kit import pages
from kit.driving import ROOT

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
VARIABLE = re.compile(r"\bSUITE_[A-Z_]*[A-Z]\b")
CODE = (
    "bench", "setup.py", "suite", "models", "swiftbench", "conf", "slurm", "batch", "containers",
    "benchmark", ".ci",
)  # fmt: skip
LOADS = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("link", "href")}


class Loads(HTMLParser):
    """Addresses from which a page loads something; a link that is followed by a click is none."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "link" and given.get("rel") in ("canonical", "next", "prev", "edit"):
            return
        self.addresses += [v for k, v in given.items() if (tag, k) in LOADS and v]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_has_every_page(site):
    names = {page.stem for page in pages.PAGES if page.parent == pages.DOCS}
    assert names <= {page.stem for page in site.glob("*.html")}


@pytest.mark.slow
def test_no_page_loads_anything_from_another_host(site):
    for page in site.glob("*.html"):
        text = page.read_text()
        parser = Loads()
        parser.feed(text)
        assert parser.addresses and not [a for a in parser.addresses if urlparse(a).netloc], (
            page.name
        )
        # Material would fetch what draws these.
        assert 'class="mermaid"' not in text
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", sheet.read_text()), sheet.name


@pytest.mark.slow
def test_made_pages_are_what_the_code_makes():
    path = pages.DOCS / "generate.py"
    spec = importlib.util.spec_from_file_location("docs_generate", path)
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for page, text in generate.pages().items():
        assert page.read_text() == text, f"{page.name}: run python docs/generate.py"


def test_every_algorithm_and_setting_stands_on_its_page():
    algorithms = (pages.DOCS / "algorithms.md").read_text()
    for path in (ROOT / "conf" / "algorithm").glob("*.yaml"):
        assert f"## Algorithm `{path.stem}`" in algorithms
        assert "# When: " in path.read_text(), f"{path.name}: say when it is the one to take"
    settings = (pages.DOCS / "settings.md").read_text()
    for name in re.findall(r"^(\w+):", (ROOT / "conf" / "config.yaml").read_text(), re.M):
        assert name in ("defaults", "hydra") or f"| `{name}` |" in settings


def test_every_variable_of_the_code_stands_on_the_page_and_no_other():
    page = (pages.DOCS / "environment.md").read_text()
    rows = set(re.findall(r"^\| `(SUITE_\w+)`", page, re.M))
    assert rows == set(VARIABLE.findall(page)), "a variable that the text names has no row"
    assert rows == set(VARIABLE.findall(source()))


def test_messages_of_the_troubleshooting_table_are_those_of_the_code():
    page = (pages.DOCS / "troubleshooting.md").read_text()
    table = page.partition("## While it runs")[2].partition("\n## ")[0]
    shown = re.findall(r"^\| `([^`]+)`", table, re.M)
    assert len(shown) == table.count("\n|") - 2, "a row begins with the message's own words"
    said = [
        node.value
        for path in (ROOT / "suite").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    for message in shown:
        for words in filter(None, map(str.strip, message.split("..."))):
            assert any(words in one for one in said), f"no code prints: {words}"


def source():
    files = []
    for name in CODE:
        path = ROOT / name
        files += [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    kept = [
        p
        for p in files
        if p.suffix not in (".pyc", ".sif", ".png")
        and "images" not in p.relative_to(ROOT).parts[-2:-1]
    ]
    return "\n".join(p.read_text(errors="replace") for p in kept)


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for address in LINK.findall(pages.prose_of(page)):
        parts = urlparse(address)
        if parts.scheme:
            assert parts.scheme in ("https", "mailto") and (parts.netloc or parts.path), address
        elif parts.path:
            assert (page.parent / parts.path).exists(), address
