"""Journal lines by msgspec: what it accepts the rules accept, and what it parses json parses."""

import copy
import json
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest

from kit.mutations import OTHER, RAW, places
from suite.run import journal_lines
from suite.run.journal_lines import check_by_rules, check_line
from suite.run.journal_rules import EVENTS
from suite.run.journal_types import has_type, parse

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*.jsonl"))
EPOCH = {"worker": 0, "job_id": 3, "objective": 0.5, "metrics": {"val_loss": 0.5}, "eval_s": 0.25}
RARE = [
    {"event": "epoch", **EPOCH, "epoch": 1, "train_s": 1, "time_s": 2.5},
    {
        "event": "epoch", "worker": 0, "job_id": 3, "epoch": [1, 2], "objective": [0.5, 1], "eval_s": [0, 0],
        "metrics": [{"val_loss": 0.5}, {"val_loss": 1}], "train_s": [1.5, 1e-6], "time_s": [2.5, 3.5],
    },
    {"event": "checkpointed", "worker": 0, "job_id": 3, "epoch": 2, "time_s": 4.0},
    {
        "event": "finished", "worker": 1, "job_id": 3, "restore_s": 0.0, "checkpoint_s": 0.1, "busy_s": 2,
        "time_s": 5.0, "energy_j": 7.5, "do": [["start", 1, 4, 2, 0, 3], ["ask", "b1-r2", 8, 4]],
        "trials": {
            "2": {"config": {"lr": 1e-3, "optimizer": "adam", "layers": [8, 8]}, "seed": 2**62, "bracket": 3},
            "3": {"config": {"lr": 1, "nested": {"a": [1, {"deep": True}]}}, "seed": 1},
        },
        "stopped": {"0": 3},
    },
    {
        "event": "failed", "worker": 1, "job_id": 4, "reason": "diverged", "message": "loss is inf",
        "time_s": 6.0, "given_up": {"2": "diverged: loss is inf"}, "benched": {"1": "failed 3 jobs"},
    },
    {
        "event": "lost", "worker": 1, "message": "silent", "time_s": 7.0,
        "do": [["shutdown", "failed", "no workers"]], "counted": {"0": 2},
        "measured": {"searcher": {"fits": 3, "share": 0.5, "by_rung": {"1": [1, 2]}}},
    },
    {
        "event": "forecast", "key": "b1-r2", "values": [0.5, None], "fit_s": 0.1, "predict_s": 0.01,
        "sampler": None, "time_s": 8.0, "stds": [0.1, None], "sampler_info": {"reads": 100},
    },
    {"event": "forecast_failed", "key": "b1", "reason": "error", "message": "no", "time_s": 9.0},
    {"event": "resumed", "time_s": 10.0, "settings": {"min_workers": 1}, "process": {"commit": "abc"}},
    {"event": "scored", "worker": 0, "job_id": 5, "test_value": 0.5, "metrics": {"a": 1}, "time_s": 11.0,
     "do": [["score", 0, 6, 1, 9]]},
    {"event": "joined", "worker": 0, "time_s": 0, "facts": {"host": {"cores": 2}, "gpus": []}},
    {"event": "closed", "status": "completed", "reason": "", "time_s": 12.0, "energy": {"joules": 5}},
    {"event": "allocation", "end_ms": 216_000, "margin_ms": 24_000, "job": "17", "time_s": 0.0},
    {"event": "budget_used", "limit": "budget_node_hours_ms", "time_s": 7200.001},
    {"event": "job_stopped", "worker": 2, "job_id": 3, "time_s": 7201},
]  # fmt: skip
KEYS = ("", "seed", "epochs", "٣", "-0", "07", "1\n", "9" * 19, "\ud800", "event", "config")


def lines():
    rows = [row for path in GOLDEN for row in path.read_text().splitlines()[1:]]
    rng = random.Random(0)
    return [json.loads(row) for row in rng.sample(rows, 40)] + RARE


def kind_of(line):
    return line["event"], isinstance(line.get("epoch"), list)


