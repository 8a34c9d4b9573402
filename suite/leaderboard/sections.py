"""The index of a board: a section a level, a part a division; scores, figures, energy, plots, systems."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from suite.check.findings import Asked
from suite.check.levels import Level, levels, ratios
from suite.core.escaping import for_html as escape
from suite.leaderboard import plots
from suite.leaderboard.entries import Board, Entry, Result
from suite.leaderboard.numbers import HEADS, figure_cell, shown
from suite.leaderboard.shell import badges, facts, page, table, word

STATUS = {
    "counted": "every rule that can be looked at holds",
    "open": "nothing is broken, and something could not be looked at here",
    "broken": "a rule is broken; its numbers are not counted",
    "disputed": "a run of it stands in another submission too; neither is counted until that is settled",
}
DIVISIONS = {
    "closed": "the level's own work, setting by setting; only the machine differs",
    "open": "the level's target with any algorithm",
}
_OF_TARGET = ("seconds_to_target", "node_hours_to_target", "joules_to_target")
_FIGURES = tuple(name for name in HEADS if "joules" not in name)
_OF_ENERGY = ("joules_to_target", "joules")


def index(board: Board, asked: Asked, title: str, label: str) -> str:
    """The first page. label: what the whole board is, said in its head; empty: nothing."""
    known = levels()
    names = [*known, *sorted({e.level for e in board.entries if e.level and e.level not in known})]
    body = [_head(board, asked, title, label), _filters(board.entries)]
    for name in names:
        if of := [entry for entry in board.entries if entry.level == name]:
            body.append(_level(known.get(name), name, of))
    if of := [entry for entry in board.entries if entry.level is None]:
        body.append(_level(None, None, of))
    body += [_left_out(board), _systems(board.entries)]
    return page(title, body, filters=True)


def _head(board: Board, asked: Asked, title: str, label: str) -> str:
    n = {status: sum(entry.status == status for entry in board.entries) for status in STATUS}
    n_runs = sum(len(entry.checked.runs) for entry in board.entries)
    facts_ = [_plural(len(board.entries), "submission"), _plural(n_runs, "run")]
    facts_ += [f"{n[status]} {status}" for status in STATUS if n[status]]
    again = "no trial was trained again"
    if asked.retrain:
        again = f"{asked.retrain} drawn trials of each real run trained again (draw {asked.draw})"
    words = "".join(
        f"<dt>{word(kind)}</dt><dd>{escape(text)}</dd>" for kind, text in STATUS.items()
    )
    said = f'<aside class="warn">{escape(label)}</aside>' if label else ""
    return (
        '<header><p class="brand">swiftbench leaderboard</p>'
        f'<h1>{escape(title)}</h1><p class="sub">{escape(" · ".join([*facts_, again]))}</p>{said}'
        '<details class="reading"><summary>How to read this page</summary><dl>'
        f"{words}<dt>score</dt><dd>geometric mean, over the level's algorithms, of the reference machine's "
        "seconds to the target divided by this machine's, each the median of the repeats: 2 is twice as fast"
        "</dd><dt>range</dt><dd>below a median: the smallest and largest of the runs</dd></dl></details>"
        "</header>"
    )


def _plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' * (n != 1)}"


# --- filters ---------------------------------------------------------------------------------------


def _filters(entries: Sequence[Entry]) -> str:
    """Hidden without the script, which shows it."""
    choices = {
        "level": [entry.level or "none" for entry in entries],
        "division": [entry.division for entry in entries],
        "status": [entry.status for entry in entries],
        "data": [label for entry in entries for label in entry.labels],
        "algorithm": [result.algorithm for entry in entries for result in entry.results],
    }
    parts = []
    for name, values in choices.items():
        options = "".join(
            f'<option value="{escape(value)}">{escape(value)}</option>'
            for value in sorted(set(values))
        )
        parts.append(
            f'<label>{escape(name)}<select name="{escape(name)}"><option value="">all</option>{options}'
            "</select></label>"
        )
    return (
        f'<form class="filters" hidden data-n="{len(entries)}">{"".join(parts)}'
        '<label>words<input type="search" placeholder="machine, site, processor"></label>'
        "<output></output></form>"
    )


def _row(entry: Entry, cells: str, result: Result | None = None) -> str:
    """A row that the filters see. Newlines part values: no text of a submission holds one here."""
    algorithms = [result.algorithm] if result else [one.algorithm for one in entry.results]
    system = entry.checked.system
    text = " ".join(
        map(
            str,
            (entry.title, entry.checked.name, entry.checked.first.get("site"), hardware(system)),
        )
    )
    values: Mapping[str, Sequence[str]] = {
        "entry": [str(entry.number)],
        "level": [entry.level or "none"],
        "division": [entry.division],
        "status": [entry.status],
        "data": entry.labels,
        "algorithm": algorithms,
        "all": [text.lower()],
    }
    data = "".join(f' data-{key}="{_parted(of)}"' for key, of in values.items())
    return f"<tr{data}>{cells}</tr>"


def _parted(values: Sequence[str]) -> str:
    return "&#10;".join(map(escape, values))


# --- a level ---------------------------------------------------------------------------------------


def _level(level: Level | None, name: str | None, entries: Sequence[Entry]) -> str:
    if name is None:
        title, about = "Without a level", "checked as they are, and compared with nothing"
    elif level is None:
        title, about = f"Level {name}", "this version knows no such level"
    else:
        title, about = f"Level {level.title}", level.about
    parts = [f"<section><h2>{escape(title)}</h2>", f'<p class="sub">{escape(about)}</p>']
    if level is not None:
        parts.append(_of_level(level))
    for division, words in DIVISIONS.items():
        if of := [entry for entry in entries if entry.division == division]:
            badge = f'<span class="badge">{escape(words)}</span>' if level is not None else ""
            parts.append(f"<h3>{escape(division.capitalize())} division{badge}</h3>")
            parts += _division(level, of)
    return "".join([*parts, "</section>"])


def _of_level(level: Level) -> str:
    reference = ", ".join(f"{name} {shown(value, 's')}" for name, value in level.reference.items())
    return facts({
        "work": f"swiftbench run {' '.join(level.command)}",
        "target value": "none is fixed: nothing is scored" if level.target is None else f"{level.target:g}",
        "repeats": f"{level.repeats} runs of each algorithm",
        "reference": reference or "not measured: no score is computed",
        "reference machine": level.machine,
    })  # fmt: skip


def _division(level: Level | None, entries: Sequence[Entry]) -> Iterator[str]:
    ordered = ranked(entries)
    counted = [entry for entry in ordered if entry.status in ("counted", "open")]
    if level is not None:
        yield _scores(level, ordered)
    names = [name for name in _FIGURES if level is not None or name not in _OF_TARGET]
    if not counted:
        yield '<p class="empty">No submission here is counted, so there are no figures.</p>'
        return
    yield '<h4 class="label">Figures of merit</h4>' + _figures(counted, names)
    yield '<h4 class="label">Energy</h4>' + _energy(counted, level is not None)
    if level is not None:
        drawn = [entry for entry in counted if entry.status == "counted"]
        if (figure := plots.scaling(drawn)) is not None:
            yield (
                '<h4 class="label">Scaling</h4><figure><div class="frame">'
                f'<img alt="Seconds to the target over the size of the machine" src="{figure}">'
                "</div></figure>"
            )


def ranked(entries: Sequence[Entry]) -> list[Entry]:
    """Counted ones first, by score; without one by the fewest seconds to the target; then by name."""
    order = list(STATUS)

    def key(entry: Entry) -> tuple[int, float, float, str, int]:
        known = [result.median("seconds_to_target") for result in entry.results]
        seconds = min((value for value in known if value is not None), default=math.inf)
        score = entry.checked.score or 0.0
        return order.index(entry.status), -score, seconds, entry.title, entry.number

    return sorted(entries, key=key)


def _scores(level: Level, entries: Sequence[Entry]) -> str:
    """One row a submission, with the seconds of each algorithm."""
    algorithms = sorted({result.algorithm for entry in entries for result in entry.results})
    heads = ["rank", "machine", "verdict", "nodes", "workers", "score"]
    heads += [f"{escape(name)}<small>seconds to target</small>" for name in algorithms]
    rows, place = [], 0
    for entry in entries:
        counts = entry.status == "counted" and entry.checked.score is not None
        place += counts
        of = {result.algorithm: result for result in entry.results}
        against = ratios(
            level, {name: result.median("seconds_to_target") for name, result in of.items()}
        )
        score = f"{entry.checked.score:.3f}" if counts and entry.checked.score is not None else "-"
        cells = [
            f"<td>{place if counts else '-'}</td>", _named(entry),
            f'<td class="l v">{word(entry.status, title=STATUS[entry.status])}</td>',
            f"<td>{entry.nodes or '-'}</td><td>{entry.workers or '-'}</td><td>{score}</td>",
        ]  # fmt: skip
        for name in algorithms:
            cells.append(_seconds(of.get(name), against.get(name), entry))
        rows.append(_row(entry, "".join(cells)))
    return _holding('<h4 class="label">Scores</h4>', table(heads, rows, "sortable"))


def _seconds(result: Result | None, ratio: float | None, entry: Entry) -> str:
    """A cell of seconds; numbers of a broken or disputed submission are not shown beside others'."""
    if result is None or entry.status in ("broken", "disputed"):
        return '<td data-v="">-</td>'
    cell = figure_cell(result, "seconds_to_target")
    if ratio is not None:
        cell = cell.replace("</td>", f"<small>{ratio:.2f} x reference</small></td>")
    return cell


