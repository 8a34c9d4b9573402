"""A scheduler of the suite as a scheduler of Ray Tune: pip install swiftbench 'ray[tune]'.

Any that asks no predictor, for Ray can pause a trial and go on from its checkpoint. Lost are the journal with
its replay, the resuming of a search, energy, and the suite's searchers: Ray's own choose the configurations.
Report once an epoch. Give Ray as many trials as the scheduler has: num_samples.
"""

import os

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from suite.core import DONE, Train
from suite.schedulers.asha import Asha


class SuiteScheduler(TrialScheduler):
    """Trains what `scheduler` asks for: its trial i is the i-th that Ray adds."""

    supports_buffered_results = False

    def __init__(self, scheduler):
        super().__init__()
        # Ray would line up all new trials before one that goes on.
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = "1"
        self.scheduler, self.is_over = scheduler, False
        self.trials, self.number, self.curve = [], {}, {}
        self.goal = {}  # of trials that are to be trained, or are: until they are told

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
        return self.STOP if len(self.curve[i]) == self.scheduler.max_epochs else self.PAUSE

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
        """Whether the scheduler has one more trial to train."""
        while isinstance(decision := self.scheduler.ask(), Train):
            i = decision.trial_id
            self.goal[i] = decision.to_epoch
            if len(self.curve.get(i, ())) < decision.to_epoch:
                return True
            self.told(i)  # Ray had begun it before
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

    def reset_config(self, config):
        self.setup(config)
        return True

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
    scheduler = SuiteScheduler(Asha(max_epochs=9, n_trials=12, eta=3))
    config = tune.TuneConfig(
        metric="loss", mode="min", scheduler=scheduler, num_samples=12, reuse_actors=True
    )
    space = {"rate": tune.loguniform(1e-3, 1.0), "momentum": tune.uniform(0, 1)}
    results = tune.Tuner(Descent, param_space=space, tune_config=config).fit()
    epochs = [len(curve) for curve in scheduler.curve.values()]
    best = results.get_best_result().metrics["loss"]
    print(f"epochs of each trial: {sorted(epochs)}; {sum(epochs)} of {9 * 12}; best {best:.3g}")
