"""A scheduler of the suite as a pruner of an Optuna study: pip install 'swiftbench[optuna]'.

It must be an asynchronous one (asha, pasha): Optuna asks whether this trial goes on, now. Lost is the pause:
a trial that ASHA would promote later, when more have come, is over for Optuna, and counts here as one that
failed.
"""

import optuna

from suite.core import Train
from suite.schedulers.asha import Asha


class SuitePruner(optuna.pruners.BasePruner):
    """Goes on with a trial where the scheduler trains it further at once. Report every epoch, from 1 on."""

    def __init__(self, scheduler):
        self.scheduler, self.ids, self.goals, self.fresh = scheduler, {}, {}, None

    def prune(self, study, trial):
        number, scheduler = trial.number, self.scheduler
        if number not in self.ids:
            train, self.fresh = self.fresh or scheduler.ask(), None
            if not isinstance(train, Train):
                return True  # the scheduler has had all its trials
            self.ids[number], self.goals[number] = train.trial_id, train.to_epoch
        if trial.last_step < self.goals[number]:
            return False
        curve = tuple(value for _, value in sorted(trial.intermediate_values.items()))
        scheduler.tell(self.ids[number], curve)
        while isinstance(train := scheduler.ask(), Train):
            if train.trial_id == self.ids[number]:
                self.goals[number] = train.to_epoch
                return False
            if train.trial_id not in self.ids.values():
                self.fresh = train
                break
            scheduler.tell(train.trial_id, None)
        return trial.last_step < scheduler.max_epochs


def objective(trial):
    rate, momentum = (
        trial.suggest_float("rate", 1e-3, 1.0, log=True),
        trial.suggest_float("momentum", 0, 1),
    )
    x, velocity = 10.0, 0.0
    for epoch in range(1, 28):  # an epoch is one step of gradient descent on x ** 2
        velocity = momentum * velocity - rate * 2 * x
        x += velocity
        trial.report(x**2, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return x**2


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = SuitePruner(Asha(max_epochs=27, n_trials=60, eta=3))
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), pruner=pruner)
    study.optimize(objective, n_trials=60)
    epochs = sum(len(trial.intermediate_values) for trial in study.trials)
    print(f"best {study.best_value:.3g}; {epochs} of {27 * 60} epochs")
