"""A scheduler of the suite as a scheduler of Ray Tune: pip install swiftbench 'ray[tune]'.

Any of them, for Ray can pause a trial and go on from its checkpoint; those that forecast are asked with a
predictor of the suite. Lost are the journal with its replay, resuming a search, energy, `features` of
hyperparameters, and searchers: Ray's own choose the configurations. Report once an epoch.
"""

import numpy as np
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from suite.core import DONE, Predict, Train
from suite.predictors.svr import SVR
from suite.schedulers.asha import Asha
from suite.schedulers.forecasting import Forecasting


class SuiteScheduler(TrialScheduler):
    """Trains what `scheduler` asks for: trial number i is the i-th that Ray adds. Give it as many as it plans
    (num_samples=scheduler.plan().n_trials). predictor: a class with fit and predict, for those that forecast.
    """

    supports_buffered_results = False

    def __init__(self, scheduler, predictor=None):
        super().__init__()
        self.scheduler, self.predictor, self.is_over = scheduler, predictor, False
        self.trials, self.number, self.curve = [], {}, {}
        # Trials that are to be trained, or are: until they are told.
        self.goal = {}

    def set_search_properties(self, metric, mode, **spec):
        self.sign = -1.0 if mode == "max" else 1.0
        return super().set_search_properties(metric, mode, **spec)

    def on_trial_add(self, controller, trial):
        self.number[trial.trial_id] = len(self.trials)
        self.curve[len(self.trials)] = []
        self.trials.append(trial)

    def on_trial_result(self, controller, trial, result):
        i = self.number[trial.trial_id]
        self.curve[i].append(self.sign * result[self.metric])
        while i not in self.goal and self.decide():
            pass  # Ray begins new trials by itself; the scheduler comes to it, or waits
        if len(self.curve[i]) >= self.goal.get(i, self.scheduler.max_epochs + 1):
            self.told(i)
            self.decide()
        if i in self.goal:
            return self.CONTINUE
        over = len(self.curve[i]) == self.scheduler.max_epochs or i in self.scheduler.stopped_at
        return self.STOP if over else self.PAUSE

    def on_trial_error(self, controller, trial):
        i = self.number[trial.trial_id]
        if self.goal.pop(i, None) is not None:
            self.scheduler.tell(i, None)

    def on_trial_complete(self, controller, trial, result):
        pass

    def on_trial_remove(self, controller, trial):
        pass

    def choose_trial_to_run(self, controller):
        for _ in range(2):
            for i in self.goal:
                # Ray may not have added it yet.
                if i < len(self.trials) and self.trials[i].status in (Trial.PAUSED, Trial.PENDING):
                    return self.trials[i]
            self.decide()
        if self.is_over and not self.goal:
            for trial in self.trials:
                if trial.status in (Trial.PAUSED, Trial.PENDING):
                    controller.stop_trial(trial)
        return None

    def decide(self):
        """One more trial to train, if the scheduler has one; its questions are answered at once."""
        while True:
            decision = self.scheduler.ask()
            if isinstance(decision, Predict):
                model = self.predictor().fit(np.array(decision.X), np.array(decision.y))
                values = model.predict(np.array(decision.X_new)).tolist()
                self.scheduler.tell_forecast(decision.key, values)
            elif isinstance(decision, Train):
                i = decision.trial_id
                self.goal[i] = decision.to_epoch
                if len(self.curve.get(i, ())) < decision.to_epoch:
                    return True
                self.told(i)  # Ray had begun it before
            else:
                self.is_over = decision == DONE
                return False

    def told(self, i):
        self.scheduler.tell(i, tuple(self.curve[i][: self.goal.pop(i)]))

    def debug_string(self):
        return f"{type(self.scheduler).__name__}: {len(self.goal)} trials to train"


class Descent(tune.Trainable):
    """An epoch is one step of gradient descent on x ** 2."""

    def setup(self, config):
        self.config, self.x, self.velocity = config, 10.0, 0.0

    def step(self):
        rate, momentum = self.config["rate"], self.config["momentum"]
        self.velocity = momentum * self.velocity - rate * 2 * self.x
        self.x += self.velocity
        return {"loss": self.x**2}

    def save_checkpoint(self, folder):
        return {"x": self.x, "velocity": self.velocity}

    def load_checkpoint(self, saved):
        self.x, self.velocity = saved["x"], saved["velocity"]


if __name__ == "__main__":
    asha = Asha(max_epochs=27, n_trials=40, eta=3, min_epochs=3)
    scheduler = SuiteScheduler(Forecasting(asha, n_curves=5), SVR)
    space = {"rate": tune.loguniform(1e-3, 1.0), "momentum": tune.uniform(0, 1)}
    config = tune.TuneConfig("loss", "min", scheduler=scheduler, num_samples=40)
    results = tune.Tuner(Descent, param_space=space, tune_config=config).fit()
    epochs = sum(map(len, scheduler.curve.values()))
    stopped = len(scheduler.scheduler.stopped_at)
    best = results.get_best_result().metrics["loss"]
    print(f"best {best:.3g}; {epochs} of {27 * 40} epochs; {stopped} stopped by a forecast")
