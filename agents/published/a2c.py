"""The published program, fast and with switches: a GRU actor-critic with A2C on whole sequences.

:mod:`agents.published.literal` is the program as it is told, to be read first. The file reads
from top to bottom: settings, problems, network, rollout, loss, training. With the default settings
it does what that program does, slips included, number for number; each slip has a switch in
:class:`Settings`. It needs torch and the rules of ``toolenv_gym`` only, and shares the
GRU's gradient with the learners.

A sequence is six tokens, emitted whether or not ``[ANS]`` comes before the last; its return R is
that of the world, which stops at ``[ANS]``. With values v_t, log-probabilities log p_t and
entropies H_t of its steps, and B sequences in a batch, the loss is

    -mean_B[(sum_t log p_t) (R - sum_t v_t)] + 0.5 mean_B[(sum_t v_t - R)^2] - 0.01 mean_Bt[H_t],

with no gradient through the advantage (A2C: Mnih et al. 2016, arXiv:1602.01783, on sums over
whole sequences).
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch as th
from torch import nn
from torch.nn import functional

from agents.common.gru_kernel import gru_gradients, gru_sequences, gru_step
from agents.published.schedule import STAGE_BLOCKS
from toolenv_gym import worlds
from toolenv_gym.rules import Rules, World
from toolenv_gym.sequences import Outcomes, first_observations, play_sequences
from toolenv_gym.tokens import ANS, CTX, EOS, N_TOKENS
from toolenv_gym.worlds.five_digits import MAX_STEPS, N_STAGES, SHAPING, Problem, shown_digits

Integers = npt.NDArray[np.int64]


PUBLISHED_STEPS = 6  # tokens emitted, although the world allows seven


@dataclass(frozen=True)
class Settings:
    """What the program is run with. The defaults are the publication's."""

    seed: int = 0
    """of the network, the actions and the problems"""
    updates: int = 60
    """training updates, in six equal blocks of stages 0, 0, 0, 1, 1, 2"""
    batch_size: int = 192
    """sequences an update"""
    hidden_size: int = 96
    """size of the embeddings and of the GRU"""
    learning_rate: float = 3e-4
    """of Adam"""
    entropy_weight: float = 0.01
    """of the entropy bonus in the loss"""
    value_weight: float = 0.5
    """of the value loss in the loss"""
    max_grad_norm: float = 1.0
    """gradients are scaled down to this norm"""
    device: str = "cpu"
    """torch device of the network"""
    own_context: bool = False
    """start each sequence from its own context instead of the average context of its batch"""
    loss_until_answer: bool = False
    """let only the tokens up to and including [ANS] into the loss"""
    per_step_values: bool = False
    """fit the value of each step to the return from there on, instead of their sum to the return"""
    seven_steps: bool = False
    """emit as many tokens as the world allows instead of six"""
    described_grading: bool = False
    """grade the described target instead of the milestone before it"""
    described_rules: bool = False
    """run and grade the machine that the publication describes (ToolArithMemory-v0)"""
    mixed_stages: bool = False
    """draw a stage for each problem instead of training in blocks"""

    @property
    def rules(self) -> Rules:
        """The rules of the world."""
        if self.described_rules:
            return worlds.memory
        return worlds.regraded if self.described_grading else worlds.published

    @property
    def steps(self) -> int:
        """How many tokens a sequence has."""
        return MAX_STEPS if self.seven_steps else PUBLISHED_STEPS


# ------------------------------------------------------------------------------------ problems


class Problems(NamedTuple):
    """A batch of n problems.

    :param digits: int64, shape (n, 5)
    :param stages: int64, shape (n,)
    """

    digits: Integers
    stages: Integers


def draw_digits(randomness: random.Random, n: int) -> Integers:
    """Return what n calls of ``randomness.randint(0, 9)`` return, and leave its state as they do.

    Each call takes the upper four bits of 32-bit words until they make a digit. Taking as many
    words at a time as digits are missing takes the same words.
    """
    digits = np.empty(0, dtype=np.int64)
    while len(digits) < n:
        missing = n - len(digits)
        words = randomness.getrandbits(32 * missing).to_bytes(4 * missing, "little")
        drawn = np.frombuffer(words, dtype="<u4") >> 28
        digits = np.concatenate([digits, drawn[drawn < 10].astype(np.int64)])
    return digits


