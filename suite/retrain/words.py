"""A report of retrain for people: a table, and a sentence on each split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suite.core.printable import printable
from suite.core.target import loud
from suite.retrain.numbers import SPLITS


def lines(report: Mapping[str, Any]) -> list[str]:
    """What the door prints."""
    page = [
        f"{report['algorithm']} seed {report['seed']} on {report['model']} ({loud(report['data'] or '')} "
        f"data), {report['metric']} ({report['mode']}) after {report['max_epochs']['value']} epochs",
        f"{'':26}{'mean':>12}{'std':>12}{'min':>12}{'max':>12}   n",
    ]
    for trial in report["trials"]:
        number = "" if trial["trial_id"] is None else f" {trial['trial_id']}"
        for split in SPLITS:
            numbers = "".join(_number(trial[split][key]) for key in ("mean", "std", "min", "max"))
            page.append(
                f"{trial['role'] + number + ', ' + split:26}{numbers}   {trial['n']['value']}"
            )
        notes = [f"{len(trial['failures'])} failed"] if trial["failures"] else []
        if searched := trial["searched"]["validation"]:
            notes.insert(0, f"in the search: validation {_number(searched).strip()}")
        page += [f"  {'; '.join(notes)}"] if notes else []
    page += [line for split, gap in report["gap"].items() if (line := of_gap(split, gap))]
    for split, gain in report["gain"].items():
        page += [line for line in (of_gain(split, gain), of_percent(split, report, gain)) if line]
    if report["gain"] and report["default_source"]:
        page.append(f"default: {report['default_source']}")
    page += [
        f"WARNING: not as in the run: {one['field']}: {one['here']} here, {one['run']} in the run"
        for one in report["differences"]
    ]
    return [printable(line) for line in page]


def of_gap(split: str, gap: Mapping[str, Any]) -> str:
    """What the gap between the means says; empty where there is none."""
    if gap["value"] is None:
        return ""
    n = " and ".join(map(str, gap["n"]))
    start = f"{split}: gap {gap['value']:+.4g} (runner-up less winner)"
    if gap["p"] is None:
        why = "too few" if gap["spread"] is None else "every repeat is equal"
        return f"{start}, no test (n = {n}): {why}"
    word = "more than chance" if gap["beyond_chance"] else "no more than chance"
    return (
        f"{start}, spread {gap['spread']:.4g}: {word} (Welch's t-test, n = {n}, p = {gap['p']:.3g})"
    )


def of_gain(split: str, gain: Mapping[str, Any]) -> str:
    """What tuning gained over the default; empty where that is not known."""
    if gain["value"] is None:
        return ""
    start = f"{split}: gain by tuning {gain['value']:+.4g} (better than the default where positive)"
    if gain["low"] is None:
        return f"{start}, no interval (n = {gain['n']} pairs)"
    return (
        f"{start}, {100 * gain['level']:.0f} % interval {gain['low']:+.4g} to {gain['high']:+.4g} "
        f"(paired by seed, n = {gain['n']})"
    )


def of_percent(split: str, report: Mapping[str, Any], gain: Mapping[str, Any]) -> str:
    """The same as a change in per cent; empty where that is not known."""
    percent = gain["percent"]
    if percent["value"] is None:
        return ""
    around = ""
    if percent["low"] is not None:
        around = f"{100 * gain['level']:.0f} % interval {percent['low']:+.3g} to {percent['high']:+.3g}, "
    return (
        f"{split}: tuned against default: {report['metric']} {percent['value']:+.3g} % "
        f"({around}n = {gain['n']} repeats)"
    )


def _number(number: Mapping[str, Any] | None) -> str:
    return f"{'-':>12}" if number is None else f"{number['value']:>12.6g}"
