"""Files, processes and devices: what knows neither a learner nor a world."""