def _figures(entries: Sequence[Entry], names: Sequence[str]) -> str:
    heads = ["machine", "algorithm", "workers", "n", *(escape(HEADS[name]) for name in names)]
    rows = [
        _row(
            entry,
            f'{_named(entry)}<td class="l">{escape(result.algorithm)}</td><td>{entry.workers}</td>'
            f"<td>{result.n}</td>" + "".join(figure_cell(result, name) for name in names),
            result,
        )
        for entry in entries
        for result in entry.results
    ]
    return _holding("", table(heads, rows, "sortable"))


def _energy(entries: Sequence[Entry], aimed: bool) -> str:
    """Rows of one scope stand together: joules of a device are not those of a package."""
    metered = [
        (r.scope or "", e, r) for e in entries for r in e.results if r.median("joules") is not None
    ]
    if not metered:
        return '<p class="empty">No run here had a meter.</p>'
    names = _OF_ENERGY if aimed else ("joules",)
    rows = [
        _row(
            entry,
            f'<td class="l">{escape(scope or "unlike scopes")}</td>{_named(entry)}'
            f'<td class="l">{escape(result.algorithm)}</td><td>{result.n}</td>'
            + "".join(figure_cell(result, name) for name in names),
            result,
        )
        for scope, entry, result in sorted(
            metered, key=lambda one: (one[0], one[2].median(names[0]) or 0.0)
        )
    ]
    heads = ["joules of a", "machine", "algorithm", "n", *(escape(HEADS[name]) for name in names)]
    return _holding("", table(heads, rows, "sortable"))


