"""Episodes of a model, told to people: as text, or as frames of a video."""

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from agents.toolarith.evaluation import Episodes
from toolenv_gym import oracle
from toolenv_gym.guidance import plan_length
from toolenv_gym.oracle import Plan, Task
from toolenv_gym.problems import numbers_at
from toolenv_gym.rules import START, Machine, Problem, highest_reward, play
from toolenv_gym.sequences import machines_along
from toolenv_gym.tokens import ANS, token_name


def sample_problems(task: Task, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the numbers of random problems of a task, shape (count,)."""
    places = np.random.default_rng(seed).integers(task.n_problems, size=count)
    return numbers_at(task, places)


def emitted_tokens(row: npt.NDArray[np.int64]) -> tuple[int, ...]:
    """Return one episode's tokens without the filling after its end."""
    return tuple(row[row >= 0].tolist())


def explain_episodes(task: Task, episodes: Episodes) -> list[dict[str, str]]:
    """Return a row of text cells for each episode.

    :param task: what the episodes were played on
    """
    stages = np.full(len(episodes.problems), task.stage)
    machines = machines_along(task.world, stages, episodes.problems, episodes.tokens)
    return [_row(task, episodes, i, Machine(*machines[i, -1].tolist())) for i in range(len(stages))]


def _row(task: Task, episodes: Episodes, i: int, machine: Machine) -> dict[str, str]:
    rules = task.rules
    problem = rules.problem_at(task.stage, int(episodes.problems[i]))
    tokens = emitted_tokens(episodes.tokens[i])
    plan = _optimal_plan(task, problem)
    return {
        "stage": str(task.stage),
        "problem": rules.problem_text(problem),
        "target": str(rules.described_target(problem)),
        "graded": str(rules.graded_target(problem)),
        "tokens": _names(tokens),
        "answer": str(machine.acc) if tokens[-1] == ANS and machine.acc_full else "-",
        "reward": f"{episodes.returns[i]:.3f}",
        "optimal plan": f"{_names(plan.tokens)} ({plan.value:.3f})",
    }


def _optimal_plan(task: Task, problem: Problem) -> Plan:
    """Return the problem's own plan if nothing earns more, else the shortest that is best.

    A search finds shorter ones that are right by luck, and takes long at the higher stages.
    """
    length = min(plan_length(task.rules, problem), task.world.max_steps)
    tokens = tuple(task.rules.plan_token(problem, step) for step in range(length))
    machine, value = START, 0.0
    for step, token in enumerate(tokens):
        machine, value, _ = play(task.world, problem, machine, step, token)
    if value == highest_reward(task.world, problem):
        return Plan(tokens, value)
    return oracle.best_plan(task, problem)


def _names(tokens: tuple[int, ...]) -> str:
    return " ".join(token_name(token) for token in tokens)


def film_episodes(env_id: str, stage: int, episodes: Episodes) -> list[npt.NDArray[np.uint8]]:
    """Return the frames of episodes, one after the other, each end held a while."""
    n = len(episodes.problems)
    envs: Any = gym.make_vec(
        env_id,
        num_envs=n,
        vectorization_mode="vector_entry_point",
        stage=stage,
        render_mode="rgb_array",
    )
    envs.reset(options={"problem": episodes.problems})
    pictures = [envs.render()]  # of all episodes, by step
    for tokens in np.maximum(episodes.tokens, 0).T:
        envs.step(tokens)
        pictures.append(envs.render())
    envs.close()
    frames = []
    for i, row in enumerate(episodes.tokens):
        steps = len(emitted_tokens(row))
        frames += [shown[i] for shown in pictures[: steps + 1]] + [pictures[steps][i]] * 2
    return frames
