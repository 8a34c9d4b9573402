"""Links that are cut, slow or lossy, and hosts that are gone."""

from __future__ import annotations

import time

from kit.host_faults.case import SLEEP_S, Case, Row
from kit.host_runs import orphans, wait


def link_2s(case: Case) -> Row:
    """n3's link is down for 2 s: nobody is lost, nothing is trained again."""
    return _link_back(case, 2.0)


def link_20s(case: Case) -> Row:
    """n3's link is down for 20 s, report_timeout_s is longer: nobody is lost, nothing is trained again."""
    return _link_back(case, 20.0)


def _link_back(case: Case, seconds: float) -> Row:
    victim = case.hosts()[2]
    # The daemons must be as patient.
    case.start(PRTE_MCA_oob_tcp_keepalive_time="60", sleep_s=max(SLEEP_S, seconds / 100))
    case.strike(victim.down)
    time.sleep(seconds)
    victim.up()
    case.end()
    return case.row(f"the run went on; {len(case.lost())} workers lost")


def link_lost(case: Case) -> Row:
    """n3's link is down for ever: its worker is given up after report_timeout_s, the run completes."""
    victim = case.hosts()[2]
    case.start("backend.report_timeout_s=6", PRTE_MCA_oob_tcp_keepalive_time="60")
    case.strike(victim.down)
    case.notice(case.lost)
    case.end(*(h for h in case.cluster.hosts if h is not victim))
    case.end(victim, within_s=90)
    return case.row(f"{case.lost()[0]['message']}; the run went on without it")


def link_late(case: Case) -> Row:
    """n3's link is back after its worker was given up: what it says is dropped, and it ends itself."""
    victim = case.hosts()[2]
    case.start("backend.report_timeout_s=6", PRTE_MCA_oob_tcp_keepalive_time="60", sleep_s=0.15)
    case.strike(victim.down)
    case.notice(case.lost)
    victim.up()
    alone = wait(lambda: "2" not in case.launch.processes().values(), 90)
    case.end()
    return case.row(f"worker 2 lost; its host back, it ended itself after {alone:.1f} s")


def link_lost_mpirun(case: Case) -> Row:
    """mpirun notices first (its daemons' keepalive): the launch ends; the same line goes on on the others."""
    victim = case.hosts()[2]
    launch = case.start()
    case.strike(victim.down)
    case.notice(lambda: launch.process.poll() is not None)
    case.end()
    case.start(slots={"n1": 1, "n2": 1, "n4": 1})
    case.end()
    return case.row("mpirun lost its daemon and ended all ranks; resubmitted without the host")


def delay_200ms(case: Case) -> Row:
    """Every frame of n3 takes 200 ms, each way: the run goes on."""
    case.hosts(slow=[3], delay_s=0.2)
    case.start()
    case.end()
    return case.row("the run went on")


def loss_5(case: Case) -> Row:
    """n3 loses 5 % of its frames, each way: the run goes on."""
    case.hosts(slow=[3], loss=0.05, seed=case.seed + 1)
    case.start()
    case.end()
    return case.row("the run went on")


def rate_1mbit(case: Case) -> Row:
    """n3's link carries 1 Mbit/s, each way: the run goes on."""
    case.hosts()[2].rate("1mbit")
    case.start()
    case.end()
    return case.row("the run went on")


def rank0_cut(case: Case) -> Row:
    """Rank 0's host is cut off: all processes end, and the line submitted on the others goes on."""
    hosts = case.hosts()
    case.start()
    case.strike(hosts[0].down)
    left, seconds = orphans(hosts[1:], 120)
    case.noticed = time.monotonic() - case.struck
    case.end(within_s=60)
    case.left = (case.left[0] + left, max(case.left[1], seconds))
    case.start(first=1, slots={"n2": 1, "n3": 1, "n4": 1})
    case.end(*hosts[1:])
    return case.row("workers ended by their daemons; resubmitted on the other hosts")


def rank0_off(case: Case) -> Row:
    """Rank 0's host is switched off: all processes end, and the line submitted on the others goes on."""
    hosts = case.hosts()
    case.start()
    case.strike(hosts[0].power_off)
    left, seconds = orphans(hosts[1:], 120)
    case.noticed = time.monotonic() - case.struck
    case.left = (left, seconds)
    case.start(first=1, slots={"n2": 1, "n3": 1, "n4": 1})
    case.end(*hosts[1:])
    return case.row("workers ended by their daemons; resubmitted on the other hosts")


def rank0_off_sending(case: Case) -> Row:
    """The same while daemons send: a rank has just died there, and its end is on its way to mpirun."""
    hosts = case.hosts()
    case.start()
    case.strike(hosts[0].down)
    for rank in (1, 2):
        case.launch.kill(rank)
    hosts[0].power_off()
    left, seconds = orphans(hosts[1:], 120)
    case.noticed = time.monotonic() - case.struck
    case.left = (left, seconds)
    case.start(first=1, slots={"n2": 1, "n3": 1, "n4": 1})
    case.end(*hosts[1:])
    return case.row("the daemons, which sent in vain, were ended; resubmitted on the other hosts")


def worker_off(case: Case) -> Row:
    """A worker's host is switched off: mpirun ends the launch; the same line goes on on the others."""
    victim = case.hosts()[2]
    launch = case.start()
    case.strike(victim.power_off)
    case.notice(lambda: launch.process.poll() is not None)
    others = [host for host in case.cluster.hosts if host is not victim]
    case.end(*others)
    case.start(slots={"n1": 1, "n2": 1, "n4": 1})
    case.end(*others)
    return case.row("mpirun lost its daemon and ended all ranks; resubmitted without the host")
