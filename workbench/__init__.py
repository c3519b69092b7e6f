"""Workbench: what the cloud cost, why it changed, what broke and why, how much carbon it took, and what to do next."""
