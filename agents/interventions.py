"""What a GRU agent goes by: greedy episodes with its state, its input or its tokens tampered with.

The network reads the problem and the stage once, as the state h0 in which an episode starts, and
after that only its own last token. At each step it reads that token (``[CTX]`` at step 1), which
turns its state into the next, and emits a token chosen from the new state. An intervention changes
what h0 is made of, the state between two steps, or the tokens admitted. The world is never
tampered with: it plays and grades the true problem.

The problems are played in a random order, and where one episode is given something of another's,
it is that of the episode before it in this order.

Linear probes then tell what could be read off the state at each step.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch as th
from torch.nn import functional

from agents.evaluation import Episodes, Integers
from agents.explanation import emitted_tokens
from agents.paper_policy import ToolArithGruPolicy
from toolenv_gym import oracle, rules
from toolenv_gym.compiled import EpisodeBatch, play_batch
from toolenv_gym.observation import CONTEXT, PREVIOUS, STAGE, observe
from toolenv_gym.oracle import Task
from toolenv_gym.tokens import CTX, RCL, STO, TOOL_TOKENS, token_name

BATCH = 5_000  # episodes played side by side; larger ones leave the processor's cache
ORDER_SEED = 0  # of the order in which the problems are played

Row: TypeAlias = dict[str, Any]
Change: TypeAlias = Callable[[int, th.Tensor, th.Tensor], th.Tensor]


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
    steps = range(1, task.max_steps)
    others = [stage for stage in range(rules.N_STAGES) if stage != task.stage]
    return [
        *(_without(*tokens) for tokens in ((STO, RCL), (STO,), (RCL,))),
        *(Intervention("state reset to h0", f"after step {k}", change=_reset(k)) for k in steps),
        *(Intervention("state swapped", f"after step {k}", change=_swap(k)) for k in steps),
        Intervention("context of another problem", show=_context_of_another),
        *(Intervention("stage embedding", f"of stage {s}", show=_stage(s)) for s in others),
    ]


def _without(*tokens: int) -> Intervention:
    names = " and ".join(token_name(token) for token in tokens)
    return Intervention("tokens masked", names, excluded=tokens)


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
    digits: Integers,
    intervention: Intervention = UNTOUCHED,
) -> Episodes:
    """Play one greedy episode of a tampered-with policy on each problem, in batches.

    A swap exchanges nothing with an episode that is over: the network's state goes on from the
    tokens that it would have emitted.

    :param digits: the true problems, shape (n, 5), in the order in which episodes are neighbours
    """
    parts = [
        _play(policy, task, digits[start : start + BATCH], intervention)
        for start in range(0, len(digits), BATCH)
    ]
    return Episodes(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


@th.no_grad()
def _play(
    policy: ToolArithGruPolicy, task: Task, digits: Integers, intervention: Intervention
) -> Episodes:
    n = len(digits)
    observations = th.as_tensor(intervention.show(observe(digits, task.stage)))
    batch = EpisodeBatch(
        task.rule_set, task.shaping, task.max_steps, digits, np.full(n, task.stage)
    )
    tokens = np.full((n, task.max_steps), -1)
    start = hidden = policy.initial_state(observations)
    for step in range(task.max_steps):
        logits, hidden = _read(policy, observations, hidden)
        logits[:, list(intervention.excluded)] = -th.inf
        hidden = intervention.change(step + 1, hidden, start)
        emitted = logits.argmax(dim=1).numpy()
        observations[:, PREVIOUS] = th.as_tensor(emitted)
        tokens[~batch.over, step] = emitted[~batch.over]
        batch.play(emitted)
        if batch.over.all():
            break
    return Episodes(digits, tokens, batch.returns, *batch.outcomes())


def _read(
    policy: ToolArithGruPolicy, observations: th.Tensor, hidden: th.Tensor
) -> tuple[th.Tensor, th.Tensor]:
    """Return the logits, shape (n, 18), and the state after the previous token was read."""
    going_on = th.zeros(len(observations))
    distribution: Any
    distribution, (hidden, _) = policy.get_distribution(observations, (hidden, hidden), going_on)
    return distribution.distribution.logits, hidden


def intervene(policy: ToolArithGruPolicy, task: Task) -> Iterator[Row]:
    """Try every intervention on all problems of a task, the untouched agent first.

    :return: rows of the means over the problems; ``same_tokens`` is the share of episodes with
        exactly the tokens of the untouched agent, ``most_frequent_tokens`` the sequence that most
        episodes have
    """
    problems = oracle.all_digits(task.stage)
    digits = np.random.default_rng(ORDER_SEED).permutation(problems)
    untouched = play(policy, task, digits)
    yield _row(UNTOUCHED, task, untouched, untouched)
    for intervention in interventions(task):
        episodes = play(policy, task, digits, intervention)
        yield _row(intervention, task, episodes, untouched)


def _row(intervention: Intervention, task: Task, episodes: Episodes, untouched: Episodes) -> Row:
    most_frequent = plan_rows(task.stage, episodes)[0]
    return {
        "intervention": intervention.name,
        "detail": intervention.detail,
        "stage": task.stage,
        "problems": len(episodes.digits),
        "success_rate": float(episodes.success.mean()),
        "mean_return": float(episodes.returns.mean()),
        "same_tokens": float((episodes.tokens == untouched.tokens).all(axis=1).mean()),
        "most_frequent_tokens": most_frequent["tokens"],
        "their_share": most_frequent["share"],
    }


# --------------------------------------------------------------------------------------- plans


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
            "share": float(counts[i] / counts.sum()),
            "success_rate": float(successes[i] / counts[i]),
        }
        for i in np.argsort(-counts, kind="stable")
    ]


def token_tree(plans: Sequence[Row]) -> dict[tuple[str, ...], float]:
    """Return the share of the episodes that begin with each sequence of tokens.

    :param plans: rows of :func:`plan_rows` of one stage, of one model or several
    :return: by sequence; every beginning of a sequence is there, the empty one with share 1
    """
    total = sum(row["episodes"] for row in plans)
    tree: dict[tuple[str, ...], float] = {}
    for row in plans:
        tokens = tuple(row["tokens"].split())
        for length in range(len(tokens) + 1):
            tree[tokens[:length]] = tree.get(tokens[:length], 0.0) + row["episodes"] / total
    return tree


# -------------------------------------------------------------------------------------- probes

PROBED = 8_000  # problems
HELD_OUT = 2_000  # of them, to score the probes on
POOLED = ("memory_full", "accumulator", "steps_taken")  # also probed for in all steps together
SCALE = 10  # the accumulator is probed for modulo this
WEIGHT_DECAY = 1e-4
NEGLIGIBLE = 1e-5  # spread of the states, as a share of the widest, that is left to rounding


def untrained_like(policy: ToolArithGruPolicy, seed: int) -> ToolArithGruPolicy:
    """Return a policy of the same architecture with the weights that a seed gives."""
    with th.random.fork_rng():
        th.manual_seed(seed)
        return ToolArithGruPolicy(
            policy.observation_space,
            policy.action_space,
            lambda _: 0.0,
            hidden_size=policy.lstm_output_dim,
        )


def probe(policy: ToolArithGruPolicy, untrained: ToolArithGruPolicy, task: Task) -> list[Row]:
    """Return how well linear probes read the machine and the digits off the hidden state.

    At step t the state is that from which the network chooses its token t, and a probe is asked for
    what holds then, before the token is played: whether the memory is full, the accumulator modulo
    10 (empty is a class of its own), the t - 1 steps taken, and each of the five digits. All of a
    step's states make one data set; for what an agent with one plan has alike in all episodes of a
    step there is, beside, that of all steps together.

    The episodes are the policy's greedy ones, and such as draw each token uniformly from the tools.
    The untrained network is made to read the same problems and the same tokens.

    :return: rows with the probe's accuracy on problems that it was not fitted to, and that of the
        class which is the most frequent in those it was fitted to (``majority``)
    """
    generator = np.random.default_rng(ORDER_SEED)
    digits = generator.choice(oracle.all_digits(task.stage), PROBED, replace=False)
    tokens = {
        "greedy": play(policy, task, digits).tokens,
        "random tokens": generator.choice(TOOL_TOKENS, (len(digits), task.max_steps)),
    }
    networks = {"trained": policy, "untrained": untrained}
    return [
        {"data": data} | {"network": network} | row
        for data, played in tokens.items()
        for network, of_network in networks.items()
        for row in _probe_rows(
            states_along(of_network, task, digits, played),
            probe_targets(task, digits, played),
            played >= 0,
        )
    ]


def _probe_rows(
    states: npt.NDArray[np.float32], targets: dict[str, Integers], played: npt.NDArray[np.bool_]
) -> Iterator[Row]:
    """Yield the scores of the probes at each step, then of those of all steps.

    :param states: shape (n, steps, d)
    :param targets: each of shape (n, steps)
    :param played: whether an episode still went on, shape (n, steps)
    """
    fitted = np.zeros(played.shape, dtype=np.bool_)
    fitted[:-HELD_OUT] = True
    steps: list[tuple[int | str, slice, Sequence[str]]] = [
        (step + 1, slice(step, step + 1), tuple(targets)) for step in range(played.shape[1])
    ]
    for step, columns, names in [*steps, ("all", slice(None), POOLED)]:
        rows = played[:, columns]
        if not rows.any():
            continue
        scores = linear_probe(
            states[:, columns][rows],
            {name: targets[name][:, columns][rows] for name in names},
            fitted[:, columns][rows],
        )
        for name, (accuracy, majority) in scores.items():
            yield {"step": step, "target": name, "accuracy": accuracy, "majority": majority}


@th.no_grad()
def states_along(
    policy: ToolArithGruPolicy, task: Task, digits: Integers, tokens: Integers
) -> npt.NDArray[np.float32]:
    """Return the states from which a policy chooses each token while it is fed given ones.

    :param tokens: shape (n, steps), -1 after the end of an episode
    :return: shape (n, steps, d)
    """
    observations = th.as_tensor(observe(digits, task.stage))
    hidden = policy.initial_state(observations)
    states = []
    for previous in (np.full(len(digits), CTX), *np.maximum(tokens, 0).T[:-1]):
        observations[:, PREVIOUS] = th.as_tensor(previous)
        _, hidden = _read(policy, observations, hidden)
        states.append(hidden[0].numpy())
    return np.stack(states, axis=1)


def probe_targets(task: Task, digits: Integers, tokens: Integers) -> dict[str, Integers]:
    """Return what the probes are asked for, before each token, each of shape (n, steps).

    :param tokens: shape (n, steps)
    """
    acc_full, acc, memory_full = (_machines(task, digits, tokens)[..., i] for i in range(3))
    return {
        "memory_full": memory_full,
        "accumulator": np.where(acc_full, acc % SCALE, SCALE),
        "steps_taken": np.tile(np.arange(tokens.shape[1]), (len(tokens), 1)),
        **{
            f"digit_{name}": np.tile(digits[:, [i]], tokens.shape[1])
            for i, name in enumerate("abcde")
        },
    }


def _machines(task: Task, digits: Integers, tokens: Integers) -> Integers:
    """Return the machines before each token, shape (n, steps, 5): see :class:`rules.Machine`."""
    n = len(digits)
    machines = np.tile(np.array(rules.START, dtype=np.int64), (n, 1))
    stages, over, returns = np.full(n, task.stage), np.zeros(n, dtype=np.bool_), np.zeros(n)
    before = []
    for step in range(tokens.shape[1]):
        before.append(machines.copy())
        play_batch(
            task.rule_set,
            task.shaping,
            task.max_steps,
            stages,
            digits,
            machines,
            step,
            tokens[:, step].copy(),
            over,
            returns,
        )
    return np.stack(before, axis=1)


def linear_probe(
    inputs: npt.NDArray[np.float32], targets: dict[str, Integers], fitted: npt.NDArray[np.bool_]
) -> dict[str, tuple[float, float]]:
    """Fit multinomial logistic regressions, one a target, and score them on the other rows.

    :param inputs: shape (n, d)
    :param targets: classes, numbered from 0, each of shape (n,)
    :param fitted: which rows they are fitted to, shape (n,)
    :return: for each target the accuracy, and that of the most frequent class of the rows fitted to
    """
    features = _whiten(inputs, fitted)
    train, test = features[fitted], features[~fitted]
    classes = {name: th.as_tensor(values) for name, values in targets.items()}
    sizes = [int(values.max()) + 1 for values in targets.values()]
    weights = th.zeros(features.shape[1], sum(sizes), dtype=th.float64, requires_grad=True)
    optimizer = th.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> th.Tensor:
        optimizer.zero_grad()
        logits = (train @ weights).split(sizes, dim=1)
        total = WEIGHT_DECAY * weights.square().sum()
        for part, values in zip(logits, classes.values(), strict=True):
            total = total + functional.cross_entropy(part, values[fitted])
        total.backward()
        return total

    optimizer.step(loss)
    scores = {}
    for part, (name, values) in zip(
        (test @ weights).split(sizes, dim=1), classes.items(), strict=True
    ):
        right = part.argmax(dim=1) == values[~fitted]
        usual = values[~fitted] == values[fitted].bincount().argmax()
        scores[name] = (float(right.double().mean()), float(usual.double().mean()))
    return scores


def _whiten(inputs: npt.NDArray[np.float32], fitted: npt.NDArray[np.bool_]) -> th.Tensor:
    """Return the inputs in uncorrelated directions of variance 1, and a column of ones.

    A linear probe reads the same off them, and its fit converges in a few steps.

    :return: float64, shape (n, r + 1) with r at most d
    """
    features = th.as_tensor(inputs).double()
    features = features - features[fitted].mean(dim=0)
    _, spreads, directions = th.linalg.svd(features[fitted], full_matrices=False)
    kept = spreads > NEGLIGIBLE * max(float(spreads[0]), 1.0)
    scales = len(features[fitted]) ** 0.5 / spreads[kept]
    whitened = features @ directions[kept].T * scales
    return th.cat([whitened, th.ones(len(features), 1, dtype=th.float64)], dim=1)
