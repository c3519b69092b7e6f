"""A simulated cloud estate that tells one story: traffic makes load, latency, revenue, cost and energy.

    estate = simulate.make(seed=7, days=120, end=date(2025, 11, 1))
    simulate.write(estate, simulate.tell(estate), Path("estate"), metric_days=7)

The same seed, size and days give the same files, byte by byte. What really happened lies apart, in `truth/`.
"""

from workbench.sources.simulate.estate import Estate, make
from workbench.sources.simulate.run import Run
from workbench.sources.simulate.story import Story, tell
from workbench.sources.simulate.write import Written, write

__all__ = ["Estate", "Run", "Story", "Written", "make", "tell", "write"]
