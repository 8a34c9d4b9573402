"""The figure of one run of `price` until its deadline: workers, rungs, the best so far, what it measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suite.report import style
from suite.report.deadlines import Spans, at_max_epochs, busy_spans, node_s, nodes
from suite.report.price_run import PriceRun, begun, unused
from suite.report.price_said import Said

_BUSY, _BACK = style.OKABE_ITO[0], "#eef0f2"
_SHADES = "viridis"


def draw(run: PriceRun, path: Path) -> Path:
    """Five panels, or four where the policy has no prices."""
    with style.rc():
        figure = style.canvas(7.6)
        top, middle, below = figure.subfigures(3, 1, height_ratios=(1.0, 1.25, 1.05))
        _workers(top.subplots(), run)
        left, right = middle.subplots(1, 2)
        _rungs(left, run)
        _best(right, run)
        if run.said.prices:
            prices, rho = below.subplots(1, 2)
            _prices(prices, run)
        else:
            rho = below.subplots()
        _correlations(rho, run.said)
        return style.save(
            figure, run.group, f"one run: {run.run.algorithm} seed {run.run.seed}", path
        )


def caption(run: PriceRun) -> tuple[str, str]:
    """Title and caption of the figure."""
    return (
        "Until the deadline",
        "Top: workers that train over time, and those that were handed back because nothing that they could "
        "have begun would have finished. Middle: trials begun to each rung; the best value at max_epochs, "
        "and of any epoch, against node-hours. Bottom: "
        + ("prices of what was chosen; " if run.said.prices else "")
        + "correlations between rungs, with the number of trials that they were measured on. Dashed: the "
        "deadline. The table below holds the same numbers.",
    )


def _counted(spans: Spans, end_s: float) -> tuple[list[float], list[int]]:
    """Times and how many spans hold from each of them on."""
    steps = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    times, counts = [0.0], [0]
    for at_s, step in steps:
        if at_s == times[-1]:
            counts[-1] += step
        else:
            times.append(at_s)
            counts.append(counts[-1] + step)
    return [*times, max(end_s, times[-1])], [*counts, counts[-1]]


def _workers(axes: Any, run: PriceRun) -> None:
    reading = run.reading
    divisor, unit = style.clock(reading.deadline_s)
    n = run.run.n_workers
    spans = [span for of in busy_spans(run.run.view).values() for span in of]
    end = max([reading.deadline_s, *(end for _, end in spans)])
    times, counts = _counted(spans, end)
    axes.fill_between(
        [at_s / divisor for at_s in times], counts, step="post", color=_BUSY, linewidth=0, alpha=0.85,
        label="train",
    )  # fmt: skip
    times, back = _counted(unused(reading), reading.deadline_s)
    axes.fill_between(
        [at_s / divisor for at_s in times], [n - count for count in back], [n] * len(back), step="post",
        facecolor=_BACK, edgecolor=style.FAINT, hatch="///", linewidth=0, label="handed back",
    )  # fmt: skip
    axes.set_ylim(0, n * 1.04)
    _time(axes, run, end)
    style.integers(axes.yaxis)
    axes.set_ylabel("workers")
    style.title(
        axes, "Workers",
        f"blue: train, {100 * reading.busy:.1f} % of the time; white: wait; hatched: handed back, "
        f"{100 * reading.handed_back:.1f} %",
    )  # fmt: skip
    axes.set_xlabel(f"{_clock_word(run)} [{unit}]")


def _rungs(axes: Any, run: PriceRun) -> None:
    from matplotlib import colormaps

    divisor, unit = style.clock(run.reading.deadline_s)
    of = begun(run.run)
    end = max([run.reading.deadline_s, run.run.view.time_s])
    most = max((len(times) for times in of.values()), default=1)
    for i, (epochs, times) in enumerate(of.items()):
        colour = colormaps[_SHADES](0.05 + 0.83 * i / max(len(of) - 1, 1))
        x = [0.0, *(at_s / divisor for at_s in times), end / divisor]
        y = [0, *range(1, len(times) + 1), len(times)]
        axes.step(x, y, where="post", color=colour, linewidth=1.7, label=f"{epochs}")
    # Room above the lines for their names.
    axes.set_ylim(0, most * 1.25)
    _time(axes, run, end)
    style.integers(axes.yaxis)
    axes.set_xlabel(f"{_clock_word(run)} [{unit}]")
    axes.set_ylabel("trials")
    style.title(axes, "Begun to each rung", "lines: to epoch")
    axes.legend(
        fontsize=8.5, loc="upper left", ncols=max(len(of), 1), handlelength=1.0, columnspacing=0.9,
        handletextpad=0.4,
    )  # fmt: skip


def _best(axes: Any, run: PriceRun) -> None:
    view, reading = run.run.view, run.reading
    of_nodes = nodes(view)
    any_epoch = [(p.time_s, style.drawable(view.value(p.best))) for p in view.by_time]
    at_end = _best_so_far(
        [(at_s, style.drawable(value)) for at_s, value, _ in at_max_epochs(run.run, view.time_s)],
        run.run.sign,
    )
    end = max(reading.deadline_s, view.time_s)
    for points, look, label in (
        (
            any_epoch,
            {"color": style.QUIET, "linewidth": 1.1, "linestyle": style.DASHES[2]},
            "any epoch",
        ),
        (at_end, {"color": _BUSY, "linewidth": 2.0}, "at max_epochs"),
    ):
        if points:
            x, y = zip(*points, (end, points[-1][1]), strict=True)
            hours = [node_s(of_nodes, at_s) / 3600 for at_s in x]
            axes.step(hours, y, where="post", label=label, **look)
    axes.axvline(reading.node_s / 3600, color=style.WARN, linewidth=1.2, linestyle="--")
    values = [value for _, value in at_end] + [
        value for at_s, value in any_epoch if at_s >= 0.03 * reading.deadline_s
    ]
    _limits(axes, values)
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("node-hours")
    axes.set_ylabel(f"validation {style.escape(run.group.metric)}\n({run.run.better})")
    style.title(axes, "Best so far", "")
    if any_epoch:
        # Beside the line of the deadline, where curves that settle leave room.
        side, height = ("upper right", 1.0) if run.run.sign > 0 else ("lower right", 0.0)
        axes.legend(fontsize=8.5, loc=side, bbox_to_anchor=(0.93, height))


def _best_so_far(points: Sequence[tuple[float, float]], sign: float) -> list[tuple[float, float]]:
    kept: list[tuple[float, float]] = []
    for at_s, value in points:
        if not kept or sign * value < sign * kept[-1][1]:
            kept.append((at_s, value))
    return kept


def _limits(axes: Any, values: Sequence[float]) -> None:
    """Of what matters: the first few epochs would press all others flat."""
    if not values:
        return
    low, high = min(values), max(values)
    if style.log_if_wide(axes, values):
        axes.set_ylim(low / 1.08, high * 1.08)
    elif high > low:
        axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))


def _prices(axes: Any, run: PriceRun) -> None:
    reading = run.reading
    divisor, unit = style.clock(reading.deadline_s)
    x = [used * reading.deadline_s / divisor for used, _ in run.said.prices]
    y = [style.drawable(price) for _, price in run.said.prices]
    axes.plot(x, y, "o-", color=_BUSY, markersize=4, linewidth=1.2)
    style.log_if_wide(axes, [value for value in y if value > 0])
    _time(axes, run, reading.deadline_s)
    axes.set_xlabel(f"{_clock_word(run)} [{unit}]")
    axes.set_ylabel("price an R of epochs\n(sd of final values)")
    style.title(axes, "Price of what was chosen", "")


def _correlations(axes: Any, own: Said) -> None:
    steps = [
        (f"{rung.epochs} → {above.epochs}", rung)
        for rung, above in zip(own.rungs, own.rungs[1:], strict=False)
        if rung.correlation is not None
    ]
    width = 0.6 if own.prices else 0.3
    for i, (_, rung) in enumerate(steps):
        value = float(rung.correlation or 0.0)
        measured = bool(rung.n_measured)
        axes.bar(
            i,
            value,
            width=width,
            color=_BUSY if measured else _BACK,
            edgecolor=_BUSY,
            linewidth=0.8,
        )
        words = f"{value:.2f}\nn = {rung.n_measured}" if measured else f"{value:.2f}\nassumed"
        axes.annotate(words, (i, max(value, 0.0)), (0, 3), textcoords="offset points", ha="center",
                      fontsize=8.5)  # fmt: skip
    axes.set_xticks(range(len(steps)), [name for name, _ in steps])
    axes.set_ylim(min(0.0, *(float(r.correlation or 0.0) for _, r in steps), 0.0), 1.35)
    axes.set_yticks([0, 0.5, 1.0])
    axes.set_xlim(-0.7, max(len(steps) - 0.3, 0.7))
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("from rung to the next [epochs]")
    axes.set_ylabel("correlation")
    forest = "not fitted" if own.trust is None or not own.fits else f"{own.trust:.2f}"
    style.title(axes, "Do rungs agree?", f"forest with final values: {forest}")


def _time(axes: Any, run: PriceRun, end_s: float) -> None:
    divisor, _ = style.clock(run.reading.deadline_s)
    axes.axvline(
        run.reading.deadline_s / divisor, color=style.WARN, linewidth=1.2, linestyle="--", zorder=4
    )
    axes.set_xlim(0, max(end_s, run.reading.deadline_s) / divisor * 1.01)


def _clock_word(run: PriceRun) -> str:
    return "simulated time" if run.group.simulated else "wall clock"
