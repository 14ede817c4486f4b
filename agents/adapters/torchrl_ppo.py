"""Adapter of TorchRL's recurrent PPO: LSTMModule, GAE and ClipPPOLoss.

TorchRL leaves the loop to its users; this one is as in its documentation. What the loss computes is
noted while it runs, and not computed a second time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import gymnasium as gym
import numpy as np
import torch as th
from tensordict import TensorDict
from tensordict.nn import TensorDictModule as Module
from tensordict.nn import TensorDictSequential as Sequential
from torchrl.collectors import Collector
from torchrl.data import (
    Composite,
    LazyTensorStorage,
    SamplerWithoutReplacement,
    TensorDictReplayBuffer,
    Unbounded,
)
from torchrl.envs import (
    Compose,
    DTypeCastTransform,
    ExplorationType,
    GymWrapper,
    InitTracker,
    RewardSum,
    SerialEnv,
    StepCounter,
    TransformedEnv,
    set_exploration_type,
)
from torchrl.envs.libs.gym import default_info_dict_reader
from torchrl.modules import (
    ActorValueOperator,
    LSTMModule,
    MaskedCategorical,
    ProbabilisticActor,
    set_recurrent_mode,
)
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from agents.adapters.sequences import largest_divisor
from toolenv_gym.testing import Learner, Replay, Rollout, Setup, Step

UNITS = 32
LONGEST_EPISODE = 64  # steps, more than any world here allows
STATES = ("recurrent_state_h", "recurrent_state_c")


class TorchRLPPO(Learner):
    """TorchRL's ClipPPOLoss with an LSTM that actor and critic share."""

    one_hot = True

    def __init__(self, setup: Setup) -> None:
        th.manual_seed(setup.seed)
        self.setup = setup
        self._wrapped = [self._wrap(make()) for make in setup.env_makers]
        self.n_actions = int(self._wrapped[0].action_spec.n)
        self._make_networks(self._wrapped[0].observation_spec["observation"].shape[-1])
        makers: Any = [lambda env=env: env for env in self._wrapped]
        self.env = self._transformed(SerialEnv(len(makers), makers))
        self.env.set_seed(setup.seed)
        self.loss = ClipPPOLoss(
            self.operator.get_policy_operator(),
            self.operator.get_value_operator(),
            loss_critic_type="l2",
            critic_coeff=1.0,
            normalize_advantage=setup.normalize_advantages,
        )
        self.advantage = GAE(
            gamma=setup.gamma,
            lmbda=setup.gae_lambda,
            value_network=self.operator.get_value_operator(),
            deactivate_vmap=True,  # which recurrent networks do not work with
        )
        self.optimizer = th.optim.Adam(self.loss.parameters(), lr=setup.learning_rate)
        self.collector = Collector(
            self.env,
            self.operator.get_policy_operator(),
            frames_per_batch=setup.n_steps * len(makers),
            total_frames=-1,
        )
        self._batches = iter(self.collector)

    def _wrap(self, env: gym.Env[Any, Any]) -> GymWrapper:
        wrapped = GymWrapper(env, categorical_action_encoding=True)
        if self.setup.masks:
            shape = (int(wrapped.action_spec.n),)
            spec = Composite(action_mask=Unbounded(shape=shape, dtype=th.int8))
            wrapped.set_info_dict_reader(default_info_dict_reader(["action_mask"], spec=spec))
        return wrapped

    def _transformed(self, env: Any) -> TransformedEnv:
        cast = DTypeCastTransform(th.int64, th.float32, in_keys=["observation"])
        transforms = Compose(InitTracker(), RewardSum(), StepCounter(), cast)
        transformed = TransformedEnv(env, transforms)
        transformed.append_transform(self.lstm.make_tensordict_primer())
        return transformed

    def _make_networks(self, n_inputs: int) -> None:
        setup = self.setup
        self.lstm = LSTMModule(
            n_inputs, UNITS, setup.n_layers, in_key="observation", out_key="features"
        )
        logits = th.nn.Linear(UNITS, self.n_actions)
        with th.no_grad():
            for parameter in logits.parameters():
                parameter.mul_(setup.logit_scale)
        actor: Any = Module(logits, in_keys=["features"], out_keys=["logits"])
        if setup.masks:
            to_bool = Module(lambda mask: mask.bool(), in_keys=["action_mask"], out_keys=["mask"])
            actor = Sequential(actor, to_bool)
        in_keys = ["logits", "mask"] if setup.masks else ["logits"]
        self.operator = ActorValueOperator(
            self.lstm,
            ProbabilisticActor(
                actor,
                in_keys=in_keys,
                distribution_class=MaskedCategorical
                if setup.masks
                else th.distributions.Categorical,
                return_log_prob=True,
                default_interaction_type=ExplorationType.RANDOM,
            ),
            self._make_critic(),
        )

    def _make_critic(self) -> Module:
        critic = self.setup.critic
        if critic is None:
            values: Any = th.nn.Linear(UNITS, 1)
            return Module(values, in_keys=["features"], out_keys=["state_value"])

        def given(observations: th.Tensor) -> th.Tensor:
            rows = observations.reshape(-1, observations.shape[-1]).numpy()
            values = th.as_tensor(critic(rows), dtype=th.float32)
            return values.reshape(*observations.shape[:-1], 1)

        return Module(given, in_keys=["observation"], out_keys=["state_value"])

    def rollout(self) -> Rollout:
        with set_exploration_type(ExplorationType.RANDOM):
            self.batch = next(self._batches).clone()
        with set_recurrent_mode(True), th.no_grad():
            self.advantage(self.batch)
        return Rollout(
            observations=self._column("observation"),
            actions=self._column("action"),
            starts=self._column("is_init"),
            log_probs=self._column("action_log_prob"),
            values=self._column("state_value"),
            advantages=self._column("advantage"),
            returns=self._column("value_target"),
            masks=self._column("action_mask").astype(np.bool_) if self.setup.masks else None,
            episodes=self._episodes(self.batch),
        )

    def _column(self, name: str) -> Any:
        """Return a field of the batch, of shape (environments, steps), with the steps first."""
        values = self.batch[name].transpose(0, 1)
        one = values.ndim > 2 and values.shape[-1] == 1
        return (values.squeeze(-1) if one else values).numpy().copy()

    @staticmethod
    def _episodes(batch: Any) -> list[tuple[float, int]]:
        after = batch["next"]
        ended = after["done"]
        totals, lengths = after["episode_reward"][ended], after["step_count"][ended]
        return list(zip(totals.tolist(), lengths.tolist(), strict=True))

    def update(self) -> None:
        for losses in self._losses():
            self.optimizer.zero_grad()
            sum(value for name, value in losses.items() if name.startswith("loss_")).backward()
            self.optimizer.step()

    def _losses(self) -> Iterator[Any]:
        """Yield the losses of each minibatch of an epoch, a minibatch being of whole sequences."""
        setup = self.setup
        n_envs = len(setup.env_makers)
        length = largest_divisor(setup.n_steps, setup.chunk_length)
        sequences = self.batch.reshape(n_envs * setup.n_steps // length, length)
        buffer = TensorDictReplayBuffer(
            storage=LazyTensorStorage(len(sequences)),
            sampler=SamplerWithoutReplacement(),
            batch_size=largest_divisor(len(sequences), max(1, setup.batch_size // length)),
        )
        buffer.extend(sequences)
        for minibatch in buffer:
            with set_recurrent_mode(True):
                yield self.loss(minibatch)

    def replay(self) -> Replay:
        random = th.get_rng_state()
        with self._noted() as (old, new, advantages), th.no_grad():
            losses = list(self._losses())
        th.set_rng_state(random)
        return Replay(
            th.cat(old).numpy(),
            th.cat(new).numpy(),
            th.cat(advantages).numpy(),
            entropy=float(np.mean([each["entropy"].item() for each in losses])),
            value_loss=float(np.mean([each["loss_critic"].item() for each in losses])),
        )

    @contextmanager
    def _noted(self) -> Iterator[tuple[list[Any], list[Any], list[Any]]]:
        """Note the log-probabilities, old and new, and the advantages that the loss takes."""
        loss = self.loss
        get_log_prob, normalize = loss._get_cur_log_prob, loss._maybe_normalize_advantage
        notes: tuple[list[Any], list[Any], list[Any]] = ([], [], [])

        def noting_log_prob(batch: Any) -> Any:
            returned = get_log_prob(batch)
            notes[0].append(batch["action_log_prob"].flatten())
            notes[1].append(returned[0].detach().flatten())
            return returned

        def noting_normalize(*args: Any, **kwargs: Any) -> Any:
            advantage = normalize(*args, **kwargs)
            notes[2].append(advantage.flatten())
            return advantage

        with (
            mock.patch.object(loss, "_get_cur_log_prob", noting_log_prob),
            mock.patch.object(loss, "_maybe_normalize_advantage", noting_normalize),
        ):
            yield notes

    def step(self, observations: Any, states: Any, masks: Any) -> Step:
        seen = self._seen(observations, states, masks)
        with th.no_grad(), set_recurrent_mode(False):
            distribution = self.operator.get_policy_operator().get_dist(seen)
            values = self.operator.get_value_operator()(seen)["state_value"]
        log_probs = distribution.logits.log_softmax(-1)
        return Step(log_probs.numpy(), values.flatten().numpy(), self._after(seen))

    def _seen(self, observations: Any, states: Any, masks: Any) -> TensorDict:
        n = len(observations)
        begins = th.full((n, 1), states is None)
        if states is None:
            states = {name: th.zeros(n, self.setup.n_layers, UNITS) for name in STATES}
        if self.setup.masks:
            everything = np.ones((n, self.n_actions), dtype=np.bool_)
            mask = everything if masks is None else masks
            states = {**states, "action_mask": th.as_tensor(mask)}
        seen = th.as_tensor(observations, dtype=th.float32)
        return TensorDict({"observation": seen, "is_init": begins, **states}, [n])

    @staticmethod
    def _after(seen: TensorDict) -> dict[str, th.Tensor]:
        return {name: seen["next", name].clone() for name in STATES}

    def predict(
        self, observations: Any, states: Any, masks: Any, deterministic: bool
    ) -> tuple[Any, Any]:
        seen = self._seen(observations, states, masks)
        kind = ExplorationType.DETERMINISTIC if deterministic else ExplorationType.RANDOM
        with th.no_grad(), set_exploration_type(kind), set_recurrent_mode(False):
            self.operator.get_policy_operator()(seen)
        return seen["action"].numpy(), self._after(seen)

    def evaluate(self, env: gym.Env[Any, Any], n_episodes: int) -> float:
        played = self._transformed(self._wrap(env))
        with th.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
            batch = played.rollout(
                n_episodes * LONGEST_EPISODE,
                self.operator.get_policy_operator(),
                break_when_any_done=False,
            )
        return float(np.mean([total for total, _ in self._episodes(batch)][:n_episodes]))

    def seed(self, seed: int) -> None:
        th.manual_seed(seed)

    def save(self, folder: Path) -> None:
        states = {"loss": self.loss.state_dict(), "optimizer": self.optimizer.state_dict()}
        th.save(states, folder / "learner.pt")

    def load(self, folder: Path) -> None:
        states = th.load(folder / "learner.pt", weights_only=True)
        self.loss.load_state_dict(states["loss"])
        self.optimizer.load_state_dict(states["optimizer"])

    def close(self) -> None:
        self.collector.shutdown()
