"""The published program, written as it is told: the one to read first.

    python -m agents.published.literal

A GRU reads a problem once, as the state that it starts from, and then its own last token; it emits
six tokens on every problem. The rules of ``ToolArith-v0`` pay for them, and A2C on whole sequences
trains the network (Mnih et al. 2016, arXiv:1602.01783): on stage 0 for half of the run, on stage 1
for a third and on stage 2 for a sixth. Its slips are marked; :mod:`agents.published.a2c` is the
same program, number for number, but faster, and has a switch for each of them.
"""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch as th
from torch import nn
from torch.distributions import Categorical

from agents.published.schedule import STAGE_BLOCKS
from toolenv_gym.rules import START, World, play
from toolenv_gym.tokens import CTX, EOS, N_TOKENS
from toolenv_gym.worlds import published
from toolenv_gym.worlds.five_digits import MAX_STEPS, N_STAGES, SHAPING, Problem, shown_digits

WORLD = World(published, SHAPING, MAX_STEPS)

SIZE = 96  # of the embeddings and of the GRU
STEPS = 6  # tokens emitted. A slip: the world allows seven
UPDATES = 60
BATCH_SIZE = 192  # problems an update
LEARNING_RATE = 3e-4  # of Adam
MAX_GRAD_NORM = 1.0
VALUE_WEIGHT, ENTROPY_WEIGHT = 0.5, 0.01  # in the loss
EVALUATE_EVERY = 5  # updates
EVALUATION_PROBLEMS = 128  # a stage
SAMPLES = 5  # a stage, shown at the end
FINAL_PROBLEMS = 1_000  # a stage


# ------------------------------------------------------------------------------------ problems


def context_of(problem: Problem) -> list[int]:
    """Return what the network reads of a problem: the digits shown, then ``[CTX]``."""
    return [*problem.digits[: shown_digits(problem.stage)], CTX]


def draw_problems(randomness: random.Random, n: int, stage: int) -> list[Problem]:
    """Return problems of a stage, digit by digit, of each all five."""
    problems = []
    for _ in range(n):
        a, b, c, d, e = (randomness.randint(0, 9) for _ in range(5))
        problems.append(Problem(stage, (a, b, c, d, e)))
    return problems


def sequence_return(problem: Problem, tokens: list[int]) -> float:
    """Return what the tokens earn: the first ``[ANS]`` is paid for, without one there is nothing.

    A slip: the target that is graded is not the one that is shown, but the milestone before it.
    """
    machine = START
    for step, token in enumerate(tokens):
        machine, reward, over = play(WORLD, problem, machine, step, token)
        if over:
            return reward
    return 0.0


# ------------------------------------------------------------------------------------- network


class Sequences(NamedTuple):
    """What the network emits on n problems, and what it says of it: each of shape (n, 6)."""

    tokens: th.Tensor
    log_probs: th.Tensor
    entropies: th.Tensor
    values: th.Tensor