def draw_problems(randomness: random.Random, n: int, stage: int | None) -> Problems:
    """Draw problems of one stage, or of a stage each, in the published order: digit by digit."""
    digits = draw_digits(randomness, 5 * n).reshape(n, 5)
    if stage is None:
        return Problems(digits, np.array([randomness.randrange(N_STAGES) for _ in range(n)]))
    return Problems(digits, np.full(n, stage))


def contexts_of(problems: Problems) -> Integers:
    """Return the contexts, padded with ``[EOS]`` to the longest of the batch."""
    shown = first_observations(worlds.published, problems.stages, numbers_of(problems))
    return shown[:, : shown_digits(problems.stages.max()) + 1]


def numbers_of(problems: Problems) -> Integers:
    """Return the problems' numbers, by which the world knows them."""
    counting = problems.digits @ 10 ** np.arange(4, -1, -1)
    return counting // 10 ** (2 - problems.stages)


def published_mean(returns: npt.NDArray[np.float64]) -> float:
    """Return the mean return as the program takes it: torch's, in single precision.

    It is what the program prints, and may differ from the mean of the float64 returns in the last
    printed digit.
    """
    return th.as_tensor(returns, dtype=th.float32).mean().item()


def score(rules: Rules, problems: Problems, tokens: Integers) -> Outcomes:
    """Play sequences of tokens, shape (n, steps), on their problems."""
    world = World(rules, SHAPING, MAX_STEPS)
    return play_sequences(world, problems.stages, numbers_of(problems), tokens)


# ------------------------------------------------------------------------------------- network


