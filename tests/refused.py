"""A reset that is refused."""

import pytest
from gymnasium.utils.env_checker import data_equivalence as same

from toolenv_gym.tokens import ADD, MUL


def check_refused_reset(make, options, exception, message):
    """See that a reset with these options is refused, and leaves the episode as it was."""
    env, untouched = make(), make()
    for each in (env, untouched):
        each.reset(seed=0)
        each.step(MUL)
    with pytest.raises(exception, match=message):
        env.reset(seed=1, options=options)
    assert same(env.step(ADD), untouched.step(ADD))
    assert same(env.reset(), untouched.reset())
