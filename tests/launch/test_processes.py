"""Tasks in processes: a lost process costs one task, and an end asks for what is left."""

import os
import signal
import subprocess
import sys
import time

import pytest

from suite.launch.processes import _PATIENCE_S, Lost, Processes


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
    lost = Lost("its process was ended by signal 9")
    assert results.pop(-1) == results.pop(-2) == Lost.ended(-signal.SIGKILL) == lost
    assert results == {1: 2, 2: 4, 3: 6, 4: 8, 5: 10}


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
        until = time.monotonic() + 60
        while not processes._workers[0].is_ready and time.monotonic() < until:
            processes._workers[0].pipe.poll(1) and processes._heard(processes._workers[0])
        time.sleep(1)
        began = time.monotonic()
        raise KeyboardInterrupt
    assert processes.left == [("task", "closed")]
    # It waits for no next task: the patience is for tasks alone.
    assert time.monotonic() - began < _PATIENCE_S


def fails(task):
    raise ValueError(f"task {task}")


def test_a_task_that_raises_is_named_and_costs_no_process():
    with Processes(fails, 1) as processes:
        (one, two) = processes.done([1, 2])
        assert one == (1, Lost("ValueError: task 1")) and two == (2, Lost("ValueError: task 2"))
        assert len(processes._workers) == 1


def test_a_program_that_no_process_can_begin_says_so(tmp_path):
    """Read from a pipe, it has no file that another process could import."""
    program = (
        "from suite.launch.processes import Processes\n"
        "with Processes(abs, 2) as processes:\n    print(list(processes.done(range(100))))\n"
    )
    done = subprocess.run(
        [sys.executable], input=program, capture_output=True, text=True, timeout=300
    )
    assert (
        "n_jobs=2: no process can be begun (its process was ended with exit code 1)" in done.stderr
    )
    assert done.stderr.count("FileNotFoundError") <= 4