class Network(nn.Module):
    """The published network. Its modules are created in the published order.

    :param own_context: see :class:`Settings`
    """

    def __init__(self, hidden_size: int, own_context: bool) -> None:
        super().__init__()
        self.own_context = own_context
        self.emb = nn.Embedding(N_TOKENS, hidden_size)
        self.stage_emb = nn.Embedding(N_STAGES, hidden_size)
        self.rnn = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.pi = nn.Linear(hidden_size, N_TOKENS)
        self.v = nn.Linear(hidden_size, 1)

    def start(self, contexts: th.Tensor, stages: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """Return the initial hidden states that differ, and which of them each sequence has.

        The publication means tanh(m_i + s_i), m_i the mean embedding of context i and s_i the
        embedding of its stage, but averages the contexts of the whole batch: it builds
        m_j + s_i for all j and i, and the mean over j, equal to tanh(mean_j m_j + s_i). That is
        one state a stage.

        :return: states, shape (m, hidden_size), and their numbers, int64, shape (n,)
        """
        if not self.own_context:
            mean = self.emb(contexts).mean(dim=(0, 1))
            return th.tanh(mean + self.stage_emb.weight), stages
        means = functional.embedding_bag(contexts, self.emb.weight, mode="mean", padding_idx=EOS)
        states = th.tanh(means + self.stage_emb(stages))
        return states, th.arange(len(states), device=states.device)

    def input_gates(self) -> th.Tensor:
        """Return what each token adds to the GRU's gates, shape (18, 3 * hidden_size).

        The GRU reads nothing but 18 embeddings: one small product serves every step.
        """
        weight, _, bias, _ = self.rnn.all_weights[0]
        return functional.linear(self.emb.weight, weight, bias)

    def step(self, gates: th.Tensor, token: th.Tensor, hidden: th.Tensor) -> th.Tensor:
        """Read one token of each sequence, shape (n,); return the new states.

        The cell is torch's: nn.GRU, equation by equation.
        """
        _, weight, _, bias = self.rnn.all_weights[0]
        read = functional.embedding(token, gates)
        return gru_sequences(read, hidden, weight, bias, [len(token)])


class Rollout(NamedTuple):
    """Sequences emitted: tokens and values of shape (n, steps), logits of shape (n, steps, 18)."""

    tokens: th.Tensor
    logits: th.Tensor
    values: th.Tensor


class Recurrence(th.autograd.Function):
    """The steps after the first: forwards with the drawing of tokens, backwards through time."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: th.Tensor,
        gates: th.Tensor,
        weight: th.Tensor,
        bias: th.Tensor,
        draw: Callable[[th.Tensor], th.Tensor],
        steps: int,
    ) -> tuple[th.Tensor, th.Tensor]:
        """Return the states of all steps, shape (steps, n, hidden_size), and tokens, (steps, n)."""
        outputs = hidden.new_empty(steps, *hidden.shape)
        outputs[0] = hidden
        new = th.empty_like(outputs[1:])
        recurrent = new.new_empty(*new.shape[:2], 3 * new.shape[2])
        tokens = [draw(hidden)]
        for step in range(steps - 1):
            read = functional.embedding(tokens[-1], gates)
            gru_step(
                read, outputs[step], weight, bias, recurrent[step], new[step], outputs[step + 1]
            )
            tokens.append(draw(outputs[step + 1]))
        all_tokens = th.stack(tokens)
        ctx.save_for_backward(all_tokens, gates, weight, outputs, recurrent, new)
        ctx.mark_non_differentiable(all_tokens)
        return outputs, all_tokens

    @staticmethod
    def backward(ctx: Any, *gradients: th.Tensor) -> tuple[th.Tensor | None, ...]:
        tokens, gates, weight, *saved = ctx.saved_tensors
        outputs, recurrent, new = (tensor.flatten(end_dim=1) for tensor in saved)
        n = tokens.shape[1]
        sizes = [n] * (len(tokens) - 1)
        d_read, carried, d_weight, d_bias = gru_gradients(
            gradients[0][1:].flatten(end_dim=1), outputs[:-n], recurrent, new, weight, sizes
        )
        d_gates = th.zeros_like(gates).index_add_(0, tokens[:-1].flatten(), d_read)
        return gradients[0][0] + carried, d_gates, d_weight, d_bias, None, None


def roll_out(
    network: Network, states: th.Tensor, numbers: th.Tensor, steps: int, greedy: bool
) -> Rollout:
    """Emit a sequence of tokens from each of the initial states numbered: see ``start``."""

    def draw(hidden: th.Tensor) -> th.Tensor:
        logits = network.pi(hidden)
        return logits.argmax(dim=1) if greedy else sample(logits)

    gates = network.input_gates()
    context_end = th.full((len(states),), CTX, device=states.device)
    # Sequences that start alike are alike until they draw: the first step is taken once for each.
    hidden = functional.embedding(numbers, network.step(gates, context_end, states))
    _, weight, _, bias = network.rnn.all_weights[0]
    outputs, tokens = Recurrence.apply(  # type: ignore[no-untyped-call]
        hidden, gates, weight, bias, draw, steps
    )
    return Rollout(tokens.T, network.pi(outputs).transpose(0, 1), network.v(outputs).squeeze(2).T)


def sample(logits: th.Tensor) -> th.Tensor:
    """Draw from the softmax, number for number as torch's Categorical, without its checks.

    Of independent exponential waiting times with rates p, the i-th is the first with
    probability p_i.
    """
    probabilities = logits.softmax(dim=1)
    return (probabilities / th.empty_like(probabilities).exponential_()).argmax(dim=1)


# ---------------------------------------------------------------------------------------- loss


def sequence_loss(settings: Settings, rollout: Rollout, returns: th.Tensor) -> th.Tensor:
    """Return the loss of a batch of sequences with their returns, shape (n,): see the module."""
    tokens, logits, values = rollout
    log_probabilities = logits.log_softmax(dim=2)
    log_probs = log_probabilities.gather(2, tokens.unsqueeze(2)).squeeze(2)
    probabilities = log_probabilities.exp()
    entropies = -(probabilities * (probabilities + 1e-9).log()).sum(dim=2)

    answer = (tokens == ANS).long()
    until_answer = (answer.cumsum(dim=1) - answer == 0).to(values.dtype)
    counted = until_answer if settings.loss_until_answer else th.ones_like(values)

    if settings.per_step_values:
        to_go = returns.unsqueeze(1) * until_answer  # the reward comes with [ANS]
        advantages = (to_go - values).detach()
        policy_loss = -(log_probs * advantages * counted).sum(dim=1).mean()
        value_loss = ((values - to_go).square() * counted).sum() / counted.sum()
    else:
        value_sums = (values * counted).sum(dim=1)
        advantages = (returns - value_sums).detach()
        policy_loss = -((log_probs * counted).sum(dim=1) * advantages).mean()
        value_loss = functional.mse_loss(value_sums, returns)
    entropy = (entropies * counted).sum() / counted.sum()
    return policy_loss + settings.value_weight * value_loss - settings.entropy_weight * entropy


# ------------------------------------------------------------------------------------ training


class PublishedA2C:
    """The program: network, optimiser and the two streams of random numbers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.randomness = random.Random(settings.seed)
        th.manual_seed(settings.seed)
        self.network = Network(settings.hidden_size, settings.own_context).to(settings.device)
        self.optimizer = th.optim.Adam(
            self.network.parameters(), lr=settings.learning_rate, fused=True
        )
        self.updates = 0

    def next_stage(self) -> int | None:
        """Return the stage of the next update, None for a mixture."""
        if self.settings.mixed_stages:
            return None
        block = self.updates * len(STAGE_BLOCKS) // self.settings.updates
        return STAGE_BLOCKS[min(block, len(STAGE_BLOCKS) - 1)]

    def update(self) -> tuple[float, float]:
        """Train on one batch; return its mean return and the loss."""
        problems = self.draw(self.settings.batch_size, self.next_stage())
        rollout = self._roll_out(problems, greedy=False)
        outcomes = score(self.settings.rules, problems, rollout.tokens.cpu().numpy())
        returns = th.as_tensor(outcomes.returns, dtype=th.float32, device=self.settings.device)
        loss = sequence_loss(self.settings, rollout, returns)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.max_grad_norm)
        self.optimizer.step()
        self.updates += 1
        return float(returns.mean()), loss.item()

    def draw(self, n: int, stage: int | None) -> Problems:
        """Return the next n problems of the program's stream."""
        return draw_problems(self.randomness, n, stage)

    @th.no_grad()
    def greedy(self, problems: Problems) -> tuple[Integers, Outcomes]:
        """Return the tokens emitted greedily on a batch of problems and what they came to."""
        tokens = self._roll_out(problems, greedy=True).tokens.cpu().numpy()
        return tokens, score(self.settings.rules, problems, tokens)

    def _roll_out(self, problems: Problems, greedy: bool) -> Rollout:
        device = self.settings.device
        contexts = th.as_tensor(contexts_of(problems), device=device)
        stages = th.as_tensor(problems.stages, device=device)
        states, numbers = self.network.start(contexts, stages)
        return roll_out(self.network, states, numbers, self.settings.steps, greedy)


