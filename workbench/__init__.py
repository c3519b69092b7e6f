"""Workbench: what the cloud cost, why it changed, what broke and why, how much carbon it took, what to do next."""
