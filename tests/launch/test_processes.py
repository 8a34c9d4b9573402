"""Tasks in processes: a lost process costs one task, and an end asks for what is left."""

import os
import signal
import time

import pytest

from suite.launch.processes import Lost, Processes


def doubled_or_killed(task):
    if task < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * task


def own_id(_):
    time.sleep(0.05)
    return os.getpid()


def closed_by_signal(_):
    """As a run does: SIGTERM ends it, and it still says what it came to."""
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    until = time.monotonic() + 60
    while not asked and time.monotonic() < until:
        time.sleep(0.01)
    return "closed" if asked else "not asked"


def test_each_task_has_its_result_and_all_processes_work():
    with Processes(own_id, 2) as processes:
        ids = {result for _, result in processes.done(range(8))}
        again = {result for _, result in processes.done(range(8))}
    assert len(ids) == 2 and again <= ids and os.getpid() not in ids


def test_a_killed_process_costs_its_task_and_no_other():
    with Processes(doubled_or_killed, 2) as processes:
        results = dict(processes.done([1, -1, 2, 3, -2, 4, 5]))
    assert results.pop(-1) == results.pop(-2) == Lost(-signal.SIGKILL)
    assert results == {1: 2, 2: 4, 3: 6, 4: 8, 5: 10}
    assert str(Lost(-9)) == "its process was ended by signal 9"


def test_tasks_are_taken_shortly_before_they_begin():
    taken = []

    def tasks():
        for i in range(50):
            taken.append(i)
            yield i

    with Processes(own_id, 2) as processes:
        results = processes.done(tasks())
        next(results)
        assert len(taken) <= 2 + 2 + 2
        assert sum(1 for _ in results) == 49


def test_what_is_under_way_at_the_end_is_asked_to_end_and_is_heard():
    with pytest.raises(KeyboardInterrupt), Processes(closed_by_signal, 1) as processes:
        processes._send(processes._idle(), "task")
        # Until its own handler stands.
        time.sleep(2)
        raise KeyboardInterrupt
    assert processes.left == [("task", "closed")]
