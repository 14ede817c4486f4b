"""Episodes of a model, told to people: as text, or as frames of a video."""

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from agents.toolarith.evaluation import Episodes
from toolenv_gym import oracle, rules
from toolenv_gym.oracle import Task
from toolenv_gym.render import problem_text
from toolenv_gym.tokens import ANS, token_name


def sample_problems(stage: int, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Return random problems of a stage, shape (count, 5)."""
    digits = oracle.all_digits(stage)
    return digits[np.random.default_rng(seed).integers(len(digits), size=count)]


def emitted_tokens(row: npt.NDArray[np.int64]) -> tuple[int, ...]:
    """Return one episode's tokens without the filling after its end."""
    return tuple(row[row >= 0].tolist())


def explain_episodes(task: Task, episodes: Episodes) -> list[dict[str, str]]:
    """Return a row of text cells for each episode.

    :param task: what the episodes were played on
    """
    return [_row(task, episodes, i) for i in range(len(episodes.digits))]


def _row(task: Task, episodes: Episodes, i: int) -> dict[str, str]:
    problem = tuple(episodes.digits[i].tolist())
    tokens = emitted_tokens(episodes.tokens[i])
    machine = rules.START
    for token in tokens:
        machine = rules.transition(task.rule_set, problem, task.stage, machine, token)
    plan = oracle.best_plan(task, problem)
    return {
        "stage": str(task.stage),
        "problem": problem_text(problem, task.stage),
        "target": str(rules.described_target(problem, task.stage)),
        "graded": str(rules.graded_target(task.rule_set, problem, task.stage)),
        "tokens": _names(tokens),
        "answer": str(machine.acc) if tokens[-1] == ANS and machine.acc_full else "-",
        "reward": f"{episodes.returns[i]:.3f}",
        "optimal plan": f"{_names(plan.tokens)} ({plan.value:.3f})",
    }


def _names(tokens: tuple[int, ...]) -> str:
    return " ".join(token_name(token) for token in tokens)


def film_episodes(env_id: str, stage: int, episodes: Episodes) -> list[npt.NDArray[np.uint8]]:
    """Return the frames of episodes, one after the other, each end held a while."""
    env = gym.make(env_id, stage=stage, render_mode="rgb_array")
    frames: list[npt.NDArray[np.uint8]] = []
    for problem, row in zip(episodes.digits, episodes.tokens, strict=True):
        env.reset(options={"digits": problem})
        frames.append(env.render())  # type: ignore[arg-type]
        for token in emitted_tokens(row):
            env.step(token)
            frames.append(env.render())  # type: ignore[arg-type]
        frames += [frames[-1]] * 2
    env.close()
    return frames
