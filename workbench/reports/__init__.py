"""A report is (notebook, profile, as-of date): run, published, and put in its place as one."""
