"""How good scores and alerts are, judged by labels that nothing before has seen."""
