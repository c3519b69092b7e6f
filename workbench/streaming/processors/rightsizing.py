"""Advice on the size of resources, from how much they were used in the last days."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import ClassVar

import numpy as np
import polars as pl

from workbench import keys
from workbench.errors import EventError
from workbench.focus import AMOUNT, TIME
from workbench.streaming.processors.prices import PRICES, ladder, monthly_saving, priced
from workbench.streaming.processors.processor import Outputs
from workbench.streaming.processors.state import UNIT, State
from workbench.streaming.processors.utilisation import (
    ACTIONS,
    HOURS,
    STEPS,
    UNKNOWN,
    Ints,
    Limits,
    Rings,
    Use,
    advise,
    confidence,
    held,
    noted,
    slid,
    use_of,
    window,
)
from workbench.streaming.processors.watermark import (
    MARKS,
    Watermarked,
    arrivals,
    buckets_in,
    marked,
    time_of,
    watermarks,
)

_NEVER = -(2**62)

TOPIC = "finops.optimization.recommendations"

_BY = ("business_unit", "resource_id", "currency")
_KNOWN = {**{name: pl.String() for name in (*_BY, "service", "resource_type")}, "price": AMOUNT}
_LATEST = ("service", "resource_type", "price")
_PROGRESS = ("given", "candidate", "days")
_PENDING = pl.Schema({**_KNOWN, "bucket": pl.Int64(), "epoch": pl.Int64(), "due": pl.Int64(), "level": pl.UInt8()})
_LOOKS = pl.Schema({**{name: pl.String() for name in _BY}, "due": pl.Int64()})
_WRITTEN = pl.Schema(
    {
        "recommendation_id": pl.String(),
        "recommended_at": TIME,
        **{name: pl.String() for name in ("business_unit", "service", "resource_id", "resource_type", "currency")},
        **{name: pl.String() for name in ("action", "previous_action", "target_type")},
        **{name: pl.Float64() for name in ("utilization_quantile", "utilization_mean", "coverage")},
        "off_hours_per_week": pl.Int64(),
        "hourly_price": AMOUNT,
        "monthly_saving": AMOUNT,
        "confidence": pl.Float64(),
        "window_start": TIME,
        "window_end": TIME,
    }
)


@dataclass(frozen=True, kw_only=True)
class RightSizing(Watermarked):
    """Looks at each resource when a day (UTC) is over that told of it, and says so when its advice changes.

    Parameters
    ----------
    limits
        What use calls for which advice.
    prices
        Price table (see `prices.ladder`); a type that isn't in it costs what its events estimate.
    size_ratio
        Capacity and price of the next smaller size, for types that are not in the table.
    window
        How far back use is looked at, in whole days.
    lateness
        How long after its end a day is held open. What comes later still counts from the next look on.

    Notes
    -----
    A record of `finops.optimization.recommendations` has `recommendation_id`, `recommended_at` (event time),
    `business_unit`, `service`, `resource_id`, `resource_type`, `currency`, `action` (`terminate`, `downsize`,
    `upsize`, `schedule-off`, or `keep` for what no longer holds), `previous_action`, `target_type` (null where no
    table names it), `utilization_quantile`, `utilization_mean` (0 to 1), `coverage` (known hours of the window),
    `off_hours_per_week`, `hourly_price`, `monthly_saving` (exact; negative for `upsize`; null without a price),
    `confidence` (a rank from 0 to 1) and the window looked at.
    """

    name: ClassVar[str] = "rightsizing"
    kinds: ClassVar[tuple[str, ...]] = ("resource",)

    bucket: timedelta = timedelta(hours=1)
    lateness: timedelta = timedelta(hours=2)
    window: timedelta = timedelta(days=14)
    limits: Limits = field(default_factory=Limits)
    prices: pl.DataFrame | None = field(default=None, compare=False)
    size_ratio: float = 0.5

    def __post_init__(self) -> None:
        if self.bucket != timedelta(hours=1):
            raise EventError(f"a bucket of {self.bucket}: resource events come by the hour; leave it at one hour")
        if not 0 < self.size_ratio < 1:
            raise EventError(
                f"size_ratio is {self.size_ratio}: a smaller size is a share between 0 and 1 of the larger"
            )

    @cached_property
    def _open(self) -> int:
        """How many hours a day is held open."""
        return buckets_in(self.lateness, self.bucket, "a lateness")

    @cached_property
    def _window(self) -> int:
        return buckets_in(self.window, timedelta(days=1), "a window")

    @cached_property
    def _kept(self) -> int:
        """Days that a ring holds: the window, and those that begin while its last day is open."""
        return self._window + self._open // HOURS + 1

    @cached_property
    def _ladder(self) -> pl.DataFrame:
        return ladder(PRICES.to_frame() if self.prices is None else self.prices)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of events that it looks at."""
        return ("timestamp", "utilization", "cost_estimate", "service", "resource_type", *_BY)

    @property
    def frames(self) -> Mapping[str, pl.Schema]:
        """Columns of the state."""
        progress = {name: pl.Int64() for name in ("hour", "looked", *_PROGRESS)}
        ring = pl.Array(pl.UInt8(), self._kept * HOURS)
        return {"marks": MARKS, "pending": _PENDING, "looks": _LOOKS,
                "resources": pl.Schema({**_KNOWN, **progress, "ring": ring})}  # fmt: skip

    def waiting(self, state: State) -> pl.DataFrame:
        """Hours that are not over, and days that are still open."""
        hours = state["pending"].select(UNIT, due=self._looked(pl.col("epoch")))
        return pl.concat([hours, state["looks"].select(UNIT, "due")])

    def absorb(self, kind: str, frame: pl.DataFrame, state: State) -> State:
        """Keep use until the hour is over in which it arrived."""
        mark = watermarks(state["marks"]).get(kind)
        used = {"level": (pl.col("utilization").max() * STEPS).ceil().clip(0, STEPS).cast(pl.UInt8)}
        latest = {
            "service": pl.last("service"),
            "resource_type": pl.last("resource_type"),
            "price": pl.last("cost_estimate"),
        }
        arrived = arrivals(frame, mark, self.bucket, _BY, used | latest)
        new = arrived.with_columns(due=pl.col("epoch") + 1).sort("epoch", *_BY, "bucket").select(_PENDING.names())
        return state.having(marks=marked(state["marks"], kind, arrived), pending=pl.concat([state["pending"], new]))

    def settle(self, state: State, upto: int) -> tuple[Outputs, State]:
        """Look at the days that are over."""
        over = pl.col("due") <= upto
        late_by = pl.col("epoch") // HOURS - pl.col("bucket") // HOURS
        hours = state["pending"].filter(over & pl.col("level").is_not_null() & (late_by < self._kept))
        in_time = hours.select(*_BY, due=self._looked(pl.col("bucket"))).filter(pl.col("due") > hours["epoch"])
        looks = pl.concat([state["looks"], in_time]).unique(maintain_order=True)
        resources, told, since = state["resources"], [_WRITTEN.to_frame()], _NEVER
        for due in looks.filter(over)["due"].unique().sort().to_list():
            resources = self._noted(resources, hours.filter(pl.col("epoch").is_between(since, due, closed="left")))
            records, resources = self._look(resources, looks.filter(pl.col("due") == due), due)
            told.append(records)
            since = due
        resources = self._noted(resources, hours.filter(pl.col("epoch") >= since))
        # A resource that comes back so long after its last hour and look is a new one anyway.
        next_day = (upto - self._open) // HOURS
        last = pl.max_horizontal(pl.col("hour") // HOURS, "looked")
        living = resources.filter(last + self._kept > next_day)
        return {TOPIC: pl.concat(told)}, state.having(
            pending=state["pending"].filter(~over), looks=looks.filter(~over), resources=living
        )

    def _looked(self, hour: pl.Expr) -> pl.Expr:
        """When the day of an hour is looked at: once it is over, and no longer held open."""
        return (hour // HOURS + 1) * HOURS + self._open

    def _noted(self, resources: pl.DataFrame, hours: pl.DataFrame) -> pl.DataFrame:
        """Write hours into the rings of their resources."""
        if hours.is_empty():
            return resources
        latest = [pl.last(name).alias(f"{name}_now") for name in _LATEST]
        new = hours.sort("bucket", "epoch", maintain_order=True).group_by(_BY).agg(*latest, hour_now=pl.max("bucket"))
        both = resources.join(new, on=_BY, how="full", coalesce=True, nulls_equal=True).sort(_BY)
        newer = (pl.col("hour_now") >= pl.col("hour")).fill_null(pl.col("hour").is_null())
        both = both.with_columns(
            *(pl.when(newer).then(f"{name}_now").otherwise(name).alias(name) for name in _LATEST),
            *(pl.col(name).fill_null(0) for name in _PROGRESS),
            hour_now=pl.max_horizontal("hour", "hour_now"),
        )
        rings = self._rings(both)
        rows = hours.join(both.select(*_BY, "hour_now").with_row_index("row"), on=_BY, how="left", nulls_equal=True)
        places = rows["bucket"] - (rows["hour_now"] // HOURS + 1 - self._kept) * HOURS
        at = rows["row"].to_numpy().astype(np.int64)
        noted(rings, at, places.to_numpy(), rows["level"].to_numpy())
        ring = pl.Series("ring", rings, dtype=resources.schema["ring"])
        return both.with_columns(ring, hour="hour_now").select(resources.columns)

    def _rings(self, both: pl.DataFrame) -> Rings:
        """The rings, slid so that they end with the day of `hour_now`."""
        rings = np.full((both.height, self._kept * HOURS), UNKNOWN, np.uint8)
        known = both["ring"].is_not_null()
        old = both.filter(known)
        if old.height:
            days = (old["hour_now"] // HOURS - old["hour"] // HOURS).to_numpy()
            rings[known.to_numpy()] = slid(old["ring"].to_numpy(), days)
        return rings

    def _look(self, resources: pl.DataFrame, looks: pl.DataFrame, due: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Look at the resources of which a day told."""
        day = (due - self._open) // HOURS - 1
        here = looks.select(_BY).join(resources, on=_BY, how="left", nulls_equal=True).sort(_BY)
        known = (day - pl.col("looked") < self._kept).fill_null(value=False)  # else it is a new one
        here = here.with_columns(
            *(pl.when(known).then(name).otherwise(0).alias(name) for name in _PROGRESS), looked=pl.lit(day, pl.Int64)
        )
        rows = priced(here, self._ladder, self.size_ratio)
        rings = window(here["ring"].to_numpy(), (here["hour"] // HOURS - day).to_numpy(), self._window)
        before, candidate, days = (rows[name].to_numpy() for name in _PROGRESS)
        use = use_of(rings, day, self.limits)
        wanted = advise(use, before, rows["down_saves"].to_numpy(), rows["up_possible"].to_numpy(), self.limits)
        now = held(wanted, before, candidate, days, self.limits)
        after = rows.with_columns(pl.Series(name, of) for name, of in zip(_PROGRESS, now, strict=True))
        others = resources.join(here, on=_BY, how="anti", nulls_equal=True, maintain_order="left")
        told = pl.concat([others, after.select(resources.columns)]).sort(_BY)
        return self._written(after, before, use, due), told

    def _written(self, after: pl.DataFrame, before: Ints, use: Use, due: int) -> pl.DataFrame:
        """The advice that changed."""
        given = after["given"].to_numpy()
        if (given == before).all():
            return _WRITTEN.to_frame()
        names, end = pl.Series(ACTIONS), due - self._open
        rows = after.with_columns(
            action=names.gather(given),
            previous_action=names.gather(before),
            utilization_quantile=pl.Series(use.quantile),
            utilization_mean=pl.Series(use.mean),
            coverage=pl.Series(use.coverage),
            off_hours_per_week=pl.Series(use.off_hours),
            confidence=pl.Series(confidence(use, given, self.limits)),
            recommended_at=time_of(pl.lit(due), self.bucket),
            window_start=time_of(pl.lit(end - self._window * HOURS), self.bucket),
            window_end=time_of(pl.lit(end), self.bucket),
        ).filter(pl.Series(given != before))  # fmt: skip
        action = pl.col("action")
        target = pl.when(action == "downsize").then("smaller").when(action == "upsize").then("larger")
        told = rows.with_columns(
            keys.ids(rows, [*_BY, "recommended_at"]).alias("recommendation_id"),
            target_type=target,
            hourly_price=pl.col("hourly"),
            monthly_saving=monthly_saving(action, pl.col("off_hours_per_week"), self.size_ratio),
        )
        return told.select(_WRITTEN.names()).cast(_WRITTEN)
