"""How figures look: colours that colour-blind readers tell apart, quiet axes, one footer."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suite.report.runs import Group

DPI = 150
WIDTH = 8.0
"""Inches: 1200 pixels, which a README shows at about two thirds."""

_FOOT = 0.27
"""Inches kept free below the axes for the footer."""

INK, QUIET, FAINT, GRID, WARN = "#22262b", "#6b7280", "#9ca3af", "#e5e7eb", "#c2410c"
_BASELINE = "#4b5563"
_OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe, Ito 2008
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
    found = {name: _OKABE_ITO[i % len(_OKABE_ITO)] for i, name in enumerate(others)}
    return found | ({group.baseline: _BASELINE} if group.baseline else {})


def bracket_colours(brackets: Sequence[int | None]) -> dict[int | None, Any]:
    """One colour a bracket, dark (many short trials) to light (few long ones); grey for none."""
    from matplotlib import colormaps

    known = sorted({s for s in brackets if s is not None}, reverse=True)
    last = max(len(known) - 1, 1)
    found: dict[int | None, Any] = {
        s: colormaps["viridis"](0.05 + 0.83 * i / last) for i, s in enumerate(known)
    }
    return found | {None: "#64748b"}


def canvas(height: float) -> Any:
    """A figure of this height in inches that needs neither a display nor pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def rc() -> Any:
    """The context in which figures are made."""
    from matplotlib import rc_context

    # A machine that lacks the first fonts of the list is no news.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    return rc_context(_RC)


def save(figure: Any, group: Group, said: str, path: Path) -> Path:
    """Write the figure with its footer: whose runs, overlap, data, what lines and bands are."""
    words = "  ·  ".join([group.title, f"overlap {group.overlap}", said])
    return footed(figure, words, group.data, group.simulated, path)


def footed(figure: Any, words: str, data: str, simulated: bool, path: Path) -> Path:
    """Write a figure with these words below it, and what its data are where they are not real."""
    foot = _FOOT / figure.get_figheight()
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, rect=(0, foot, 1, 1 - foot))
    figure.text(0.01, 0.25 * foot, escape(words), fontsize=8, color=QUIET)
    if data:
        label = f"{escape(data)} {'DATA' if data.isupper() else 'data'}"
        label += ", SIMULATED TIME" if simulated else ""
        figure.text(
            0.99, 0.25 * foot, label, color=WARN, fontsize=8.5, weight="bold", ha="right",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
    figure.savefig(path, metadata={"Software": None})
    return path


def legend(figure: Any, marks: Sequence[Any]) -> None:
    """One line above the panels."""
    figure.legend(
        handles=marks, loc="outside upper left", ncols=12, columnspacing=1.2, handlelength=1.4
    )


def title(axes: Any, name: str, said: str, below: bool = False) -> None:
    """A panel's title: the name in bold, what is said of it quietly beside or below it."""
    axes.set_title(escape(name), loc="left", pad=19 if below else 6)
    if below:
        axes.annotate(
            said, (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points",
            fontsize=8.5, color=QUIET,
        )  # fmt: skip
    else:
        axes.set_title(said, loc="right", fontsize=8.5, color=QUIET, weight="normal")


def escape(text: str) -> str:
    """Text from a journal as it is: no $mathematics$, no characters that no font has."""
    return "".join(c if c.isprintable() else " " for c in text).replace("$", r"\$")


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
