"""Division whose last digit doesn't depend on what else is in the batch."""

import numpy as np
import polars as pl


def quotient(above: pl.Expr, below: pl.Expr) -> pl.Expr:
    """Divide as IEEE 754 says, row by row; null where either is null or `below` is 0.

    Where Polars knows that a column holds one value only, it multiplies by the reciprocal, which may differ in the last
    digit: a record written alone would then differ from the same record written among others, and two runs over the
    same events, cut into other batches, would not tell the same.
    """
    pair = pl.struct(above.cast(pl.Float64).alias("above"), below.cast(pl.Float64).alias("below"))
    return pair.map_batches(_divided, return_dtype=pl.Float64, is_elementwise=True)


def _divided(pair: pl.Series) -> pl.Series:
    above, below = (pair.struct.field(name).to_numpy() for name in ("above", "below"))
    divides = ~np.isnan(above) & ~np.isnan(below) & (below != 0)
    found = np.divide(above, below, out=np.zeros(len(pair)), where=divides)
    return pl.select(pl.when(pl.Series(divides)).then(pl.Series(found))).to_series()
