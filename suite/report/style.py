"""How figures look: colours that colour-blind readers tell apart, quiet axes, one footer."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from suite.core.printable import printable
from suite.report.output import write_file
from suite.report.runs import Group

DPI = 150
WIDTH = 8.0
"""Inches: 1200 pixels, which a README shows at about two thirds."""

FOOT_LINE, FOOT_MARGIN = 0.155, 0.11
"""Inches below the axes: of each line of the footer, and around them."""

_FOOT_LETTERS, _LEGEND_LETTERS = 140, 108
"""Of a line of the footer, and of the legend, by the widest font of the list."""

_COLOURS = 256

MOST_DRAWABLE = 1e100
"""Values further from zero are drawn here: a range of axes beyond it overflows."""

MOST_LETTERS, MOST_LABEL = 200, 60
"""Of a name in a figure, and beside a row: a longer one would leave no room for axes."""

INK, QUIET, FAINT, GRID, WARN = "#22262b", "#6b7280", "#9ca3af", "#e5e7eb", "#c2410c"
_BASELINE = "#4b5563"
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe, Ito 2008
_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 9.5, "axes.titlesize": 10, "axes.titleweight": "bold",
    "axes.labelsize": 9.5, "legend.fontsize": 9, "xtick.labelsize": 8.5, "ytick.labelsize": 8.5,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT, "axes.linewidth": 0.8,
    "xtick.color": FAINT, "ytick.color": FAINT,
    "xtick.labelcolor": QUIET, "ytick.labelcolor": QUIET,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.8,
    "legend.frameon": False, "figure.facecolor": "white", "axes.facecolor": "white",
}  # fmt: skip


def colours(group: Group) -> dict[str, str]:
    """One colour an algorithm: grey for the baseline, then Okabe and Ito's."""
    others = [name for name in group.algorithms if name != group.baseline]
    of_names = {name: OKABE_ITO[i % len(OKABE_ITO)] for i, name in enumerate(others)}
    return of_names | ({group.baseline: _BASELINE} if group.baseline else {})


DASHES: tuple[Any, ...] = ("-", (0, (4, 1.4)), (0, (1.2, 1.2)))
"""Of the first, second and third six algorithms: there are six colours."""


