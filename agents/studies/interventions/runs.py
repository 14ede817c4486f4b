"""What a GRU agent goes by: greedy episodes with its state, its input or its tokens tampered with.

The network reads the problem and the stage once, as the state h0 in which an episode starts, and
after that only its own last token. At step t it reads the token of step t - 1 (``[CTX]`` at step
1), which turns its state into the next, and chooses the token of step t from the new state. An
intervention changes what h0 is made of, the state between two steps, or the tokens admitted. The
world is never tampered with: it plays and grades the true problem.

The problems are played in a random order, and an episode that is given something of another
problem's is given it of the problem before it in this order.

Linear probes tell, beside, what could be read off the state at each step. That something can be
read off does not mean that the agent goes by it: that is what the interventions tell.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch as th
from torch.nn import functional

from agents.common.files import Row
from agents.toolarith.evaluation import Episodes, Integers, joined
from agents.toolarith.explanation import emitted_tokens
from agents.toolarith.policy import ToolArithGruPolicy
from agents.toolarith.saved_models import load_model
from agents.toolarith.settings import AlgorithmName
from agents.toolarith.stepping import read
from toolenv_gym.observation import CONTEXT, PREVIOUS, STAGE
from toolenv_gym.oracle import Task
from toolenv_gym.sequences import first_observations, machines_along, play_sequences
from toolenv_gym.tokens import ANS, CTX, RCL, STO, TOOL_TOKENS, token_name
from toolenv_gym.worlds import memory
from toolenv_gym.worlds.five_digits import N_STAGES, shown_digits

WORLD = memory.NAME
STUDIED = Task(memory, stage=2)  # the task that cannot be solved without the register
BATCH = 5_000  # episodes played side by side; more of them do not fit a processor's cache
SEED = 0  # of the order of the problems, the sample to probe and the random tokens

Change: TypeAlias = Callable[[int, th.Tensor, th.Tensor], th.Tensor]


def load_policy(
    path: Path, algo: AlgorithmName | None = None, trust: bool = False
) -> ToolArithGruPolicy:
    """Load the policy of a saved model.

    :param path: the folder of a run, or a model file
    :param algo: of a file that lies in no run's folder, see
        :func:`agents.toolarith.saved_models.load_model`, as for ``trust``
    :raises FileNotFoundError: there is no such file
    :raises ValueError: it holds no policy that can be studied here
    """
    saved = load_model(path, "cpu", algo, trust)
    if saved.run is not None and saved.run.settings.env != WORLD:
        world = saved.run.settings.env
        raise ValueError(f"{path} was trained on {world}, the interventions are on {WORLD}")
    policy = saved.model.policy
    if not isinstance(policy, ToolArithGruPolicy):
        raise ValueError(
            f"{path} has a {type(policy).__name__}, the interventions are on the published "
            "network, ToolArithGruPolicy: take a run of maskable_recurrent_ppo, recurrent_a2c or "
            "recurrent_ppo"
        )
    return policy


def study(policy: ToolArithGruPolicy, seed: int) -> dict[str, list[Row]]:
    """Return the rows of :func:`intervene`, :func:`all_plans` and :func:`probe`, by these names.

    :param seed: of the untrained network that the probes of this one are compared with
    """
    return {
        "interventions": list(intervene(policy, STUDIED)),
        "plans": all_plans(policy),
        "probes": probe(policy, untrained_like(policy, seed), STUDIED),
    }


# ------------------------------------------------------------------------------- interventions


def _as_it_is(observations: Integers) -> Integers:
    return observations


def _unchanged(step: int, hidden: th.Tensor, start: th.Tensor) -> th.Tensor:
    return hidden


@dataclass(frozen=True)
class Intervention:
    """One way to tamper with an agent; by default none.

    :param excluded: tokens that are never admitted
    :param show: given the first observations of a batch of episodes, int64, shape (n, 8), returns
        those that the network is shown in their place
    :param change: given the number of a step, 1 for the first, the states after it and those in
        which the episodes started, float32, shape (1, n, d), returns the states that the next step
        begins with
    """

    name: str = "untouched"
    detail: str = ""
    excluded: tuple[int, ...] = ()
    show: Callable[[Integers], Integers] = _as_it_is
    change: Change = _unchanged


UNTOUCHED = Intervention()


def interventions(task: Task) -> list[Intervention]:
    """Return the interventions that :func:`intervene` tries on a task."""
    steps = range(1, task.world.max_steps)
    others = [stage for stage in range(N_STAGES) if stage != task.stage]
    return [
        *(_without(*tokens) for tokens in ((STO, RCL), (STO,), (RCL,))),
        *(Intervention("state reset to h0", f"after step {k}", change=_reset(k)) for k in steps),
        *(Intervention("state swapped", f"after step {k}", change=_swap(k)) for k in steps),
        Intervention("context of another problem", show=_context_of_another),
        *(Intervention("stage embedding", f"of stage {s}", show=_stage(s)) for s in others),
    ]


def _without(*tokens: int) -> Intervention:
    names = " and ".join(token_name(token) for token in tokens)
    return Intervention("masked", names, excluded=tokens)


def _reset(after: int) -> Change:
    return lambda step, hidden, start: start if step == after else hidden


def _swap(after: int) -> Change:
    return lambda step, hidden, start: hidden.roll(1, dims=1) if step == after else hidden


def _context_of_another(observations: Integers) -> Integers:
    shown = observations.copy()
    shown[:, CONTEXT] = np.roll(observations[:, CONTEXT], 1, axis=0)
    return shown


def _stage(stage: int) -> Callable[[Integers], Integers]:
    def show(observations: Integers) -> Integers:
        shown = observations.copy()
        shown[:, STAGE] = stage
        return shown

    return show


def play(
    policy: ToolArithGruPolicy,
    task: Task,
    problems: Integers,
    intervention: Intervention = UNTOUCHED,
) -> Episodes:
    """Play one greedy episode of a tampered-with policy on each problem, in batches.

    What an episode is given of another problem's comes from the one before it in its batch; the
    first is given it of the last. The network goes on reading its own tokens after an episode's
    end, so that it has a state to give.

    :param problems: the numbers of the true problems, shape (n,)
    """
    parts = [
        _play(policy, task, problems[start : start + BATCH], intervention)
        for start in range(0, len(problems), BATCH)
    ]
    return joined(parts)


@th.no_grad()
def _play(
    policy: ToolArithGruPolicy, task: Task, problems: Integers, intervention: Intervention
) -> Episodes:
    n, steps = len(problems), task.world.max_steps
    observations = th.as_tensor(intervention.show(_observations(task, problems)))
    tokens = np.full((n, steps), -1)
    over = np.zeros(n, dtype=np.bool_)
    start = hidden = policy.initial_state(observations)
    for step in range(steps):
        logits, hidden = read(policy, observations, hidden)
        logits[:, list(intervention.excluded)] = -th.inf
        hidden = intervention.change(step + 1, hidden, start)
        emitted = logits.argmax(dim=1).numpy()
        observations[:, PREVIOUS] = th.as_tensor(emitted)
        tokens[~over, step] = emitted[~over]
        over |= emitted == ANS
        if over.all():
            break
    stages = np.full(n, task.stage)
    return Episodes(problems, tokens, *play_sequences(task.world, stages, problems, tokens))


def _observations(task: Task, problems: Integers) -> Integers:
    """Return the observations after resets to problems, shape (n, 8)."""
    return first_observations(task.rules, np.full(len(problems), task.stage), problems)


def intervene(policy: ToolArithGruPolicy, task: Task) -> Iterator[Row]:
    """Try every intervention on all problems of a task, the untouched agent first.

    :return: rows of means over the problems; ``same_tokens`` is the share of episodes with exactly
        the tokens of the untouched agent, ``most_frequent_tokens`` what most episodes emit
    """
    problems = _problems(task)
    untouched = play(policy, task, problems)
    yield _row(UNTOUCHED, task, untouched, untouched)
    for intervention in interventions(task):
        yield _row(intervention, task, play(policy, task, problems, intervention), untouched)


def _problems(task: Task) -> Integers:
    """Return the numbers of all problems of a task in a random order."""
    return np.random.default_rng(SEED).permutation(task.numbers)


def _row(intervention: Intervention, task: Task, episodes: Episodes, untouched: Episodes) -> Row:
    most_frequent = plan_rows(task.stage, episodes)[0]
    return {
        "intervention": intervention.name,
        "detail": intervention.detail,
        "stage": task.stage,
        "problems": len(episodes.problems),
        "success_rate": float(episodes.success.mean()),
        "mean_return": float(episodes.returns.mean()),
        "same_tokens": float((episodes.tokens == untouched.tokens).all(axis=1).mean()),
        "most_frequent_tokens": most_frequent["tokens"],
        "their_frequency": most_frequent["frequency"],
    }


# --------------------------------------------------------------------------------------- plans


def all_plans(policy: ToolArithGruPolicy) -> list[Row]:
    """Return :func:`plan_rows` of the untouched agent, on all problems of each stage."""
    tasks = [Task(memory, stage) for stage in range(N_STAGES)]
    return [
        row for task in tasks for row in plan_rows(task.stage, play(policy, task, _problems(task)))
    ]


def plan_rows(stage: int, episodes: Episodes) -> list[Row]:
    """Return a row for each sequence of tokens that was played, the most frequent first."""
    sequences, which, counts = np.unique(
        episodes.tokens, axis=0, return_inverse=True, return_counts=True
    )
    successes = np.bincount(which.reshape(-1), weights=episodes.success)
    return [
        {
            "stage": stage,
            "tokens": " ".join(token_name(token) for token in emitted_tokens(sequences[i])),
            "episodes": int(counts[i]),
            "frequency": float(counts[i] / counts.sum()),
            "success_rate": float(successes[i] / counts[i]),
        }
        for i in np.argsort(-counts, kind="stable")
    ]


def token_tree(plans: Sequence[Row]) -> dict[tuple[str, ...], float]:
    """Return the share of the episodes that begin with each sequence of tokens.

    :param plans: rows of :func:`plan_rows` of one stage, of one model or several
    :return: every beginning of a sequence that was played, the empty one with share 1
    """
    total = sum(row["episodes"] for row in plans)
    episodes: dict[tuple[str, ...], int] = {}
    for row in plans:
        tokens = tuple(row["tokens"].split())
        for length in range(len(tokens) + 1):
            beginning = tokens[:length]
            episodes[beginning] = episodes.get(beginning, 0) + row["episodes"]
    return {beginning: count / total for beginning, count in episodes.items()}


# -------------------------------------------------------------------------------------- probes

PROBED = 8_000  # problems
HELD_OUT = 2_000  # of them, to score the probes on
POOLED = ("memory_full", "accumulator", "steps_taken")  # also probed for in all steps together
SCALE = 10  # the accumulator is probed for modulo this
ITERATIONS = 30  # of a probe's fit
WEIGHT_DECAY = 1e-4
ROUNDING = 1e-5  # spread of the states, as a share of the widest, that is left to rounding


def untrained_like(policy: ToolArithGruPolicy, seed: int) -> ToolArithGruPolicy:
    """Return a policy of the same architecture, with the weights that a torch seed gives."""
    with th.random.fork_rng(devices=[]):
        th.manual_seed(seed)
        return ToolArithGruPolicy(
            policy.observation_space,
            policy.action_space,
            lambda _: 0.0,
            hidden_size=policy.lstm_output_dim,
        )


def probe(policy: ToolArithGruPolicy, untrained: ToolArithGruPolicy, task: Task) -> list[Row]:
    """Return how well linear probes read the machine and the digits off the hidden state.

    A probe of step t is given the state from which the network chooses its token t, and asked for
    what holds before that token is played: whether the memory is full, the accumulator modulo 10
    (empty is a class of its own), the t - 1 steps taken, and each of the five digits. In the
    episodes of an agent with one plan, memory and steps taken are the same in all states of a step;
    so the states of all steps are probed together, too.

    The episodes are the policy's greedy ones, and others whose tokens are drawn uniformly from the
    five tools. The untrained network is made to read the same problems and the same tokens.

    :return: rows with the probe's accuracy on problems that it was not fitted to, and with that of
        always naming the most frequent class of those it was fitted to (``majority``)
    """
    generator = np.random.default_rng(SEED)
    problems = generator.choice(task.numbers, PROBED, replace=False)
    tokens = {
        "greedy": play(policy, task, problems).tokens,
        "random tokens": generator.choice(TOOL_TOKENS, (PROBED, task.world.max_steps)),
    }
    return [
        {"data": data, "network": name} | row
        for data, played in tokens.items()
        for name, network in {"trained": policy, "untrained": untrained}.items()
        for row in _probe_rows(
            states_along(network, task, problems, played),
            probe_targets(task, problems, played),
            played >= 0,
        )
    ]


def digit_ceiling(stage: int) -> float:
    """Return how often anything that reads h0, or states that follow on it, can name a digit.

    h0 comes from the mean of what is shown: it may tell how many digits of each kind there are, but
    not which of them stands where. The best guess is the most frequent one.
    """
    shown = _digits(stage, np.arange(memory.n_problems(stage)))[:, : shown_digits(stage)]
    counts = (shown[:, :, np.newaxis] == np.arange(10)).sum(axis=1)
    return float(counts.max(axis=1).mean() / shown.shape[1])


def _probe_rows(
    states: npt.NDArray[np.float32], targets: dict[str, Integers], played: npt.NDArray[np.bool_]
) -> Iterator[Row]:
    """Yield the scores of the probes of each step, then of those of all steps.

    :param states: shape (n, steps, d)
    :param targets: each of shape (n, steps)
    :param played: whether an episode still went on, shape (n, steps)
    """
    fitted = np.zeros(played.shape, dtype=np.bool_)
    fitted[:-HELD_OUT] = True
    cases: list[tuple[int | str, slice, Sequence[str]]] = [
        (step, slice(step - 1, step), tuple(targets))
        for step in range(1, played.shape[1] + 1)
        if played[:, step - 1].any()
    ]
    for step, columns, names in [*cases, ("all", slice(None), POOLED)]:
        rows = played[:, columns]
        scores = linear_probe(
            states[:, columns][rows],
            {name: targets[name][:, columns][rows] for name in names},
            fitted[:, columns][rows],
        )
        for name, (accuracy, majority) in scores.items():
            yield {"step": step, "target": name, "accuracy": accuracy, "majority": majority}


@th.no_grad()
def states_along(
    policy: ToolArithGruPolicy, task: Task, problems: Integers, tokens: Integers
) -> npt.NDArray[np.float32]:
    """Return the states from which a policy would choose each token, were the earlier ones its own.

    :param tokens: shape (n, steps), -1 after the end of an episode
    :return: shape (n, steps, d)
    """
    observations = th.as_tensor(_observations(task, problems))
    hidden = policy.initial_state(observations)
    states = []
    for previous in (np.full(len(problems), CTX), *np.maximum(tokens, 0).T[:-1]):
        observations[:, PREVIOUS] = th.as_tensor(previous)
        _, hidden = read(policy, observations, hidden)
        states.append(hidden[0].numpy())
    return np.stack(states, axis=1)


def probe_targets(task: Task, problems: Integers, tokens: Integers) -> dict[str, Integers]:
    """Return what the probes are asked for, before each token, each of shape (n, steps).

    :param tokens: shape (n, steps), -1 after the end of an episode
    """
    n, steps = tokens.shape
    machines = machines_along(task.world, np.full(n, task.stage), problems, tokens)
    acc_full, acc, memory_full, *_ = np.moveaxis(machines[:, :-1], 2, 0)
    digits = _digits(task.stage, problems)
    return {
        "memory_full": memory_full,
        "accumulator": np.where(acc_full == 1, acc % SCALE, SCALE),
        "steps_taken": np.tile(np.arange(steps), (n, 1)),
        **{f"digit_{name}": np.tile(digits[:, [i]], steps) for i, name in enumerate("abcde")},
    }


def _digits(stage: int, problems: Integers) -> Integers:
    """Return the digits of problems by their numbers, shape (n, 5)."""
    return np.array([memory.problem_at(stage, number).digits for number in problems.tolist()])


def linear_probe(
    inputs: npt.NDArray[np.float32], targets: dict[str, Integers], fitted: npt.NDArray[np.bool_]
) -> dict[str, tuple[float, float]]:
    """Fit multinomial logistic regressions, one a target, and score them on the other rows.

    :param inputs: shape (n, d)
    :param targets: classes, numbered from 0, each of shape (n,)
    :param fitted: which rows they are fitted to, shape (n,)
    :return: for each target the accuracy, and that of always naming the most frequent class of the
        rows fitted to
    """
    features = _whiten(th.as_tensor(inputs).double(), fitted)
    classes = {name: th.as_tensor(values) for name, values in targets.items()}
    sizes = [int(values.max()) + 1 for values in classes.values()]
    weights = th.zeros(features.shape[1], sum(sizes), dtype=th.float64, requires_grad=True)
    train, train_classes = features[fitted], [values[fitted] for values in classes.values()]

    def loss() -> th.Tensor:
        weights.grad = None
        total = WEIGHT_DECAY * weights.square().sum()
        for logits, right in zip(th.split(train @ weights, sizes, 1), train_classes, strict=True):
            total = total + functional.cross_entropy(logits, right)
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer = th.optim.LBFGS([weights], max_iter=ITERATIONS, line_search_fn="strong_wolfe")
    optimizer.step(loss)  # type: ignore[no-untyped-call]
    scores = {}
    parts = th.split(features[~fitted] @ weights, sizes, 1)
    for logits, (name, values) in zip(parts, classes.items(), strict=True):
        usual = values[fitted].bincount().argmax()
        hits = (values[~fitted] == logits.argmax(dim=1), values[~fitted] == usual)
        scores[name] = (float(hits[0].double().mean()), float(hits[1].double().mean()))
    return scores


def _whiten(features: th.Tensor, fitted: npt.NDArray[np.bool_]) -> th.Tensor:
    """Return features in uncorrelated directions of variance 1, and a column of ones.

    The same can be read off them by a linear probe, but its fit takes far fewer iterations.

    :param features: shape (n, d)
    :return: shape (n, r + 1), where r is the rank of the features
    """
    features = features - features[fitted].mean(dim=0)
    _, spreads, directions = th.linalg.svd(features[fitted], full_matrices=False)
    kept = spreads > ROUNDING * max(float(spreads[0]), 1.0)
    scales = float(fitted.sum()) ** 0.5 / spreads[kept]
    return th.cat([features @ directions[kept].T * scales, th.ones_like(features[:, :1])], dim=1)
