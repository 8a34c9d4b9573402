"""What pyproject.toml cannot say: conf/ and results_schema/ lie inside `suite` in a wheel, as data.

In a checkout they stay at the top, where people edit them; suite/run/paths.py finds both.
"""

from setuptools import find_packages, setup

DATA = {"suite.conf": "conf", "suite.results_schema": "results_schema"}

setup(
    packages=[*find_packages(include=["suite*", "models*", "swiftbench*"]), *DATA],
    package_dir=DATA,
    package_data={
        "suite.conf": ["**/*.yaml"],
        "suite.results_schema": ["*.json", "*.md"],
        **{name: ["py.typed"] for name in ("suite", "models", "swiftbench")},
        "models.mlpf": ["spaces.yaml"],
    },
    include_package_data=False,
)
