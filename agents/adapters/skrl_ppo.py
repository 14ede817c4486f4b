"""Adapters of skrl's recurrent PPO, with one network for policy and value, and with two.

The library plays by its own trainer and learns by its own ``update()``. What that computes is noted
while it runs, with a learning rate of 0, and not computed a second time.
"""

import copy
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import gymnasium as gym
import numpy as np
import torch as th
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from skrl.agents.torch.ppo import PPO_CFG, PPO_RNN
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import CategoricalMixin, DeterministicMixin, Model
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed

from agents.adapters.sequences import largest_divisor
from toolenv_gym.testing import Learner, NotOfferedError, Replay, Rollout, Setup, Step

UNITS = 32
ENTROPY_SCALE = 0.01  # at 0 the library would not compute the entropy
LONGEST_EPISODE = 64  # steps, more than any world here allows


class LstmModel(CategoricalMixin, DeterministicMixin, Model):  # type: ignore[misc]
    """An LSTM with an actor and a critic, after the examples of skrl's documentation."""

    def __init__(self, env: Any, setup: Setup, sequence_length: int) -> None:
        spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
        Model.__init__(self, **spaces, device="cpu")
        CategoricalMixin.__init__(self, role="policy")
        DeterministicMixin.__init__(self, role="value")
        self._n_envs, self._length = env.num_envs, sequence_length
        self._given_critic = setup.critic
        self.lstm = th.nn.LSTM(self.num_observations, UNITS, setup.n_layers, batch_first=True)
        self.actor = th.nn.Linear(UNITS, self.num_actions)
        self.critic = th.nn.Linear(UNITS, 1)
        with th.no_grad():
            for parameter in self.actor.parameters():
                parameter.mul_(setup.logit_scale)

    def get_specification(self) -> dict[str, Any]:
        size = (self.lstm.num_layers, self._n_envs, UNITS)
        return {"rnn": {"sequence_length": self._length, "sizes": [size, size]}}

    def act(self, inputs: Any, *, role: str = "") -> Any:
        mixin = CategoricalMixin if role == "policy" else DeterministicMixin
        return mixin.act(self, inputs, role=role)

    def compute(self, inputs: Any, role: str = "") -> tuple[th.Tensor, dict[str, Any]]:
        features, states = self._run(inputs)
        if role == "policy":
            return self.actor(features), {"rnn": states}
        values = self.critic(features)
        if self._given_critic is not None:
            given = self._given_critic(inputs["observations"].numpy())
            values = th.as_tensor(given, dtype=th.float32).reshape(values.shape)
        return values, {"rnn": states}

    def _run(self, inputs: Any) -> tuple[th.Tensor, list[th.Tensor]]:
        """Run the LSTM over sequences, when it is trained, or else over single steps."""
        length = self._length if self.training else 1
        observations = inputs["observations"].view(-1, length, self.num_observations)
        # A state is stored for every step, of which the first one of each sequence counts.
        states = [
            state.reshape(len(state), -1, length, UNITS)[:, :, 0].contiguous()
            for state in inputs["rnn"]
        ]
        ended = th.zeros(len(observations), length, dtype=th.bool)
        if self.training:
            ended = (inputs["terminated"] | inputs["truncated"]).view(-1, length)
        outputs = []
        for step in range(length):
            output, states = self.lstm(observations[:, step : step + 1], tuple(states))
            outputs.append(output)
            going_on = (~ended[:, step]).float().view(1, -1, 1)
            if length > 1:
                states = [state * going_on for state in states]
        return th.cat(outputs, dim=1).reshape(-1, UNITS), list(states)


