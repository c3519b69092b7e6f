"""The loop that runs for ever: processors over the input topics, exactly once."""
