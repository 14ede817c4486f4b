"""How many steps right learners need for the task of ``toolenv_gym.testing.check_learns``."""
