"""What an agent could earn that sees the expressions of ``ToolArithExpression-v0`` only in part.

A network that averages the embeddings of the context, as the published one does, knows which digits
and operators there are, how often each and how many, but not in which order: it sees *bags*. One
that never looks farther than the expressions reached that it was trained on sees *beginnings*.
Whatever memory such an agent has, and as long as it sees nothing but its own tokens afterwards, it
can at best play for all problems that it sees alike the sequence that answers the most of them.

A sequence's answer is a polynomial of the digits, the same for all operators, as the machine does
not read these. Each digit is taken at most once, so it is linear in each: two sequences answer
alike on all digits if they do on all choices of zeros and ones.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from toolenv_gym.compiled import world_kernel
from toolenv_gym.oracle import Task
from toolenv_gym.rules import START, Machine, Rules
from toolenv_gym.starts import problems_per_template
from toolenv_gym.tokens import TOOL_TOKENS
from toolenv_gym.worlds import expression

Integers = npt.NDArray[np.int64]


def best_success_of_bags(task: Task) -> float:
    """Return the highest success rate over all problems of an agent that sees only their bags.

    It takes a moment at stages 0 to 2, and far longer beyond.

    :param task: of ``ToolArithExpression-v0``; all templates count, each as much as another
    """
    return _best_success(task, *bags(task.stage))


def best_success_of_beginnings(task: Task, depth: int) -> float:
    """Return the highest success rate over all problems of an agent that sees their beginnings.

    It takes as long as :func:`best_success_of_bags`.

    :param task: of ``ToolArithExpression-v0``; all templates count, each as much as another
    :param depth: a stage below the task's, whose expressions are as long as the beginnings
    """
    if not 0 <= depth < task.stage:
        raise ValueError(f"depth must be an integer 0 to {task.stage - 1}, got {depth!r}")
    hidden = task.stage - depth  # as many operators as digits
    operators = np.arange(expression.n_templates(task.stage)) // 3**hidden
    digits = np.arange(problems_per_template(expression, task.stage)) // 10**hidden
    return _best_success(task, operators, digits)


def _best_success(task: Task, operators: Integers, digits: Integers) -> float:
    """Return the success rate of playing alike what has the same two numbers.

    :param operators: a number, from 0, for each template
    :param digits: a number, from 0, for each choice of digits
    """
    if task.rules.NAME != expression.NAME:
        raise ValueError(f"the expressions are those of {expression.NAME}, got {task.rules.NAME}")
    best = np.zeros((operators.max() + 1, digits.max() + 1), dtype=np.int64)
    count = _count_answered(task.rules)
    for sequence in distinct_sequences(task):
        np.maximum(best, count(task.stage, sequence, operators, digits, best.shape), out=best)
    return float(best.sum()) / expression.n_problems(task.stage)


def bags(stage: int) -> tuple[Integers, Integers]:
    """Return the number of the bag of operators of each template, and that of each digits' bag.

    :return: shapes (number of templates,) and (number of digit choices,), each counted from 0
    """
    choices = problems_per_template(expression, stage)
    operators = [
        sorted(expression.problem_at(stage, first).operators)
        for first in range(0, expression.n_problems(stage), choices)
    ]
    places = 10 ** np.arange(expression.n_digits(stage))
    digits = np.sort(np.arange(choices)[:, np.newaxis] // places % 10, axis=1)
    return _numbered(operators), _numbered(digits)


def _numbered(rows: npt.ArrayLike) -> Integers:
    return np.unique(rows, axis=0, return_inverse=True)[1].astype(np.int64).ravel()


def distinct_sequences(task: Task) -> Iterator[Integers]:
    """Yield a shortest sequence for each answer that sequences within the budget can give."""
    n = expression.n_digits(task.stage)
    corners = [
        sum(10**place for place in range(n) if corner >> place & 1) for corner in range(2**n)
    ]
    problems = [expression.problem_at(task.stage, number) for number in corners]
    start = (START,) * len(problems)
    layer: dict[tuple[Machine, ...], tuple[int, ...]] = {start: ()}
    seen, answers = {start}, set()
    for _ in range(task.world.max_steps):  # the last token is [ANS]
        following = {}
        for machines, sequence in layer.items():
            answer = tuple(machine.acc for machine in machines)
            if machines[0].acc_full and answer not in answers:
                answers.add(answer)
                yield np.array(sequence)
            for token in TOOL_TOKENS:
                after = tuple(map(expression.transition, problems, machines, [token] * 2**n))
                if after not in seen:
                    seen.add(after)
                    following[after] = (*sequence, token)
        layer = following


@world_kernel
def _count_answered(rules: Rules) -> Callable[..., Integers]:
    def kernel(
        stage: int,
        sequence: Integers,
        operators: Integers,
        digits: Integers,
        shape: tuple[int, int],
    ) -> Integers:
        """Return how many of the problems seen alike a sequence answers, of that shape."""
        counts = np.zeros(shape, dtype=np.int64)
        for choice in range(len(digits)):
            problem, machine = rules.problem_at(stage, choice), START
            for token in sequence:
                machine = rules.transition(problem, machine, token)
            for template in range(len(operators)):
                target = rules.graded_target(
                    rules.problem_at(stage, template * len(digits) + choice)
                )
                counts[operators[template], digits[choice]] += target == machine.acc
        return counts

    return kernel
