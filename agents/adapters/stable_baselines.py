"""Adapters of learners that build on Stable-Baselines3: sb3-contrib's, and ours.

What an update computes is noted while the library's own ``train()`` runs, with a learning rate of
0, and not computed a second time.
"""

import abc
import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import gymnasium as gym
import numpy as np
import torch as th
from gymnasium.vector import SyncVectorEnv
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy as evaluate_maskable
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.evaluation import evaluate_policy as evaluate_plain
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents.recurrent.a2c import RecurrentA2C
from agents.recurrent.evaluation import evaluate_policy
from agents.recurrent.masking import masking
from agents.recurrent.packed import evaluate_packed
from agents.recurrent.ppo import MaskableRecurrentPPO
from agents.recurrent.vec_env import GymVecEnv
from agents.toolarith.policy import ToolArithGruPolicy
from toolenv_gym.testing import EnvMaker, Learner, NotOfferedError, Replay, Rollout, Setup, Step


class StableBaselinesLearner(Learner):
    """What the adapters of on-policy algorithms have in common."""

    masked: ClassVar[bool] = False
    evaluate_policy: ClassVar[Any] = staticmethod(evaluate_plain)

    def __init__(self, setup: Setup) -> None:
        if setup.masks and not self.masked:
            raise NotOfferedError(f"{type(self).__name__} has no masks")
        self.setup = setup
        self.env = self.make_env()
        self.model: Any = self.make_model()
        last_layer: Any = self.model.policy.action_net
        with th.no_grad():
            for parameter in last_layer.parameters():
                parameter *= setup.logit_scale
        if setup.critic is not None:
            _exchange_critic(self.model.policy, setup.critic)
        self._begin()

    def make_env(self) -> VecEnv:
        return DummyVecEnv([_monitored(make) for make in self.setup.env_makers])

    @abc.abstractmethod
    def make_model(self) -> BaseAlgorithm: ...

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments that all algorithms take."""
        setup = self.setup
        return {
            "learning_rate": setup.learning_rate,
            "n_steps": setup.n_steps,
            "gamma": setup.gamma,
            "gae_lambda": setup.gae_lambda,
            "normalize_advantage": setup.normalize_advantages,
            "seed": setup.seed,
            "device": "cpu",
        }

    def _begin(self) -> None:
        self.model.set_logger(Logger(None, []))
        _, self._callback = self.model._setup_learn(10**9, CallbackList([]))

    def rollout(self) -> Rollout:
        model = self.model
        model.ep_info_buffer.clear()
        model.collect_rollouts(
            self.env,
            self._callback,
            model.rollout_buffer,
            self.setup.n_steps,
            **self.masking_kwargs,
        )
        buffer = copy.deepcopy(model.rollout_buffer)  # which is rearranged when it is sampled
        actions = buffer.actions.reshape(buffer.actions.shape[:2])
        return Rollout(
            observations=buffer.observations,
            actions=actions.astype(np.int64),
            starts=buffer.episode_starts.astype(np.bool_),
            log_probs=buffer.log_probs,
            values=buffer.values,
            advantages=buffer.advantages,
            returns=buffer.returns,
            masks=buffer.action_masks.astype(np.bool_) if self.setup.masks else None,
            episodes=[(episode["r"], episode["l"]) for episode in model.ep_info_buffer],
        )

    @property
    def masking_kwargs(self) -> dict[str, Any]:
        """What collecting and evaluating have to be told of masks."""
        return {}

    def update(self) -> None:
        self.model.train()

    def replay(self) -> Replay:
        with _unchanged(self.model), self.noted() as notes:
            self.model.train()
            logged = self.model.logger.name_to_value
            entropy, value_loss = -logged["train/entropy_loss"], logged["train/value_loss"]
        old_log_probs, log_probs, advantages = (
            np.concatenate([column.detach().numpy() for column in columns])
            for columns in zip(*notes, strict=True)
        )
        return Replay(old_log_probs, log_probs, advantages, entropy, value_loss)

    @contextmanager
    def noted(self) -> Iterator[list[tuple[th.Tensor, th.Tensor, th.Tensor]]]:
        """Note of each minibatch the old and the new log-probabilities and the advantages."""
        policy, buffer = self.model.policy, self.model.rollout_buffer
        get, evaluate_actions = buffer.get, policy.evaluate_actions
        notes: list[Any] = []
        batch: Any = None

        def noting_get(batch_size: int) -> Iterator[Any]:
            nonlocal batch
            for each in get(batch_size):
                batch = each
                yield each

        def noting_evaluate(*args: Any, **kwargs: Any) -> Any:
            evaluation = evaluate_actions(*args, **kwargs)
            there = batch.mask > 0 if hasattr(batch, "mask") else slice(None)
            old, advantages = batch.old_log_prob[there], batch.advantages[there]
            notes.append((old, evaluation[1][there], self.normalized(advantages)))
            return evaluation

        with (
            mock.patch.object(buffer, "get", noting_get),
            mock.patch.object(policy, "evaluate_actions", noting_evaluate),
        ):
            yield notes

    def normalized(self, advantages: th.Tensor) -> th.Tensor:
        """Return advantages as ``train()`` normalizes them, in lines that cannot be reached."""
        if not self.setup.normalize_advantages:
            return advantages
        return (advantages - advantages.mean()) / (advantages.std() + 1e-8)

    def predict(
        self, observations: Any, states: Any, masks: Any, deterministic: bool
    ) -> tuple[Any, Any]:
        starts = None if states is None else np.zeros(len(observations))
        kwargs = {} if masks is None else {"action_masks": masks}
        actions, states = self.model.predict(observations, states, starts, deterministic, **kwargs)
        return actions, states

    def evaluate(self, env: gym.Env[Any, Any], n_episodes: int) -> float:
        mean, _ = self.evaluate_policy(
            self.model, env, n_episodes, warn=False, **self.masking_kwargs
        )
        return float(mean)

    def seed(self, seed: int) -> None:
        set_random_seed(seed)

    def save(self, folder: Path) -> None:
        self.model.save(folder / "model.zip")

    def load(self, folder: Path) -> None:
        self.model = type(self.model).load(folder / "model.zip", self.env, device="cpu")
        self._begin()

    def close(self) -> None:
        self.env.close()


class ContribMaskablePPO(StableBaselinesLearner):
    """sb3-contrib's MaskablePPO: feed-forward, with masks."""

    recurrent = False
    masked = True
    evaluate_policy = staticmethod(evaluate_maskable)

    def make_model(self) -> BaseAlgorithm:
        if self.setup.n_layers > 1:
            raise NotOfferedError("the learner is not recurrent")
        batch_size = self.setup.batch_size
        return MaskablePPO("MlpPolicy", self.env, batch_size=batch_size, n_epochs=1, **self.kwargs)

    @property
    def masking_kwargs(self) -> dict[str, Any]:
        return {"use_masking": self.setup.masks}

    def step(self, observations: Any, states: Any, masks: Any) -> Step:
        policy = self.model.policy
        with th.no_grad():
            obs = policy.obs_to_tensor(observations)[0]
            logits = policy.get_distribution(obs, masks).distribution.logits
            values = policy.predict_values(obs)
        return Step(logits.log_softmax(-1).numpy(), values.flatten().numpy(), None)


