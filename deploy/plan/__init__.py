"""What to do for a model: from what is wanted and what is seen to steps. Pure."""
