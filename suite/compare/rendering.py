"""A comparison as text for a terminal, as Markdown, and as one HTML page without a script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from suite.compare.machines import in_words
from suite.compare.page import Comparison, Table
from suite.core.escaping import for_html, for_markdown
from suite.core.printable import printable

_CSS = """
:root{--ink:#22262b;--quiet:#5c6570;--line:#ddddd6;--paper:#fcfcfa;--loud:#b4430e;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--ink:#dfe2e6;--quiet:#949ca8;--line:#2d3239;--paper:#15181c;
--loud:#f0a070}}
body{margin:0 auto;max-width:75rem;padding:2rem 1.2rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,"Segoe UI",Roboto,Arial,sans-serif}
h1{font-size:1.4rem;margin:0 0 1.2rem}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .8rem .3rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
tbody th{font-weight:600;white-space:nowrap}thead th{font-weight:500;color:var(--quiet)}
td{overflow-wrap:anywhere;min-width:5rem}
.differs td{color:var(--loud)}
p,li{color:var(--quiet);font-size:.88rem;margin:.5rem 0 0;max-width:60rem;overflow-wrap:anywhere}
.mark{color:var(--loud);font-weight:600}
"""


def as_text(said: Comparison) -> str:
    """For a terminal: columns are aligned."""
    return "\n".join(map(printable, _lines(said)))


def _lines(said: Comparison) -> Iterator[str]:
    yield said.headline
    for label, name, kinds in said.sides:
        yield f"{label}: {name}"
        yield from (f"   {in_words(kind)}" for kind in kinds)
    yield from said.marks
    for table in said.tables:
        yield ""
        yield table.title
        widths = [max(map(len, column)) for column in zip(*table.cells, strict=True)]
        for line in table.cells:
            padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            yield "  " + "  ".join(padded).rstrip()
        yield from (f"  {foot}" for foot in table.feet)
        yield from (f"  note: {note}" for note in table.notes)
    if said.verdicts:
        yield from ("", "reference values (medians):", *(f"  {line}" for line in said.verdicts))


def _beside(said: Comparison) -> list[list[str]]:
    """Machines beside each other: a row a fact, a column a side."""
    of_sides = [_united(kinds) for _, _, kinds in said.sides]
    names = dict.fromkeys(name for facts in of_sides for name in facts)
    return [
        ["machine", *(label for label, _, _ in said.sides)],
        ["runs of", *(name for _, name, _ in said.sides)],
        *([name, *(facts.get(name, "-") for facts in of_sides)] for name in names),
    ]


def _united(kinds: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Several kinds of machine of one side in one column."""
    names = dict.fromkeys(name for kind in kinds for name in kind)
    return {
        name: " | ".join(dict.fromkeys(kind.get(name, "-") for kind in kinds)) for name in names
    }


def as_markdown(said: Comparison) -> str:
    """For an issue or a page: text of records is never markup."""
    blocks = [f"# {for_markdown(said.headline)}", _markdown_table(_beside(said))]
    blocks += [f"**{for_markdown(mark)}**" for mark in said.marks]
    for table in said.tables:
        blocks += [f"## {for_markdown(table.title)}", _markdown_table(table.cells)]
        blocks.append("\n".join(f"- {for_markdown(line)}" for line in (*table.feet, *table.notes)))
    if said.verdicts:
        blocks.append("## Reference values (medians)")
        blocks.append("\n".join(f"- {for_markdown(line)}" for line in said.verdicts))
    return "\n\n".join(blocks)


def _markdown_table(cells: Sequence[Sequence[str]]) -> str:
    head, *rows = (f"| {' | '.join(map(for_markdown, line))} |" for line in cells)
    return "\n".join([head, "|" + "---|" * len(cells[0]), *rows])


def as_html(said: Comparison) -> str:
    """One file without a script and without anything that is loaded."""
    body = [f"<h1>{for_html(said.headline)}</h1>", _html_table(_beside(said), marked=True)]
    body += [f'<p class="mark">{for_html(mark)}</p>' for mark in said.marks]
    for table in said.tables:
        body += [f"<h2>{for_html(table.title)}</h2>", _html_table(table.cells), _list(table)]
    if said.verdicts:
        items = "".join(f"<li>{for_html(line)}</li>" for line in said.verdicts)
        body.append(f"<h2>Reference values (medians)</h2><ul>{items}</ul>")
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{for_html(said.headline)}</title><style>{_CSS}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>"
    )


def _html_table(cells: Sequence[Sequence[str]], *, marked: bool = False) -> str:
    """marked: rows whose values differ are coloured."""
    head, *rows = cells
    lines = ["".join(f"<th>{for_html(cell)}</th>" for cell in head)]
    parts = [f"<thead><tr>{lines[0]}</tr></thead><tbody>"]
    for name, *values in rows:
        differs = (
            ' class="differs"' if marked and len(set(values)) > 1 and name != "runs of" else ""
        )
        inside = "".join(f"<td>{for_html(value)}</td>" for value in values)
        parts.append(f'<tr{differs}><th scope="row">{for_html(name)}</th>{inside}</tr>')
    return f'<div class="scroll"><table>{"".join(parts)}</tbody></table></div>'


def _list(table: Table) -> str:
    items = "".join(f"<li>{for_html(line)}</li>" for line in (*table.feet, *table.notes))
    return f"<ul>{items}</ul>"
