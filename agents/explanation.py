"""Episodes of a model, told to people: as text, or as frames of a video."""

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.evaluation import Episodes, greedy_episodes
from toolenv_gym import oracle, rules
from toolenv_gym.oracle import Task
from toolenv_gym.render import problem_text
from toolenv_gym.tokens import token_name


def sample_problems(stage: int, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Return random problems of a stage, shape (count, 5)."""
    digits = oracle.all_digits(stage)
    return digits[np.random.default_rng(seed).integers(len(digits), size=count)]


def emitted_tokens(row: npt.NDArray[np.int64]) -> tuple[int, ...]:
    """Return one episode's tokens without the filling after its end."""
    return tuple(row[row >= 0].tolist())


def explain_episodes(
    model: BaseAlgorithm, task: Task, digits: npt.NDArray[np.int64], masked: bool = False
) -> list[dict[str, str]]:
    """Return a row of text cells for one greedy episode of a model on each problem."""
    episodes = greedy_episodes(model, task, digits, masked)
    return [_row(task, episodes, i) for i in range(len(digits))]


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
        "answer": str(machine.acc) if machine.acc_full else "-",
        "reward": f"{episodes.returns[i]:.3f}",
        "optimal plan": f"{_names(plan.tokens)} ({plan.value:.3f})",
    }


def _names(tokens: tuple[int, ...]) -> str:
    return " ".join(token_name(token) for token in tokens)


def film_episodes(
    model: BaseAlgorithm,
    env_id: str,
    stage: int,
    digits: npt.NDArray[np.int64],
    masked: bool = False,
) -> list[npt.NDArray[np.uint8]]:
    """Return the frames of greedy episodes, one after the other, each end held a while."""
    env = gym.make(env_id, stage=stage, render_mode="rgb_array")
    episodes = greedy_episodes(model, Task(rules.RULE_SETS[env_id], stage), digits, masked)
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
