"""How dirty the electricity is: a synthetic intensity for each grid zone and hour.

Sun by the local hour and the season, wind and clouds as weather that lasts for days, demand in the evening. The numbers
are made up; their shape is that of real grids (`tests/sources/test_simulate.py` holds it).
"""

from datetime import timedelta

import numpy as np
import polars as pl

from workbench.focus import TIME
from workbench.sources.simulate import catalogue
from workbench.sources.simulate.estate import Estate
from workbench.sources.simulate.seeds import drifting, rng

GRID = pl.Schema({"zone": pl.String(), "timestamp": TIME, "intensity_g_per_kwh": pl.Float64(), "source": pl.String()})
"""One row a zone and hour, `timestamp` being its start; grams of CO2 equivalent for each kilowatt hour, life cycle."""


def intensity(estate: Estate) -> dict[str, np.ndarray]:
    """Return zone → grams for each kWh, by hour."""
    hours = np.arange(estate.hours)
    season = _season(estate, hours)
    found = {}
    for number, region in enumerate(catalogue.REGIONS.values()):
        noise = rng(estate.seed, "grid", number)
        local = (hours + region.utc_offset) % 24
        clear = 1 / (1 + np.exp(-2.0 * drifting(noise, (1, estate.hours), 30, 1.0)[0]))
        sun = np.maximum(np.cos(np.pi * (local - 12.5) / 13), 0.0) ** 1.3 * (0.75 - 0.35 * season)
        weather = drifting(noise, (1, estate.hours), 36, 1.0)[0] + 0.3 * drifting(noise, (1, estate.hours), 5, 1.0)[0]
        evening = 0.06 * np.exp(-(((local - 19) / 2.5) ** 2))
        factor = (1 - region.solar * 2 * sun * clear) * np.exp(region.wind * weather) * (1 + evening + 0.05 * season)
        found[region.zone] = np.round(np.clip(region.base_g_per_kwh * factor, 12.0, 950.0), 1)
    return found


def _season(estate: Estate, hours: np.ndarray) -> np.ndarray:
    """1 in the middle of January, -1 in the middle of July."""
    day = estate.start.timetuple().tm_yday + hours / 24
    return np.asarray(np.cos(2 * np.pi * (day - 15) / 365.25))


def table(estate: Estate) -> pl.DataFrame:
    """Return the intensities as a frame (`GRID`), by zone and hour."""
    end = estate.start + timedelta(hours=estate.hours)
    stamps = pl.datetime_range(estate.start, end, "1h", closed="left", time_unit="us", eager=True)
    frames = [
        pl.DataFrame({"timestamp": stamps, "intensity_g_per_kwh": grams}).with_columns(
            zone=pl.lit(zone), source=pl.lit("simulated")
        )
        for zone, grams in sorted(intensity(estate).items())
    ]
    return pl.concat(frames).select(list(GRID)).cast(GRID)
