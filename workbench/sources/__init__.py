"""The outside world in: bills, metrics, grids."""
