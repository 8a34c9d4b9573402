"""ReFrame tests (4.10 or newer): a level of the benchmark, or a search of one's own, on any system of a site.

    reframe -c benchmark/reframe -r -t level          every level with each of its algorithms
    reframe -c benchmark/reframe -r -n 'SwiftbenchLevel%level=test%algorithm=hyperband'
    reframe -c benchmark/reframe -r -t smoke          a simulated search of seconds: is the suite installed

Sanity: every run is completed and valid, and reached the level's target: `swiftbench export merits` says so.
Performance: each figure of merit, the median over the seeds. References per system stand in references.yaml.
`-S num_tasks=5` with a partition's launcher (mpirun, srun) gives one deciding rank and four that train.
`-S executable='apptainer exec torch.sif swiftbench'` takes the suite from an image.
"""

import re
from pathlib import Path

import reframe as rfm
import reframe.utility.sanity as sn
import reframe.utility.typecheck as typ
import yaml
from reframe.core.builtins import (
    deferrable,
    parameter,
    run_after,
    run_before,
    sanity_function,
    variable,
)
from reframe.core.exceptions import PerformanceError, SanityError

CONF = Path(__file__).resolve().parents[2] / "conf"
LEVELS = yaml.safe_load((CONF / "levels.yaml").read_text(encoding="utf-8"))
MEDIAN = r"^median (\S+) (\S+) (\S+) (\S+) n=\d+ "
TOLD = 6
"""Lines of what a failed command said that ReFrame repeats."""


def algorithms(level):
    """The algorithms of a level, by its command or by the experiment that it names."""
    words = dict(word.split("=", 1) for word in LEVELS[level]["command"] if "=" in word)
    if "algorithm" not in words:
        experiment = CONF / "experiment" / f"{words['experiment']}.yaml"
        params = yaml.safe_load(experiment.read_text(encoding="utf-8"))["hydra"]["sweeper"][
            "params"
        ]
        words["algorithm"] = params["algorithm"]
    return words["algorithm"].split(",")


class SwiftbenchSearch(rfm.RunOnlyRegressionTest):
    """Runs `swiftbench run WORDS`, and takes figures from valid runs alone.

    target: of the metric, in its own direction; None: no time to it is measured.
    """

    words = variable(typ.List[str], value=[])
    target = variable(float, type(None), value=None)
    valid_systems = ["*"]
    valid_prog_environs = ["*"]
    executable = "swiftbench"
    time_limit = "2h"
    reference = {"$ref": "references.yaml"}

    def exported(self):
        """Options of `swiftbench export merits`."""
        return [] if self.target is None else [f"--target={self.target}"]

    @run_before("run")
    def prepare(self):
        self.env_vars["SUITE_RUNS"] = "runs"
        self.executable_opts = ["run", *self.words, "report=false", "tracking=later"]
        merits = " ".join([self.executable, "export", "merits", "runs", *self.exported()])
        self.postrun_cmds = [*self.postrun_cmds, merits]
        self.keep_files = ["runs"]

    @sanity_function
    def completed_and_valid(self):
        if not re.search(r"^valid (\d+) of \1 runs$", self.printed(self.stdout), re.M):
            said = self.printed(self.stderr)
            last = " | ".join(said.strip().splitlines()[-TOLD:]) or "nothing was said"
            raise SanityError(f"no valid runs: {last}")
        for algorithm, figure, value, _ in self.medians():
            if figure == "seconds_to_target" and value == float("inf"):
                raise SanityError(f"{algorithm}: the median of the runs did not reach the target")
        return True

    def printed(self, stream):
        """Hooks run outside of the stage folder."""
        return Path(self.stagedir, str(sn.evaluate(stream))).read_text(errors="replace")

    def medians(self):
        """(algorithm, figure, value, unit) of each."""
        found = re.findall(MEDIAN, self.printed(self.stdout), re.M)
        return [(algorithm, figure, float(value), unit) for algorithm, figure, value, unit in found]

    @run_before("performance")
    def figures_of_merit(self):
        medians = self.medians()
        several = len({algorithm for algorithm, *_ in medians}) > 1
        for algorithm, figure, value, unit in medians:
            name = re.sub(r"\W", "_", f"{algorithm}_{figure}") if several else figure
            self.perf_variables[name] = sn.make_performance_function(_constant(value), unit)
        # ReFrame passes over a figure that was not measured: a reference for one is not met.
        try:
            expected = self.reference[self]
        except KeyError:
            return
        if absent := sorted(set(expected) - set(self.perf_variables)):
            raise PerformanceError(
                f"references.yaml names what was not measured: {', '.join(absent)}"
            )


@deferrable
def _constant(value):
    return value


@rfm.simple_test
class SwiftbenchSmoke(SwiftbenchSearch):
    """A simulated search of seconds: SIMULATED time, which says nothing of the machine."""

    descr = "swiftbench: a small search, SIMULATED TIME"
    words = ["model=table_target", "backend=simulate", "backend.workers=2", "max_epochs=9"]
    target = 1.0
    tags = {"smoke"}


@rfm.simple_test
class SwiftbenchLevel(SwiftbenchSearch):
    """A level of conf/levels.yaml with one of its algorithms, by the rules of its closed division."""

    level = parameter(list(LEVELS))
    algorithm = parameter(sorted({a for level in LEVELS for a in algorithms(level)}))
    tags = {"level"}

    @run_after("init")
    def choose(self):
        simulated = ", SIMULATED TIME" * ("backend=simulate" in LEVELS[self.level]["command"])
        self.descr = f"swiftbench: level {self.level}, {self.algorithm}{simulated}"
        self.skip_if(
            self.algorithm not in algorithms(self.level),
            f"level {self.level} has no {self.algorithm}",
        )
        words = [w for w in LEVELS[self.level]["command"] if not w.startswith("algorithm=")]
        self.words = [*words, f"algorithm={self.algorithm}"]

    def exported(self):
        return [f"--level={self.level}"]