# ------------------------------------------------------------------------------------- program

EVALUATE_EVERY = 5  # updates
EVALUATION_PROBLEMS = 128  # a stage
SAMPLES = 5  # a stage, shown at the end
FINAL_PROBLEMS = 1_000  # a stage


class Report(NamedTuple):
    """What one update did; after every fifth, also greedy outcomes on stages 0, 1 and 2."""

    update: int
    stage: int | None
    mean_return: float
    loss: float
    evaluations: list[Outcomes] | None

    def line(self) -> str:
        """Return the line that the program prints after an evaluation."""
        assert self.evaluations is not None
        return (
            f"ep={self.update:02d} stage={self.stage} acc={self.mean_return:.3f} | "
            f"eval {mean_returns(self.evaluations, ' ')} loss={self.loss:.3f}"
        )


def final_line(final: Sequence[Outcomes]) -> str:
    """Return the program's last line, of its last evaluation."""
    return f"Final greedy accuracies → {mean_returns(final, ', ')}"


def mean_returns(stages: Sequence[Outcomes], separator: str) -> str:
    """Return the mean returns of stages 0, 1 and 2 as the program prints them."""
    means = (published_mean(outcomes.returns) for outcomes in stages)
    return separator.join(f"T{stage}={mean:.3f}" for stage, mean in enumerate(means))


def run_program(program: PublishedA2C) -> Iterator[Report]:
    """Train and evaluate as the publication does; the order fixes who draws which problems."""
    while program.updates < program.settings.updates:
        stage = program.next_stage()
        mean_return, loss = program.update()
        evaluations = None
        if program.updates % EVALUATE_EVERY == 0:
            evaluations = evaluate_stages(program, EVALUATION_PROBLEMS)
        yield Report(program.updates, stage, mean_return, loss, evaluations)


def evaluate_stages(program: PublishedA2C, n: int) -> list[Outcomes]:
    """Return the greedy outcomes of the next n problems of each stage."""
    return [program.greedy(program.draw(n, stage))[1] for stage in range(N_STAGES)]


class Sample(NamedTuple):
    """A greedy sequence on one problem."""

    stage: int
    context: list[int]
    target: int
    tokens: list[int]
    reward: float


def draw_samples(program: PublishedA2C) -> Iterator[Sample]:
    """Show the program at work, one problem at a time: then the batch's average is its own."""
    for stage in range(N_STAGES):
        for _ in range(SAMPLES):
            problems = program.draw(1, stage)
            tokens, outcomes = program.greedy(problems)
            digits = problems.digits[0].tolist()
            yield Sample(
                stage,
                digits[: shown_digits(stage)],
                worlds.published.described_target(Problem(stage, tuple(digits))),
                tokens[0].tolist(),
                float(outcomes.returns[0]),
            )
