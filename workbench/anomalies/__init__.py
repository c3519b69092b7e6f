"""What is strange in a metric, since when, and how sure that is."""
