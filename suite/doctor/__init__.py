"""Floor 6: one page of checks before many nodes burn: python -m suite.doctor [overrides].

findings.py says what a finding is and prints the page; host.py, disk.py, gpu.py and mpi.py look at
one process and its node; job.py at the configured run; world.py brings the ranks' findings to rank
0, and never waits for ever.
"""
