"""The site in a browser, from disk: it fits its window at three widths, filters without a server, and can
be read in light and dark."""

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
  const field = form.querySelector("input"), pen = document.createElement("canvas").getContext("2d");
  const style = getComputedStyle(field);
  const inside = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
  pen.font = style.font;
  const clears = parseFloat(style.fontSize);  // a search field keeps the room of the button that clears it
  const hint = pen.measureText(field.placeholder).width, room = field.clientWidth - inside - clears;
  const part = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r / 255) + 0.7152 * part(g / 255) + 0.0722 * part(b / 255);
  const rgb = colour => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data]; };
  const behind = one => { const here = one && rgb(getComputedStyle(one).backgroundColor);
    return !one ? rgb("Canvas") : here[3] > 127 ? here : behind(one.parentElement); };
  const contrast = (colour, one) => { const [a, b] = [light(rgb(colour)), light(behind(one))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); };
  const texts = [...document.querySelectorAll("main *")].filter(one => one.getBoundingClientRect().width
    && [...one.childNodes].some(child => child.nodeType == 3 && child.data.trim()));
  const faint = texts.map(one => [contrast(getComputedStyle(one).color, one), one.outerHTML.slice(0, 80)]);
  faint.push([contrast(getComputedStyle(field, "::placeholder").color, field), "placeholder"]);
  faint.sort((a, b) => a[0] - b[0]);
  const out = document.createElement("pre");
  out.id = "measured";
  out.textContent = JSON.stringify({all, hyperband, both, none, said, empty, again: shown(),
    orders, hint, room, faint: faint[0], dark: matchMedia("(prefers-color-scheme: dark)").matches,
    n_texts: texts.length, form: !form.hidden, width: window.innerWidth,
    page: document.documentElement.scrollWidth});
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


def measured(board, profile, *options):
    """What the script above found."""
    command = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", *options,
        "--dump-dom", board.as_uri(),
    ]  # fmt: skip
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    return json.loads(html.unescape(re.search(r'<pre id="measured">(.*?)</pre>', dumped)[1]))


@pytest.mark.parametrize("width", [500, 900, 1400])
def test_the_board_fits_its_window_and_filters(board, tmp_path, width):
    found = measured(board, tmp_path, f"--window-size={width},1000")
    assert found["page"] <= found["width"] == width
    assert found["hint"] <= found["room"]
    assert found["form"] and found["all"] == found["both"] == found["again"] == 2
    assert (found["hyperband"], found["none"], found["said"]) == (1, 0, "0 of 2 submissions")
    assert found["empty"] == 1
    assert found["orders"] == ["ascending", "descending", "descending"]


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_what_is_behind_it(board, tmp_path, dark):
    """By 4.5 to 1 at least, as WCAG's level AA asks of text of this size."""
    found = measured(board, tmp_path, f"--blink-settings=preferredColorScheme={0 if dark else 1}")
    assert found["dark"] is dark and found["n_texts"] > 50
    assert found["faint"][0] >= 4.5, found["faint"]