def mutated(line, rng):
    """The line with one value another, one key away, one key more or one key renamed."""
    line = copy.deepcopy(line)
    *way, last = rng.choice([at for at in places(line) if at])
    node = line
    for step in way:
        node = node[step]
    beyond = [2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, math.inf, math.nan, 1e13, 1.0, -0.0]
    drawn = rng.choice([*OTHER, *beyond, *map(str, range(2)), "start", "adam"])
    match rng.randrange(4):
        case 0:
            node[last] = drawn
        case 1:
            del node[last]
        case 2 if isinstance(node, dict):
            node[rng.choice(KEYS)] = drawn
        case 3 if isinstance(node, dict):
            node[rng.choice(KEYS)] = node.pop(last)
        case _:
            node.append(drawn) if isinstance(node, list) else node.update(x=drawn)
    return line


def keeps_rules(line, kind, batched):
    try:
        check_by_rules(line, kind, batched)
    except ValueError:
        return False
    return True


def test_what_has_its_type_keeps_the_rules():
    rng, all_lines = random.Random(1), lines()
    n_with, n_against = 0, 0
    for _ in range(4_000):
        line = mutated(rng.choice(all_lines), rng)
        kind, batched = line.get("event"), isinstance(line.get("epoch"), list)
        if not isinstance(kind, str) or kind not in {*EVENTS, "closed"} or (
            batched and kind != "epoch"
        ):  # fmt: skip
            continue
        keeps = keeps_rules(line, kind, batched)
        if has_type(line, kind, batched):
            assert keeps, line
            n_with += 1
        n_against += not keeps
    # Both happen often, or the test would say nothing.
    assert n_with > 200 and n_against > 1_000


def test_lines_that_are_written_have_their_type():
    for path in GOLDEN:
        for row in path.read_text().splitlines()[1:]:
            line = json.loads(row)
            # Diagnostics, once a run, may nest deeper.
            assert "measured" in line or has_type(line, *kind_of(line)), row
    deep = [line for line in RARE if not has_type(line, *kind_of(line))]
    assert deep == [RARE[3], RARE[5]], "only what nests deeper is left to the rules"
    for line in RARE:
        check_line(line)
    assert {line["event"] for line in RARE} == {*EVENTS, "closed"}


def test_what_is_checked_stays_as_it_was():
    for line in RARE:
        before = repr(line)
        check_line(line)
        assert repr(line) == before


TEXTS = [
    *RAW.values(), "-0", "-0.0", "1E400", "1e5", "01", "1.", "1.0", "[1,]", " 1 ", "1 2", '"\\ud800"',
    '"\x01"', '{"a":1,"a":2.5}', "12345678901234567890.5", str(2**64), str(-(2**63) - 1), "1" * 400 + ".5",
    "-Infinity", "tru", '"\\u00e9\\n"', '{"a":{"b":[1,2.5,null,true,"x"]}}', "0.1", "5e-324", "1e-400",
    "2.2250738585072011e-308", "179769313486231580793e289", "", "\x0b1", "\ufeff1", "{1:2}",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_what_is_parsed_is_what_json_parses(text):
    try:
        value = parse(text)
    except ValueError:
        return
    assert repr(value) == repr(json.loads(text))


def test_floats_are_parsed_to_the_last_bit():
    rng = random.Random(2)
    for _ in range(1_000):
        x = math.ldexp(rng.random(), rng.randrange(-1070, 1020))
        for text in (repr(x), f"{x:.25e}", f"{x:.3g}"):
            assert parse(text) == float(text)


def test_lines_are_checked_without_msgspec_too(tmp_path):
    """As where a run is read by who has not installed the extra `run`."""
    path = GOLDEN[0]
    program = (
        "import sys; sys.modules['msgspec'] = None\n"
        "from pathlib import Path\n"
        "from suite.run.journal_reading import read_journal\n"
        f"journal = read_journal(Path({str(path)!r}))\n"
        "from suite.run.journal_lines import check_line\n"
        "line = {**journal.lines[1], 'time_s': True}\n"
        "try:\n    check_line(line)\n"
        "except ValueError as error:\n    print(len(journal.lines), error)\n"
    )
    root = Path(journal_lines.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True, cwd=root)
    n = len(path.read_text().splitlines()) - 1
    assert done.stdout == f"{n} time_s=True: must be seconds, at most 1e+12\n", done.stderr
