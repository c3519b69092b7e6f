from datetime import date
from pathlib import Path

import pytest

from workbench.sources import simulate
from workbench.sources.estate import EstateFiles, open_estate

END = date(2025, 11, 3)


def made(workloads: int = 14, days: int = 35, seed: int = 11, orders: float = 60.0) -> simulate.Estate:
    return simulate.make(seed, days, END, workloads, orders)


@pytest.fixture(scope="session")
def estate() -> simulate.Estate:
    return made()


@pytest.fixture(scope="session")
def run(estate: simulate.Estate) -> simulate.Run:
    return simulate.Run(estate, simulate.tell(estate))


@pytest.fixture(scope="session")
def files(run: simulate.Run, tmp_path_factory: pytest.TempPathFactory) -> EstateFiles:
    folder = Path(tmp_path_factory.mktemp("estate")) / "out"
    simulate.write(run.estate, run.story, folder, metric_days=2)
    return open_estate(folder)
