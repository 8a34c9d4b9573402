"""The page of one submission: the verdict of each rule, of it and of each of its runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from suite.check.findings import OF_PACKAGE, OF_RUN, Finding, Status
from suite.check.run import CheckedRun, worst
from suite.core.escaping import for_html as escape
from suite.leaderboard.entries import Entry
from suite.leaderboard.numbers import HEADS, run_cell
from suite.leaderboard.sections import DIVISIONS, STATUS, system_card
from suite.leaderboard.shell import WORDS, badges, page, table, word

MOST_RUNS = 500
"""Runs whose findings are listed in words; of further ones the table of verdicts has a row."""


def submission_page(entry: Entry) -> str:
    """All that was found."""
    counts = Counter(finding.status for finding in entry.findings)
    about = f"{entry.division} division, without a level"
    if entry.level is not None:
        words = DIVISIONS.get(entry.division, "")
        about = f"level {entry.level}, {entry.division} division: {words}"
    loud = [label for label in entry.labels if label != "real data"]
    n = ", ".join(f"{counts[status]} {text}" for status, text in _COUNTED)
    body = [
        f'<header><p class="brand"><a href="index.html">swiftbench leaderboard</a></p>'
        f"<h1>{escape(entry.title)}</h1>"
        f'<p class="sub">{escape(about)}</p>{badges(entry.labels, loud)}'
        f"<p>{word(entry.status)} {escape(STATUS[entry.status])}: {escape(n)}.</p></header>",
        f'<section><h2>Rules of the submission</h2>{_findings(entry.checked.findings, OF_PACKAGE)}</section>',
        f'<section><h2>Rules of each run</h2>{_matrix(entry.checked.runs)}{_legend()}</section>',
        f'<section><h2>Runs</h2>{_figures(entry.checked.runs)}{_in_words(entry.checked.runs)}</section>',
        f'<section><h2>System</h2><div class="systems"><div class="card">{system_card(entry)}</div></div>'
        "</section>",
    ]  # fmt: skip
    return page(entry.title, body)


_COUNTED: tuple[tuple[Status, str], ...] = (
    ("pass", "rules hold"),
    ("fail", "are broken"),
    ("skip", "could not be looked at here"),
    ("unprovable", "no journal can show"),
)


def _findings(findings: Sequence[Finding], says: dict[str, str]) -> str:
    rows = [
        f'<tr><th scope="row">{escape(one.rule)}<small>{escape(says.get(one.rule, ""))}</small></th>'
        f'<td class="l v">{word(one.status, WORDS[one.status])}</td><td>{one.line or ""}</td>'
        f'<td class="l">{escape(one.text)}</td></tr>'
        for one in findings
    ]
    return table(["rule", "verdict", "line", "what was seen"], rows, "rules")


def _matrix(runs: Sequence[CheckedRun]) -> str:
    """A row a run, a column a rule; each word has what was seen as its title."""
    rows = []
    for run in runs:
        of = {one.rule: one for one in run.findings}
        cells = "".join(
            f"<td>{word(of[rule].status, WORDS[of[rule].status], of[rule].text)}</td>"
            if rule in of
            else "<td></td>"
            for rule in OF_RUN
        )
        rows.append(
            f'<tr><th scope="row">{escape(_name(run))}<small>{escape(run.place)}</small></th>{cells}</tr>'
        )
    inside = "".join(
        f'<th class="turn" title="{escape(text)}"><span>{escape(rule)}</span></th>'
        for rule, text in OF_RUN.items()
    )
    return (
        '<div class="scroll"><table class="matrix"><thead><tr><th>run</th>'
        f"{inside}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _legend() -> str:
    return (
        '<p class="caption">pass: it holds. FAIL: it is broken. skip: it could not be looked at here, '
        "and could elsewhere. open: no journal can show it; training again, the batch "
        "system or a signature can.</p>"
    )


def _name(run: CheckedRun) -> str:
    seed = "" if run.seed is None else f", seed {run.seed}"
    ended = f", {run.cut_short}" if run.cut_short else ""
    return f"{run.algorithm or 'not readable'}{seed}{ended}"


def _figures(runs: Sequence[CheckedRun]) -> str:
    names = [
        name for name in HEADS if any(run.figures.get(name, (None,))[0] is not None for run in runs)
    ]
    rows = []
    for run in runs:
        cells = [run_cell(run.figures.get(name, (None, ""))) for name in names]
        status = {"unprovable": "pass"}.get(worst(run.findings), worst(run.findings))
        rows.append(
            f'<tr><th scope="row">{escape(_name(run))}</th><td class="l v">{word(status, WORDS[status])}</td>'
            f"{''.join(cells)}</tr>"
        )
    return table(["run", "verdict", *(escape(HEADS[name]) for name in names)], rows, "sortable")


def _in_words(runs: Sequence[CheckedRun]) -> str:
    parts = []
    for run in runs[:MOST_RUNS]:
        opened = " open" if worst(run.findings) == "fail" else ""
        parts.append(
            f"<details{opened}><summary>{escape(_name(run))}: what was seen, rule by rule</summary>"
            f"{_findings(run.findings, OF_RUN)}</details>"
        )
    return f'<div class="reading">{"".join(parts)}</div>'