def looks(group: Group) -> dict[str, dict[str, Any]]:
    """Colour and dashes of each algorithm's line; no two of the first 19 are equal."""
    of_names = colours(group)
    others = [name for name in group.algorithms if name != group.baseline]
    dashes = {name: DASHES[min(i // 6, len(DASHES) - 1)] for i, name in enumerate(others)}
    return {
        name: {"color": of_names[name], "linestyle": dashes.get(name, "-")}
        for name in group.algorithms
    }


def integers(axis: Any) -> None:
    """Ticks at whole numbers: there is no half epoch."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))


def bracket_colours(brackets: Sequence[int | None]) -> dict[int | None, Any]:
    """One colour a bracket, dark (many short trials) to light (few long ones); grey for none."""
    from matplotlib import colormaps

    known = sorted({s for s in brackets if s is not None}, reverse=True)
    last = max(len(known) - 1, 1)
    of_brackets: dict[int | None, Any] = {
        s: colormaps["viridis"](0.05 + 0.83 * i / last) for i, s in enumerate(known)
    }
    return of_brackets | {None: "#64748b"}


def canvas(height: float) -> Any:
    """A figure of this height in inches that needs neither a display nor pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@contextlib.contextmanager
def rc() -> Iterator[None]:
    """The context in which figures are made."""
    from matplotlib import rc_context

    # A machine that lacks the first fonts of the list, or a script in all of them, is no news: what no font
    # has is drawn as a box.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def save(figure: Any, group: Group, note: str, path: Path) -> Path:
    """Write the figure with its footer: whose runs, overlap, data, what lines and bands are."""
    words = "  ·  ".join([group.title, f"overlap {group.overlap}", note])
    return footed(figure, words, group.data, group.simulated, path)


def footed(figure: Any, words: str, data: str, simulated: bool, path: Path) -> Path:
    """Write a figure, whole, with these words below it, and what its data are where they are not real.

    Raises ConfigError where the folder or the disk refuses.
    """
    height = figure.get_figheight()
    lines = textwrap.wrap(printable(words), _FOOT_LETTERS)[:3]
    n_lines = len(lines) + bool(data)
    foot = (FOOT_MARGIN + FOOT_LINE * n_lines) / height
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, rect=(0, foot, 1, 1 - foot))

    def line(number: int, text: str, **look: Any) -> None:
        figure.text(0.01, (0.05 + FOOT_LINE * number) / height, escape(text), fontsize=8, **look)

    for i, text in enumerate(reversed(lines), start=int(bool(data))):
        line(i, text, color=QUIET)
    if data:
        label = f"{data} {'DATA' if data.isupper() else 'data'}"
        line(0, label + (", SIMULATED TIME" if simulated else ""), color=WARN, weight="bold")
    return write(figure, path)


def write(figure: Any, path: Path) -> Path:
    """Write a figure as PNG, whole, in a few hundred colours: a third of the bytes.

    Raises ConfigError where the folder or the disk refuses.
    """
    from PIL import Image

    drawn, image = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    flat = Image.open(drawn).convert("RGB").quantize(_COLOURS, Image.Quantize.FASTOCTREE)
    flat.save(image, format="png", optimize=True)
    return write_file(path, image.getvalue())


def legend(figure: Any, marks: Sequence[Any], handlelength: float = 1.4) -> None:
    """Above the panels, in as many lines as its words need."""
    widths = [len(str(mark.get_label())) + 3 + handlelength for mark in marks]
    n_columns = next(n for n in range(12, 0, -1) if n == 1 or _columns(widths, n) < _LEGEND_LETTERS)
    figure.legend(
        handles=marks, loc="outside upper left", ncols=n_columns, columnspacing=1.2,
        handlelength=handlelength,
    )  # fmt: skip


def _columns(widths: Sequence[float], n: int) -> float:
    """The width of a legend of n columns, which are filled one after the other, the first ones longest."""
    n = min(n, len(widths))
    n_rows, n_longer = divmod(len(widths), max(n, 1))
    total, at = 0.0, 0
    for column in range(n):
        end = at + n_rows + (column < n_longer)
        total, at = total + max(widths[at:end]), end
    return total


def title(axes: Any, name: str, note: str, below: bool = False) -> None:
    """A panel's title: the name in bold, what is said of it quietly beside or below it."""
    axes.set_title(escape(name), loc="left", pad=19 if below else 6)
    if below:
        axes.annotate(
            note, (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points",
            fontsize=8.5, color=QUIET,
        )  # fmt: skip
    else:
        axes.set_title(note, loc="right", fontsize=8.5, color=QUIET, weight="normal")


def escape(text: str) -> str:
    """Text from a journal as it is: no $mathematics$, no control characters, and not without end."""
    return printable(text, most=MOST_LETTERS).replace("$", r"\$")


def drawable(value: float | None) -> float:
    """A value as axes can take it: at most MOST_DRAWABLE from zero; NaN for None.

    >>> drawable(-1e308)
    -1e+100
    """
    if value is None:
        return math.nan
    return max(-MOST_DRAWABLE, min(MOST_DRAWABLE, value)) if value == value else value


def clipped(values: Iterable[float]) -> str:
    """What a footer begins with where a value is drawn elsewhere than it lies; empty where none is."""
    if all(abs(value) <= MOST_DRAWABLE for value in values):
        return ""
    return f"values beyond {MOST_DRAWABLE:g} are drawn there, "


def folded(name: str, width: int) -> str:
    """A name beside its row, at most so many letters wide: a long one in several lines."""
    name = printable(name[:MOST_LABEL])
    return "\n".join(map(escape, textwrap.wrap(name, width))) if len(name) > width else escape(name)


def log_if_wide(axes: Any, values: Sequence[float], ratio: float = 3.0) -> bool:
    """A logarithmic y axis where positive values span more than `ratio`; returns whether it is."""
    if not values or min(values) <= 0 or max(values) / min(values) < ratio:
        return False
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_yscale("log")
    decades = math.log10(max(values) / min(values))
    fine, middle, coarse = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0,)
    subs = fine if decades < 1 else middle if decades < 2.5 else coarse
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if min(values) > 1e-4 and max(values) < 1e5:
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    return True


def clock(seconds: float) -> tuple[float, str]:
    """Divisor and unit in which this many seconds read well."""
    if seconds < 600:
        return 1.0, "s"
    return (60.0, "min") if seconds < 3 * 3600 else (3600.0, "h")


def pick(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the sorted values lie."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
