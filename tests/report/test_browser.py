"""The page in a browser: nothing wider than the window, no text over another, images that decode."""

import html
import json
import re
import shutil
import subprocess

import pytest

from kit.report_runs import edited, on_table, say, write_run
from suite import report

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium=absent: apt install chromium"),
]

MEASURE = """
window.addEventListener("load", () => {
  const leaves = [...document.querySelectorAll("main *")].filter(e => !e.closest("details:not([open])")
    && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));
  const boxes = leaves.flatMap(e => [...e.childNodes].filter(n => n.nodeType === 3 && n.textContent.trim())
    .flatMap(n => { const r = document.createRange(); r.selectNodeContents(n);
      return [...r.getClientRects()].map(b => [n.textContent.trim().slice(0, 40), b, e]); }));
  const over = [];
  for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
    const [a, x, p] = boxes[i], [b, y, q] = boxes[j];
    if (p.closest(".scroll") || q.closest(".scroll")) continue;
    const w = Math.min(x.right, y.right) - Math.max(x.left, y.left);
    const h = Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top);
    if (w > 1 && h > 4) over.push([a, b]);
  }
  const out = document.createElement("pre");
  out.id = "measured";
  out.textContent = JSON.stringify({
    width: window.innerWidth, page: document.documentElement.scrollWidth, over,
    broken: [...document.images].filter(i => !i.complete || !i.naturalWidth).length,
    images: document.images.length, names: [...document.querySelectorAll("tbody th")]
      .filter(e => e.getClientRects().length && e.scrollHeight > 2 * parseFloat(getComputedStyle(e).fontSize)
        && /\\w/.test(e.textContent) && e.innerText.includes("\\n")).length});
  document.body.appendChild(out);
});
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report on twelve algorithms, with a script that measures it in its policy's place."""
    top = tmp_path_factory.mktemp("top")
    for i in range(12):
        name = "hyperband" if i == 0 else f"an_algorithm_of_a_long_name_{i}"
        for seed in range(2):
            # The badge with all their names is the longest.
            header = {"reproducible": "prefix only" if i % 2 else "whole run"}
            cost = {"n_epochs": 20 + i, "best": 0.1 + i}
            write_run(top / f"{i}-{seed}", algorithm=name, seed=seed, **cost, **header)
    return measuring(top)


@pytest.fixture(scope="module")
def until_a_deadline(tmp_path_factory):
    """The same of runs until a deadline on three tables, with what `price` measured."""
    top = tmp_path_factory.mktemp("deadline")
    for table in ("t1", "t2", "t3"):
        at = {
            "table": table,
            "model": f"{table}_table",
            "config": {"budget": {"hours": 120 / 3600}},
        }
        on_table(top / f"{table}-h", 0.5, **at)
        edited(on_table(top / f"{table}-p", 0.3, algorithm="price", **at), say)
    with pytest.MonkeyPatch.context() as patched:
        # The figures of each comparison are the other page's business.
        patched.setattr("suite.report.contents.MOST_DRAWN", 0)
        return measuring(top)


def measuring(top):
    text = (report.write([top]) / "report.html").read_text()
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    path = top / "measured.html"
    path.write_text(text.replace("</main>", f"</main><script>{MEASURE}</script>"))
    return path


def measured(page, width, profile):
    command = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
        f"--window-size={width},1000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    return json.loads(html.unescape(re.search(r'<pre id="measured">(.*?)</pre>', dumped)[1]))


@pytest.mark.parametrize("width", [500, 900, 1400])
def test_the_page_fits_its_window(page, tmp_path, width):
    found = measured(page, width, tmp_path)
    assert found["width"] == width
    assert found["page"] <= width
    assert found["over"] == []
    assert (found["broken"], found["images"]) == (0, 4)
    assert found["names"] == 0


@pytest.mark.parametrize("width", [500, 1400])
def test_the_chapters_on_deadlines_fit_their_window(until_a_deadline, tmp_path, width):
    found = measured(until_a_deadline, width, tmp_path)
    assert found["page"] <= width
    assert found["over"] == []
    assert found["broken"] == 0