def _holding(head: str, inside: str) -> str:
    """A part of rows, with what is said where the filters hide all of them."""
    return (
        f'<div data-holds>{head}{inside}<p class="empty" hidden>No row fits the filters.</p></div>'
    )


def _named(entry: Entry) -> str:
    site = entry.checked.first.get("site")
    below = " · ".join(filter(None, (str(site or ""), hardware(entry.checked.system))))
    return (
        f'<th scope="row"><a href="{entry.page}">{escape(entry.title)}</a>'
        f"<small>{escape(below)}</small>{_labels(entry, but='real data')}</th>"
    )


def _labels(entry: Entry, but: str = "") -> str:
    # In the open division such a run counts, for what it had reached.
    ended = sorted({f"{run.cut_short} run" for run in entry.checked.runs if run.cut_short})
    loud = [*(label for label in entry.labels if label != "real data"), *ended]
    return badges([*(label for label in entry.labels if label != but), *ended], loud)


def hardware(system: Mapping[str, object]) -> str:
    """Processors and accelerators of a node, in a line; of a system that its schema has checked."""
    node = system.get("node")
    if not isinstance(node, Mapping):
        return ""
    parts = [
        f"{one['count']} x {one['model']}"
        for one in (*node["processors"], *node.get("accelerators", ()))
    ]
    return ", ".join(parts)