class Network(nn.Module):
    """An actor-critic with one GRU. Modules in this order: it fixes the weights of a torch seed."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(N_TOKENS, SIZE)
        self.stage_emb = nn.Embedding(N_STAGES, SIZE)
        self.rnn = nn.GRU(SIZE, SIZE, batch_first=True)
        self.pi = nn.Linear(SIZE, N_TOKENS)
        self.v = nn.Linear(SIZE, 1)

    def start(self, problems: list[Problem]) -> th.Tensor:
        """Return the states in which the sequences start, shape (1, n, SIZE)."""
        contexts = [context_of(problem) for problem in problems]
        longest = max(len(context) for context in contexts)
        padded = [context + [EOS] * (longest - len(context)) for context in contexts]
        means = self.emb(th.tensor(padded)).mean(dim=1)  # (n, SIZE)
        stages = self.stage_emb(th.tensor([problem.stage for problem in problems]))
        # A slip: (n, SIZE) + (n, 1, SIZE) is (n, n, SIZE), each context with each stage. Of what
        # is averaged then, all contexts are a part: no sequence knows its own.
        return th.tanh((means + stages.unsqueeze(1)).mean(dim=1)).unsqueeze(0)

    def forward(self, problems: list[Problem], greedy: bool) -> Sequences:
        """Emit a sequence of tokens on each problem, drawn from the policy or its most probable.

        A slip: the sequences do not stop at ``[ANS]``, and all of them enters the loss.
        """
        hidden = self.start(problems)
        token = th.full((len(problems),), CTX)
        steps = []
        for _ in range(STEPS):
            output, hidden = self.rnn(self.emb(token.unsqueeze(1)), hidden)
            output = output.squeeze(1)
            probabilities = self.pi(output).softmax(dim=1)
            policy: Any = Categorical(probabilities)  # Any: torch does not annotate it
            token = probabilities.argmax(dim=1) if greedy else policy.sample()
            log_prob = policy.log_prob(token)
            entropy = -(probabilities * (probabilities + 1e-9).log()).sum(dim=1)
            steps.append((token, log_prob, entropy, self.v(output).squeeze(1)))
        return Sequences(*(th.stack(column, dim=1) for column in zip(*steps, strict=True)))


# ------------------------------------------------------------------------------------ training


def a2c_loss(sequences: Sequences, returns: th.Tensor) -> th.Tensor:
    """Return the loss of sequences with their returns, shape (n,).

    A slip: the sum of a sequence's values is fitted to the return, not each of them.
    """
    value_sums = sequences.values.sum(dim=1)
    advantages = (returns - value_sums).detach()
    policy_loss = -(sequences.log_probs.sum(dim=1) * advantages).mean()
    value_loss = nn.functional.mse_loss(value_sums, returns)
    return policy_loss + VALUE_WEIGHT * value_loss - ENTROPY_WEIGHT * sequences.entropies.mean()


class LiteralA2C:
    """The program: network, optimiser and the two streams of random numbers."""

    def __init__(self, seed: int = 0) -> None:
        self.randomness = random.Random(seed)
        th.manual_seed(seed)
        self.network = Network()
        self.optimizer = th.optim.Adam(self.network.parameters(), lr=LEARNING_RATE)
        self.updates = 0

    def next_stage(self) -> int:
        """Return the stage of the next update."""
        block = self.updates * len(STAGE_BLOCKS) // UPDATES
        return STAGE_BLOCKS[min(block, len(STAGE_BLOCKS) - 1)]

    def update(self) -> tuple[float, float]:
        """Train on one batch; return its mean return and the loss."""
        problems = draw_problems(self.randomness, BATCH_SIZE, self.next_stage())
        sequences = self.network(problems, greedy=False)
        returns = returns_of(problems, sequences)
        loss = a2c_loss(sequences, returns)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRAD_NORM)
        self.optimizer.step()
        self.updates += 1
        return returns.mean().item(), loss.item()

    @th.no_grad()
    def evaluate(self, n: int) -> list[float]:
        """Return the mean returns, played greedily, of n new problems of each stage."""
        means = []
        for stage in range(N_STAGES):
            problems = draw_problems(self.randomness, n, stage)
            sequences = self.network(problems, greedy=True)
            means.append(returns_of(problems, sequences).mean().item())
        return means

    @th.no_grad()
    def sample(self, stage: int) -> tuple[Problem, list[int]]:
        """Return a new problem and the tokens that are emitted on it greedily."""
        problems = draw_problems(self.randomness, 1, stage)
        return problems[0], self.network(problems, greedy=True).tokens[0].tolist()


def returns_of(problems: list[Problem], sequences: Sequences) -> th.Tensor:
    """Return what the sequences earn, float32, shape (n,)."""
    tokens = sequences.tokens.tolist()
    return th.tensor([sequence_return(*pair) for pair in zip(problems, tokens, strict=True)])


def run_program(program: LiteralA2C) -> Iterator[str]:
    """Train, evaluate and show samples as published; return the lines that are printed.

    What is evaluated and shown is drawn from the stream of problems too: the order matters.
    """
    while program.updates < UPDATES:
        stage = program.next_stage()
        mean_return, loss = program.update()
        if program.updates % EVALUATE_EVERY == 0:
            t0, t1, t2 = program.evaluate(EVALUATION_PROBLEMS)
            yield (  # A slip: "acc" is no accuracy, but a mean return, as T0, T1 and T2 are
                f"ep={program.updates:02d} stage={stage} acc={mean_return:.3f} | "
                f"eval T0={t0:.3f} T1={t1:.3f} T2={t2:.3f} loss={loss:.3f}"
            )
    for stage in range(N_STAGES):
        for _ in range(SAMPLES):
            problem, tokens = program.sample(stage)
            target = published.described_target(problem)
            reward = sequence_return(problem, tokens)
            yield f"stage={stage} {context_of(problem)[:-1]} target={target} {tokens} {reward:.3f}"
    t0, t1, t2 = program.evaluate(FINAL_PROBLEMS)
    yield f"Final greedy accuracies → T0={t0:.3f}, T1={t1:.3f}, T2={t2:.3f}"


if __name__ == "__main__":
    for line in run_program(LiteralA2C()):
        print(line)
