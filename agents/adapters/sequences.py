"""What adapters of learners that cut rollouts into sequences of equal length have in common."""


def largest_divisor(number: int, at_most: int) -> int:
    """Return the largest divisor of a number up to a limit.

    :param number: at least 1
    :param at_most: at least 1
    """
    return next(divisor for divisor in range(at_most, 0, -1) if number % divisor == 0)