class ContribRecurrentPPO(StableBaselinesLearner):
    """sb3-contrib's RecurrentPPO with an LSTM; it takes no MultiDiscrete observations."""

    one_hot = True
    policy: ClassVar[Any] = "MlpLstmPolicy"
    layers: ClassVar[str] = "n_lstm_layers"

    def make_model(self) -> BaseAlgorithm:
        return RecurrentPPO(
            self.policy,
            self.env,
            batch_size=self.setup.batch_size,
            n_epochs=1,
            policy_kwargs=self.policy_kwargs,
            **self.kwargs,
        )

    @property
    def policy_kwargs(self) -> dict[str, Any]:
        return {self.layers: self.setup.n_layers} if self.layers else {}

    def step(self, observations: Any, states: Any, masks: Any) -> Step:
        policy = self.model.policy
        starts = th.full((len(observations),), float(states is None))
        if states is None:
            layers, _, size = policy.lstm_hidden_state_shape
            zeros = (th.zeros(layers, len(observations), size),) * 2
            states = RNNStates(zeros, zeros)
        with th.no_grad(), masking(policy, masks):
            obs = policy.obs_to_tensor(observations)[0]
            _, values, _, after = policy(obs, states, starts)
            distribution, _ = policy.get_distribution(obs, states.pi, starts)
            logits = distribution.distribution.logits
        return Step(logits.log_softmax(-1).numpy(), values.flatten().numpy(), after)


