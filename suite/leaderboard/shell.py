"""What all pages of a board have in common: head, policy, style, the script of the filters, badges."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence

from suite import __version__
from suite.core.escaping import for_html as escape
from suite.report.html_style import CSS, SCRIPT

_MORE_CSS = """
main{max-width:92rem}
h3{font-size:1.08rem;margin:2rem 0 .5rem}
h3 .badge{display:inline-block;margin-left:.5rem;vertical-align:.12em;font-weight:500}
.word{display:inline-block;font-size:.78rem;font-weight:600;padding:.02rem .45rem;border-radius:.3rem;
border:1px solid var(--line);color:var(--quiet);white-space:nowrap}
.word.pass,.word.counted{color:#1a7f4b;border-color:#1a7f4b66}
.word.fail,.word.broken,.word.disputed{color:var(--loud);border-color:var(--loud);background:var(--loudbg)}
@media(prefers-color-scheme:dark){.word.pass,.word.counted{color:#6fcf97;border-color:#6fcf9755}}
.filters{display:flex;flex-wrap:wrap;gap:.6rem 1rem;margin:1.6rem 0 0;padding:.9rem 1.1rem;
background:var(--notebg);border-radius:.5rem;align-items:end}
.filters label{display:grid;gap:.15rem;font-size:.78rem;color:var(--quiet)}
.filters select,.filters input{font:inherit;font-size:.88rem;padding:.25rem .4rem;
border:1px solid var(--line);border-radius:.3rem;background:var(--card);color:var(--ink);max-width:15rem}
.filters input{width:15rem}.filters input::placeholder{color:var(--quiet);opacity:1}
.filters output{font-size:.84rem;color:var(--quiet);margin-left:auto}
td .name,th .name{max-width:24rem;white-space:normal;overflow-wrap:anywhere}
tbody th{white-space:normal;min-width:9rem;max-width:20rem;overflow-wrap:anywhere}
td.l{white-space:normal;overflow-wrap:anywhere;min-width:8.5rem}td.l.v{min-width:0;white-space:nowrap}td:first-child{text-align:left}
section>.sub+dl{margin-top:.7rem}
td.l small,th small{white-space:normal;font-weight:400;color:var(--quiet);display:block}
thead th.l{text-align:left}
th .labels{margin-top:.25rem}th .badge{font-weight:400;font-size:.74rem;padding:.02rem .45rem}
.labels{display:flex;flex-wrap:wrap;gap:.25rem}
.empty{color:var(--quiet);font-size:.9rem}
.systems{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(24rem,100%),1fr));gap:1rem;margin-top:1rem}
.systems .card{max-width:none}.systems h4{overflow-wrap:anywhere}
.systems .card dl{grid-template-columns:fit-content(9rem) minmax(0,1fr)}
.rules td.l{max-width:46rem}
.rules tbody th{position:static}
.matrix th.turn{height:7.6rem;text-align:center;vertical-align:bottom;padding:.3rem .2rem}
.matrix th.turn span{writing-mode:vertical-rl;transform:rotate(180deg);display:inline-block}
.matrix td{text-align:center;padding:.3rem .15rem}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(34rem,100%),1fr));gap:1rem}
.plots figure img{min-width:0}
[hidden]{display:none!important}
"""

FILTER = """
(() => {
  const form = document.querySelector(".filters");
  if (!form) return;
  const rows = [...document.querySelectorAll("[data-all]")];
  const apply = () => {
    const wanted = [...form.querySelectorAll("select")].map(s => [s.name, s.value]).filter(p => p[1]);
    const words = form.querySelector("input").value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = new Set();
    rows.forEach(row => {
      const fits = wanted.every(([name, value]) => !(name in row.dataset)
          || row.dataset[name].split("\\n").includes(value))
        && words.every(word => row.dataset.all.includes(word));
      row.hidden = !fits;
      if (fits) shown.add(row.dataset.entry);
    });
    document.querySelectorAll("[data-holds]").forEach(part => {
      part.querySelector(".empty").hidden = [...part.querySelectorAll("[data-all]")].some(row => !row.hidden);
    });
    form.querySelector("output").textContent = shown.size + " of " + form.dataset.n + " submissions";
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", event => event.preventDefault());
  form.hidden = false;
  apply();
})();
"""


def page(title: str, body: Sequence[str], *, filters: bool = False) -> str:
    """A whole page. The policy in its head loads nothing and runs only the suite's own scripts."""
    scripts = [SCRIPT, FILTER] if filters else [SCRIPT]
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'"
        for one in scripts
    )
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src {digests}; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)} · swiftbench</title><style>{CSS}{_MORE_CSS}</style></head><body><main>\n"
        + "\n".join(body)
        + f"\n<footer>swiftbench {escape(__version__)}. Every submission was checked again by this program "
        "when the page was made; nothing that a submission says of itself counts. Verdicts for programs: "
        '<a href="check.json">check.json</a>.</footer></main>'
        + "".join(f"<script>{one}</script>" for one in scripts)
        + "</body></html>\n"
    )


WORDS = {"pass": "pass", "fail": "FAIL", "skip": "skip", "unprovable": "open"}
"""Status of a finding -> the word that docs/submissions.md explains."""


def word(kind: str, text: str | None = None, title: str = "") -> str:
    """A verdict. kind: of the suite's own words."""
    about = f' title="{escape(title)}"' if title else ""
    return f'<span class="word {escape(kind)}"{about}>{escape(text or kind)}</span>'


def badges(labels: Sequence[str], loud: Sequence[str] = ()) -> str:
    """Labels as badges."""
    one = "".join(
        f'<span class="badge{" loud" if label in loud else ""}">{escape(label)}</span>'
        for label in labels
    )
    return f'<span class="labels">{one}</span>'


def facts(values: Mapping[str, object]) -> str:
    """A list of names and values; what is empty is left out."""
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
        for name, value in values.items()
        if value not in (None, "", [])
    )
    return f"<dl>{rows}</dl>"


_WORDS_BELOW = ("machine", "algorithm", "verdict", "joules of a", "run", "rule", "what was seen")
"""Heads of columns of words: they stand left, as these do."""


def table(heads: Sequence[str], rows: Sequence[str], kind: str = "") -> str:
    """heads, rows: HTML, made of escaped text."""
    inside = "".join(
        f'<th class="l">{head}</th>' if head in _WORDS_BELOW else f"<th>{head}</th>"
        for head in heads
    )
    return (
        f'<div class="scroll"><table class="{escape(kind)}"><thead><tr>{inside}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
