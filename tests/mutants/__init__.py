"""Learners that are broken on purpose, each by one slip of the field.

``fails`` names the checks that tell of it, the one that is about it first. What that check says, to
the number, is in the tests.
"""

from numpy_learner import NumpyLearner

from mutants import states, targets, users

MUTANTS = {
    name: learner
    for module in (states, targets, users)
    for name, learner in vars(module).items()
    if isinstance(learner, type) and issubclass(learner, NumpyLearner) and learner != NumpyLearner
}
