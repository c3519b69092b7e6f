"""What all tests share."""

from hypothesis import HealthCheck, settings

# Seeded, so that a run can be repeated; without a clock, because a busy machine is no reason to fail.
settings.register_profile(
    "workbench", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("workbench")
