"""Adapters by which :func:`toolenv_gym.testing.check_recurrent_learner` checks learners."""
