"""An HPC benchmark suite for hyperparameter optimization: Hyperband against Swift-Hyperband over MPI.

The map of the house. A folder is a floor or a room on one; imports only go down, and rooms of one floor do
not know each other. A folder with `__main__.py` is a command: `python -m suite.<folder>`.

    8  __main__                   the door: rank 0 reads the command line, other ranks serve
    7c export                     figures of merit for harnesses, MLPerf's log lines
       leaderboard                checked submissions as a static site
    7b check                      a submission re-adjudicated, rule by rule
    7  doctor                     what would go wrong here, and the remedy
       verify                     is a run what its folder says: the journal replayed
       predictor_study            how well predictors extend recorded curves
       cluster                    a practice cluster: a Slurm of this machine alone
       testing                    the conformance suites, for plug-ins too
    6  launch                     configuration -> run: compose, assemble, plan, execute; alone knows Hydra
    5b retrain                    what was tuning worth, what was chance: the best trained again
    5  report  compare            what runs say: tables, figures, one page; machine against machine
       track                      runs in MLflow; alone knows it
       curves                     curve tables recorded from runs
       watch                      runs on a terminal while they are trained
       submit                     runs packed for somebody who checks them
    4  results                    journal -> run as read, record, schema
       backends                   where jobs run: inline, mpi (alone knows MPI), simulate
    3b worker                     restore, train, checkpoint; energy and facts of the place
    3  run                        conductor (events in, commands out), journal, lock, time limit
    2  schedulers                 who trains on, who stops
       searchers                  which configuration next
       predictors                 a curve's later epochs
    2a optimizers                 other people's packages, each behind one contract
    1b surrogates                 models that searchers and schedulers share
       annealing                  samplers of Ising problems; alone knows D-Wave
    1a files                      opens, writes and removes in folders that a stranger may have filled
    1  core                       words: types, contracts, settings, errors; the plug-in API

Targets (the models under study) stand beside this package, in `models`; they know `suite.core` and
`suite.files` alone.
"""

__version__ = "0.1.0"
