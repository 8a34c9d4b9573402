"""What a cheat may do to a submission, by kind, each drawn by a seed; and what must come of it.

Every falsification ends by `Cheat.finish`: the record is made again and every digest is right. `catches`: the
rule that must fail (`skip` counts as well where it says so: such a submission does not pass). A kind without
one is what no journal can show; `shown_by` says what can.

    python tests/kit/falsifications.py      writes docs/tampering.md
"""

from __future__ import annotations

import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kit import submissions
from kit.cheats import decisions, kinds, machine, package, settings
from kit.cheats.kinds import Kind
from kit.submissions import Cheat
from suite.check.findings import Asked, Finding
from suite.check.submission import Checked, check

_ORDER = [module.__name__ for module in (decisions, settings, machine, package)]
KINDS = sorted(kinds.KINDS, key=lambda one: _ORDER.index(one.change.__module__))
"""All of them, as the page has them."""

REAL_S, METERED_S = 10.0, 60.0
"""Seconds that the runs are made to last. Shorter than MIN_METERED_S no mean power is judged."""


def bases(folder: Path) -> dict[str, Path]:
    """The submissions that are falsified, by name; made once."""
    submissions.run(folder / "runs" / "real", submissions.REAL)
    submissions.run(folder / "runs" / "simulated", submissions.SIMULATED)
    made = {
        name: submissions.submission(folder / name, [folder / "runs" / run])
        for name, run in (("real", "real"), ("simulated", "simulated"), ("metered", "real"))
    }
    submissions.replaced(made["real"], submissions.lasting(made["real"], REAL_S))
    submissions.metered(made["metered"], METERED_S)
    return made


NOTHING_MORE = Asked()


class Outcome(NamedTuple):
    """rules: those that failed, or were skipped, as `Kind.catches` says them. seconds: of the processor."""

    checked: Checked
    rules: tuple[str, ...]
    seconds: float


def outcome(
    one: Kind, seed: int, whole: Path, folder: Path, asked: Asked = NOTHING_MORE
) -> Outcome:
    """Falsify a copy in `folder` and check it."""
    cheat = Cheat(whole, folder / "submission")
    one.change(cheat, random.Random(f"{one.name} {one.base} {seed}"))
    submission = cheat.finish()
    # Of this process alone: other work on the machine does not count.
    began = time.process_time()
    (checked,) = check([submission], asked)
    return Outcome(checked, tuple(_broken(checked)), time.process_time() - began)


def findings(checked: Checked) -> list[Finding]:
    return [*checked.findings, *(one for run in checked.runs for one in run.findings)]


def _broken(checked: Checked) -> Iterator[str]:
    for one in findings(checked):
        if one.status == "fail":
            yield one.rule
    if checked.verdict == "open":
        yield "skip"


HEAD = """\
<!-- Made by tests/kit/falsifications.py; tests/check compares. -->
# Falsifications, and what shows them

A cheat changes a submission and then makes record and digests anew, so that every file fits every other.
Each kind is drawn by {n_seeds} seeds on a small submission: `real` (digits on a CPU; its times multiplied so
that it lasts {real_s:g} s on every machine), `simulated` (synthetic curves on two simulated workers),
`metered` (the real one, as if it had a meter and lasted {metered_s:g} s). {n_caught} of {n} kinds are
caught by a rule of `swiftbench check`. The other {n_open} are what no journal can show; the last column
says what does. Untouched runs: no rule is broken (`tests/check/test_untouched.py`).

| what is changed | on | what the cheat gains | caught by | else shown by |
|---|---|---|---|---|
"""


def page(caught: dict[tuple[str, str], str], n_seeds: int) -> str:
    """docs/tampering.md. caught: (kind, base) -> the rules that failed in every draw; empty: none."""
    rows = [
        f"| {one.name} | {one.base} | {one.alters} | {caught[one.name, one.base]} | {one.shown_by} |"
        for one in KINDS
    ]
    n_caught = sum(bool(rules) for rules in caught.values())
    head = HEAD.format(
        n_seeds=n_seeds,
        real_s=REAL_S,
        metered_s=METERED_S,
        n=len(KINDS),
        n_caught=n_caught,
        n_open=len(KINDS) - n_caught,
    )
    return head + "\n".join(rows) + "\n"


def is_right(one: Kind, found: Outcome) -> bool:
    """Whether a stated rule caught it; of a kind that no journal shows, whether none is said to."""
    if one.catches:
        return found.checked.verdict != "pass" and bool(set(one.catches) & set(found.rules))
    return not found.rules


SEEDS = (0, 1)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "tampering.md"


def rules_of(one: Kind, outcomes: list[Outcome]) -> str:
    """Of the rules that may catch it, the ones that did in some draw, in the kind's order."""
    found = [rule for rule in one.catches if any(rule in outcome.rules for outcome in outcomes)]
    return ", ".join(f"`{rule}`" if rule != "skip" else "not looked at" for rule in found)


def main() -> int:
    caught, seconds = {}, []
    with tempfile.TemporaryDirectory() as name:
        made = bases(Path(name))
        for number, one in enumerate(KINDS):
            outcomes = []
            for seed in SEEDS:
                folder = Path(name) / f"{number}-{seed}"
                folder.mkdir()
                outcomes.append(outcome(one, seed, made[one.base], folder))
                seconds.append((outcomes[-1].seconds, one.name))
                shutil.rmtree(folder)
                if not is_right(one, outcomes[-1]):
                    print(
                        f"NOT AS STATED: {one.name}, {one.base}, seed {seed}: {outcomes[-1].rules}"
                    )
            caught[one.name, one.base] = rules_of(one, outcomes)
    PAGE.write_text(page(caught, len(SEEDS)))
    # The first one imports what a check needs.
    longest, which = max(seconds[1:])
    median = statistics.median(one for one, _ in seconds)
    print(
        f"{len(KINDS)} kinds, {len(seconds)} falsifications; seconds of the processor a check: median "
        f"{median:.2f}, the first {seconds[0][0]:.2f}, longest of the others {longest:.2f} ({which})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
