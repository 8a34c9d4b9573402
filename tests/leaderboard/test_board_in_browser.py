"""The site in a browser, from disk: it fits its window at three widths, and filters without a server."""

import html
import json
import re
import shutil
import subprocess

import pytest

from kit.submissions import SIMULATED, run, submission
from suite.leaderboard import __main__ as door

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium=absent: apt install chromium"),
]

MEASURE = """
window.addEventListener("load", () => {
  const shown = () => [...document.querySelectorAll("[data-all]")].filter(r => !r.hidden).length;
  const form = document.querySelector(".filters"), all = shown();
  const pick = (name, value) => { form.querySelector(`[name=${name}]`).value = value;
    form.dispatchEvent(new Event("input", {bubbles: true})); return shown(); };
  const hyperband = pick("algorithm", "hyperband"), both = pick("algorithm", "");
  form.querySelector("input").value = "no such machine";
  form.dispatchEvent(new Event("input", {bubbles: true}));
  const none = shown(), said = form.querySelector("output").textContent;
  const empty = [...document.querySelectorAll("[data-holds] > .empty")].filter(p => !p.hidden).length;
  form.querySelector("input").value = "test machine";
  form.dispatchEvent(new Event("input", {bubbles: true}));
  const head = document.querySelector("table.sortable thead th"), orders = [];
  for (const key of ["Enter", " ", "a"]) {
    head.focus();
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
    orders.push(head.getAttribute("aria-sort"));
  }
  const out = document.createElement("pre");
  out.id = "measured";
  out.textContent = JSON.stringify({all, hyperband, both, none, said, empty, again: shown(),
    orders, form: !form.hidden, width: window.innerWidth, page: document.documentElement.scrollWidth});
  document.body.appendChild(out);
});
"""


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A board of two submissions; a script that measures it stands in its policy's place."""
    top = tmp_path_factory.mktemp("board")
    words = [word.replace("=16", "=4") for word in SIMULATED]
    other = [word.replace("algorithm=swift_svr", "algorithm=hyperband") for word in words]
    for name, of in (("a", words), ("b", other)):
        of = [word for word in of if not (word.startswith("common.") and name == "b")]
        submission(top / "subs" / name, [run(top / "runs" / name, of)])
    (top / "subs" / "system.yaml").unlink()
    assert door.main([str(top / "subs"), "--to", str(top / "site")]) == 0
    text = (top / "site" / "index.html").read_text()
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    path = top / "measured.html"
    path.write_text(text.replace("</main>", f"</main><script>{MEASURE}</script>"))
    return path


@pytest.mark.parametrize("width", [500, 900, 1400])
def test_the_board_fits_its_window_and_filters(board, tmp_path, width):
    command = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
        f"--window-size={width},1000", "--dump-dom", board.as_uri(),
    ]  # fmt: skip
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = json.loads(html.unescape(re.search(r'<pre id="measured">(.*?)</pre>', dumped)[1]))
    assert found["page"] <= found["width"] == width
    assert found["form"] and found["all"] == found["both"] == found["again"] == 2
    assert (found["hyperband"], found["none"], found["said"]) == (1, 0, "0 of 2 submissions")
    assert found["empty"] == 1
    assert found["orders"] == ["ascending", "descending", "descending"]