class SkrlPPO(Learner):
    """skrl's PPO_RNN with an LSTM that policy and value share."""

    one_hot = True
    autoreset_modes = (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP)
    shared: ClassVar[bool] = True

    def __init__(self, setup: Setup) -> None:
        if setup.masks:
            raise NotOfferedError("skrl has no masks of actions")
        set_seed(setup.seed)
        self.setup = setup
        self._folder = tempfile.TemporaryDirectory()
        envs: Any = list(setup.env_makers)
        self.env = wrap_env(SyncVectorEnv(envs, autoreset_mode=setup.autoreset_mode), verbose=False)
        memory = RandomMemory(memory_size=setup.n_steps, num_envs=self.env.num_envs, device="cpu")
        self.agent = self._make_agent(self.env, memory)
        self.trainer = self._make_trainer(self.env, self.agent, setup.n_steps)

    def _make_agent(self, env: Any, memory: Any) -> Any:
        setup = self.setup
        length = largest_divisor(setup.n_steps, setup.chunk_length)
        n_sequences = setup.n_steps * len(setup.env_makers) // length
        n_steps = setup.n_steps * len(setup.env_makers)
        model = LstmModel(env, setup, length)
        config = PPO_CFG(
            rollouts=setup.n_steps,
            learning_epochs=1,
            mini_batches=largest_divisor(n_sequences, max(1, n_steps // setup.batch_size)),
            discount_factor=setup.gamma,
            gae_lambda=setup.gae_lambda,
            learning_rate=setup.learning_rate,
            value_clip=0.0,
            entropy_loss_scale=ENTROPY_SCALE,
            time_limit_bootstrap=True,
        )
        config.experiment.directory = self._folder.name
        config.experiment.write_interval = 10**9  # at 0 the library would not count returns
        config.experiment.checkpoint_interval = 0
        return PPO_RNN(
            models={
                "policy": model,
                "value": model if self.shared else LstmModel(env, setup, length),
            },
            memory=memory,
            observation_space=env.observation_space,
            action_space=env.action_space,
            device="cpu",
            cfg=config,
        )

    @staticmethod
    def _make_trainer(env: Any, agent: Any, timesteps: int) -> Any:
        config = {
            "timesteps": timesteps,
            "headless": True,
            "disable_progressbar": True,
            "close_environment_at_exit": False,
        }
        return SequentialTrainer(env=env, agents=agent, cfg=config)

    def rollout(self) -> Rollout:
        agent = self.agent
        agent._track_rewards.clear()
        agent._track_timesteps.clear()
        with mock.patch.object(agent, "update", self._compute_returns):
            self.trainer.train()
        kept = {
            name: agent.memory.get_tensor_by_name(name).squeeze(-1).numpy().copy()
            for name in ("actions", "log_prob", "values", "returns", "terminated", "truncated")
        }
        return Rollout(
            observations=agent.memory.get_tensor_by_name("observations").numpy().copy(),
            actions=kept["actions"].astype(np.int64),
            starts=self._starts(kept["terminated"] | kept["truncated"]),
            log_probs=kept["log_prob"],
            values=kept["values"],
            advantages=kept["returns"] - kept["values"],  # the others are normalized
            returns=kept["returns"],
            episodes=[
                (total, length)
                for (total,), (length,) in zip(
                    agent._track_rewards, agent._track_timesteps, strict=True
                )
            ],
        )

    def _starts(self, ended: Any) -> Any:
        """Return where episodes start: after those that ended."""
        first = getattr(self, "_ended", np.ones(ended.shape[1], dtype=np.bool_))
        self._ended = ended[-1]
        return np.concatenate([first[np.newaxis], ended[:-1]])

    def _compute_returns(self, **times: int) -> None:
        """Run the library's update without a minibatch: it computes returns and learns nothing."""
        with mock.patch.object(self.agent.memory, "sample_all", return_value=[]):
            type(self.agent).update(self.agent, **times)

    def update(self) -> None:
        self.agent.enable_models_training_mode(True)
        self.agent.update(timestep=0, timesteps=1)
        self.agent.enable_models_training_mode(False)

    def replay(self) -> Replay:
        with _unchanged(self.agent.optimizer), self._noted() as (batches, new):
            self.update()
        tracked = {name: values[-1] for name, values in self.agent.tracking_data.items()}
        names = self.agent._tensors_names
        old, advantages = (
            th.cat([batch[names.index(name)] for batch in batches]).flatten().numpy()
            for name in ("log_prob", "advantages")
        )
        return Replay(
            old,
            th.cat(new).flatten().numpy(),
            advantages,
            entropy=-tracked["Loss / Entropy loss"] / ENTROPY_SCALE,
            value_loss=tracked["Loss / Value loss"] / self.agent.cfg.value_loss_scale,
        )

    @contextmanager
    def _noted(self) -> Iterator[tuple[list[Any], list[th.Tensor]]]:
        """Note the minibatches and the log-probabilities that the update computes of them."""
        memory, policy = self.agent.memory, self.agent.policy
        sample_all, act = memory.sample_all, policy.act
        batches: list[Any] = []
        log_probs: list[th.Tensor] = []

        def noting_sample(names: Any, **kwargs: Any) -> Any:
            sampled = sample_all(names, **kwargs)
            if "log_prob" in names:
                batches.extend(sampled)
            return sampled

        def noting_act(inputs: Any, *, role: str = "") -> Any:
            actions, outputs = act(inputs, role=role)
            if "taken_actions" in inputs:
                log_probs.append(outputs["log_prob"].detach())
            return actions, outputs

        with (
            mock.patch.object(memory, "sample_all", noting_sample),
            mock.patch.object(policy, "act", noting_act),
        ):
            yield batches, log_probs

    def step(self, observations: Any, states: Any, masks: Any) -> Step:
        if states is None:
            size = self.setup.n_layers, len(observations), UNITS
            states = {role: [th.zeros(size), th.zeros(size)] for role in ("policy", "value")}
        seen = th.as_tensor(observations, dtype=th.float32)
        numbers, after = {}, {}
        with th.no_grad():
            for role, model in self.agent.models.items():
                inputs = {"observations": seen, "rnn": states[role]}
                numbers[role], outputs = model.compute(inputs, role)
                after[role] = outputs["rnn"]
        log_probs = numbers["policy"].log_softmax(-1)
        return Step(log_probs.numpy(), numbers["value"].flatten().numpy(), after)

    def evaluate(self, env: gym.Env[Any, Any], n_episodes: int) -> float:
        wrapped = wrap_env(env, verbose=False)
        agent = self._make_agent(wrapped, None)
        trainer = self._make_trainer(wrapped, agent, n_episodes * LONGEST_EPISODE)
        for role, model in self.agent.models.items():
            agent.models[role].load_state_dict(model.state_dict())
        trainer.eval()
        return float(np.mean(list(agent._track_rewards)[:n_episodes]))

    def seed(self, seed: int) -> None:
        set_seed(seed)

    def save(self, folder: Path) -> None:
        self.agent.save(str(folder / "agent.pt"))

    def load(self, folder: Path) -> None:
        self.agent.load(str(folder / "agent.pt"))

    def close(self) -> None:
        self.env.close()
        self.agent.writer.close()
        self._folder.cleanup()


class SkrlSeparatePPO(SkrlPPO):
    """skrl's PPO_RNN with an LSTM for the policy and one for the value."""

    shared = False


@contextmanager
def _unchanged(optimizer: th.optim.Optimizer) -> Iterator[None]:
    """Have an optimizer change nothing for a while, and undo what else that changes."""
    state = copy.deepcopy(optimizer.state_dict())
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    try:
        yield
    finally:
        optimizer.load_state_dict(state)