class LstmPPO(ContribRecurrentPPO):
    """Our MaskableRecurrentPPO with sb3-contrib's LSTM policy."""

    masked = True
    evaluate_policy = staticmethod(evaluate_policy)
    algorithm: ClassVar[type[MaskableRecurrentPPO]] = MaskableRecurrentPPO

    def make_env(self) -> VecEnv:
        makers: Any = self.setup.env_makers
        mode = self.setup.autoreset_mode
        return GymVecEnv(SyncVectorEnv(makers, autoreset_mode=mode))

    def make_model(self) -> BaseAlgorithm:
        sizes: dict[str, Any] = {"n_epochs": 1, "batch_size": self.setup.batch_size}
        return self.algorithm(
            self.policy,
            self.env,
            policy_kwargs=self.policy_kwargs,
            use_masking=self.setup.masks,
            **({} if self.algorithm is RecurrentA2C else sizes),
            **self.kwargs,
        )

    @contextmanager
    def noted(self) -> Iterator[list[tuple[th.Tensor, th.Tensor, th.Tensor]]]:
        notes: list[Any] = []
        compute_loss = self.model._loss

        def noting_loss(batch: Any, *args: Any) -> Any:
            log_probs = evaluate_packed(self.model.policy, batch)[1]
            notes.append((batch.old_log_prob, log_probs, self.normalized(batch.advantages)))
            return compute_loss(batch, *args)

        with mock.patch.object(self.model, "_loss", noting_loss):
            yield notes


class GruPPO(LstmPPO):
    """Our MaskableRecurrentPPO with our general GRU policy."""

    one_hot = False
    policy: ClassVar[Any] = "GruPolicy"
    layers = "n_layers"


class PublishedNetworkPPO(GruPPO):
    """Our MaskableRecurrentPPO with the tutorial's network, whose initial state is not zero."""

    policy = ToolArithGruPolicy
    layers = ""

    def make_model(self) -> BaseAlgorithm:
        if self.setup.n_layers > 1:
            raise NotOfferedError("the published network has one layer")
        return super().make_model()


class LstmA2C(LstmPPO):
    """Our RecurrentA2C with sb3-contrib's LSTM policy."""

    algorithm = RecurrentA2C


class GruA2C(GruPPO):
    """Our RecurrentA2C with our general GRU policy."""

    algorithm = RecurrentA2C


def _monitored(make: EnvMaker) -> EnvMaker:
    return lambda: Monitor(make())


def _exchange_critic(policy: Any, critic: Any) -> None:
    """Have a policy return other values: where it acts, predicts, and evaluates for an update."""
    for name, place in (
        ("forward", 1),
        ("predict_values", None),
        ("evaluate_actions", 0),
        ("evaluate_packed", 0),
    ):
        if hasattr(policy, name):
            setattr(policy, name, _with_critic(getattr(policy, name), place, critic))


def _with_critic(method: Any, place: int | None, critic: Any) -> Any:
    def exchanged(obs: th.Tensor, *args: Any, **kwargs: Any) -> Any:
        returned = method(obs, *args, **kwargs)
        values = th.as_tensor(critic(obs.cpu().numpy()), dtype=th.float32)
        if place is None:
            return values.reshape(returned.shape)
        parts = list(returned)
        parts[place] = values.reshape(parts[place].shape)
        return tuple(parts)

    return exchanged


@contextmanager
def _unchanged(model: Any) -> Iterator[None]:
    """Have a model train with a learning rate of 0, and undo what else that changes."""
    policy, schedule, n_updates = model.policy, model.lr_schedule, model._n_updates
    optimizer = copy.deepcopy(policy.optimizer.state_dict())
    model.lr_schedule = lambda progress: 0.0
    try:
        yield
    finally:
        model.lr_schedule, model._n_updates = schedule, n_updates
        policy.optimizer.load_state_dict(optimizer)
