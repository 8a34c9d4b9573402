"""A seeded sample of tests/chaos.py, whose full set is one command."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from chaos import Chaos, kill

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["workers", "rank0"])
def test_killed_at_random_moments_it_decides_the_same(kind, tmp_path):
    ended = getattr(Chaos(20261121, tmp_path, ranks=4, max_epochs=9), kind)()
    print(f"\n{ended.line()}")
    assert not ended.why, ended.line()
    assert ended.kills > 0, "nobody was killed: the run was over before"
    assert ended.differences == 0


def test_who_is_not_there_cannot_be_killed():
    assert kill("no such run", 1) == 0
