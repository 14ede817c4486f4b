"""Recurrent policies and learners, with action masks, for any environment."""