# --- what is not counted, and systems --------------------------------------------------------------


def _left_out(board: Board) -> str:
    lines = []
    for entry in board.entries:
        bad = [one for one in entry.findings if one.status == "fail"]
        skipped = [one for one in entry.findings if one.status == "skip"]
        for one in (bad or skipped)[:1]:
            more = len(bad or skipped) - 1
            lines.append(
                f'<li>{word(entry.status)} <a href="{entry.page}">{escape(entry.title)}</a> '
                f"({escape(entry.checked.name)}): {escape(one.rule)}: {escape(one.text)}"
                + (f"; and {more} more" if more else "") + "</li>"
            )  # fmt: skip
        if not (bad or skipped) and entry.status == "disputed":
            others = [e.checked.name for e in board.entries if entry.number in e.checked.same_as]
            lines.append(
                f'<li>{word(entry.status)} <a href="{entry.page}">{escape(entry.title)}</a> '
                f"({escape(entry.checked.name)}): a run of it stands in {escape(', '.join(others))} too</li>"
            )
    lines += [
        f"<li>{escape(name)}: is no submission, or a link; it was not opened</li>"
        for name in board.passed_over
    ]
    if not lines:
        return ""
    return f'<section><h2>Not counted</h2><ul class="tests">{"".join(lines)}</ul></section>'


def _systems(entries: Sequence[Entry]) -> str:
    cards = "".join(f'<div class="card">{system_card(entry, link=True)}</div>' for entry in entries)
    return (
        '<section><h2>Systems</h2><p class="sub">as their owners describe them</p>'
        f'<div class="systems">{cards}</div></section>'
    )


def system_card(entry: Entry, *, link: bool = False) -> str:
    """A machine as its owner describes it, with what its submission says of itself."""
    system, first = entry.checked.system, entry.checked.first
    name = f'<a href="{entry.page}">{escape(entry.title)}</a>' if link else escape(entry.title)
    software = system.get("software")
    values: dict[str, object] = {
        "owner": system.get("owner"),
        "status": system.get("status"),
        "nodes": system.get("nodes"),
        "a node": hardware(system),
        "memory of a node": _unit((system.get("node") or {}).get("memory_gb"), "GB"),
        "network": system.get("network"),
        "storage": system.get("storage"),
        "software": ", ".join(f"{k} {v}" for k, v in software.items())
        if isinstance(software, Mapping)
        else "",
        "power": system.get("power"),
        "notes": system.get("notes"),
        "site": first.get("site"),
        "contact": first.get("contact"),
        "image": first.get("image"),
        "suite": first.get("suite_version"),
        "submission": ", ".join((entry.checked.name, *entry.also)),
    }
    return f"<h4>{name} {word(entry.status)}</h4>{facts(values)}"


def _unit(value: object, unit: str) -> str:
    return "" if value is None else f"{value:g} {unit}"
