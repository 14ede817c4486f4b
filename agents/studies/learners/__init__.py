"""Every learner with its default settings."""
