"""PPO for recurrent policies, with action masks: sb3-contrib's RecurrentPPO, faster."""

import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch as th
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.utils import explained_variance, obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv
from torch.nn import functional

from agents.common.random_states import random_states, set_random_states
from agents.recurrent.episode_buffer import (
    EpisodeDictRolloutBuffer,
    EpisodeRolloutBuffer,
    EpisodeSamples,
)
from agents.recurrent.finite import all_or_nothing, check_finite, located
from agents.recurrent.gru_policy import GruActorCriticPolicy
from agents.recurrent.masking import (
    check_logits,
    check_masks,
    env_masks,
    has_masks,
    make_maskable,
    masking,
)
from agents.recurrent.packed import evaluate_packed

Self = TypeVar("Self", bound="MaskableRecurrentPPO")


class _Update(NamedTuple):
    """What a minibatch gives for the log, each a tensor of shape ()."""

    policy_loss: th.Tensor
    value_loss: th.Tensor
    entropy_loss: th.Tensor
    clip_fraction: th.Tensor
    approx_kl: th.Tensor
    loss: th.Tensor


class MaskableRecurrentPPO(RecurrentPPO):
    """Proximal Policy Optimization for recurrent policies, with optional action masks.

    sb3-contrib's RecurrentPPO with these differences.

    What it learns from:

    - where the environments have a method ``action_masks()``, only the actions that it admits are
      taken and learnt from (Discrete and MultiDiscrete actions);
    - minibatches are made of whole sequences, the parts of episodes that lie in the rollout, in
      random order; each starts from the state that the policy as it is now has at the beginning of
      an episode, and is run in one fused call of the network. ``rollout_buffer`` is an
      :class:`EpisodeRolloutBuffer` therefore, which has its own kind of minibatches, and
      :func:`~agents.recurrent.packed.evaluate_packed` has the policy evaluate them;
    - with ``use_sde`` and a policy that squashes its output, actions are scaled to the bounds of
      the environment, as by Stable-Baselines3's PPO.

    How it goes on:

    - a model that is saved and loaded with ``force_reset=False`` goes on to the last bit as if it
      had not been interrupted, given the environments as they were left and the same schedules
      (those of ``learn`` reach from its first step to its last);
    - after a callback stopped a rollout, or raised an exception, training goes on from where the
      environments are. So a callback's ``_on_step`` finds in the model what the step has changed:
      the last observations, episode starts and recurrent states, and the statistics of episodes;
    - an update that is interrupted, or ends in an error, is undone.

    What it refuses and reports:

    - NaN and infinity in observations, rewards, values, log-probabilities, gradients or parameters
      raise a ValueError that says where, in training and in ``predict``;
    - arguments that cannot be raise a ValueError when the model is made: ``n_steps``, ``n_epochs``
      or ``batch_size`` below 1, a ``clip_range_vf`` that is not positive (there an AssertionError),
      a single step whose advantage is to be normalized, a policy that is not recurrent;
    - statistics of episodes are read where an episode ends only, not from the infos of other steps;
    - callbacks find their variables up to date in ``_on_rollout_end`` too;
    - ``tb_log_name`` is "MaskableRecurrentPPO" by default.

    From sb3-contrib's MaskablePPO it differs in its masks as well: whether they are used is said
    here, not to ``learn``; environments without masks, and Box actions, are no error; MultiBinary
    actions cannot be masked.

    :param policy: sb3-contrib's "MlpLstmPolicy", "CnnLstmPolicy" or "MultiInputLstmPolicy", our
        "GruPolicy", or any class of recurrent policies; one that begins episodes in other states
        than zeros registers itself at ``evaluate_packed``
    :param env: the environment to learn from, or its id
    :param learning_rate: a number, or a function of the remaining progress, 1 to 0
    :param n_steps: steps of each environment before every update
    :param batch_size: greatest mean number of steps of the minibatches of an epoch, of which there
        are at most as many as sequences; None for a single one
    :param n_epochs: how often each update goes through the rollout
    :param gamma: discount factor
    :param gae_lambda: factor of generalized advantage estimation, 0 (one step) to 1 (return minus
        value)
    :param clip_range: how far the ratio of new to old probabilities counts from 1; a number, or a
        function of the remaining progress
    :param clip_range_vf: how far new values count from old ones, likewise; None for any
    :param normalize_advantage: whether to normalize the advantages of each minibatch
    :param ent_coef: weight of the entropy in the loss
    :param vf_coef: weight of the value loss
    :param max_grad_norm: greatest norm of the gradient
    :param use_sde: whether to explore with state-dependent noise (Box actions)
    :param sde_sample_freq: steps between draws of that noise; -1 to draw once a rollout
    :param target_kl: an update ends where the approximate divergence from the policy before it is
        over 1.5 times this; None for never
    :param stats_window_size: of how many last episodes the statistics are logged
    :param tensorboard_log: folder of TensorBoard's logs; None for none
    :param policy_kwargs: further arguments of the policy
    :param verbose: 0 for no output, 1 for information, 2 for debugging
    :param seed: of all random numbers; None for any
    :param device: where the policy runs, such as "cpu" or "cuda"; "auto" for a GPU if there is one
    :param _init_setup_model: whether to build the policy at once
    :param use_masking: whether to use the masks of environments that have them
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        **RecurrentPPO.policy_aliases,
        "GruPolicy": GruActorCriticPolicy,
    }
    rollout_buffer: EpisodeRolloutBuffer
    policy: RecurrentActorCriticPolicy
    _last_obs: Any  # an array, or a dict of arrays; None before training
    _last_lstm_states: RNNStates  # type: ignore[assignment]

    def __init__(
        self,
        policy: str | type[RecurrentActorCriticPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 3e-4,
        n_steps: int = 128,
        batch_size: int | None = 128,
        n_epochs: int = 10,
        gamma: float = 0.99,
        gae_lambda: float = 0.95,
        clip_range: float | Schedule = 0.2,
        clip_range_vf: float | Schedule | None = None,
        normalize_advantage: bool = True,
        ent_coef: float = 0.0,
        vf_coef: float = 0.5,
        max_grad_norm: float = 0.5,
        use_sde: bool = False,
        sde_sample_freq: int = -1,
        target_kl: float | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
        *,
        use_masking: bool = True,
    ) -> None:
        self.use_masking = use_masking
        self._interrupted: dict[str, Any] | None = None
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            n_steps=n_steps,
            batch_size=batch_size,
            n_epochs=n_epochs,
            gamma=gamma,
            gae_lambda=gae_lambda,
            clip_range=clip_range,
            clip_range_vf=clip_range_vf,
            normalize_advantage=normalize_advantage,
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            use_sde=use_sde,
            sde_sample_freq=sde_sample_freq,
            target_kl=target_kl,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )

    def _setup_model(self) -> None:
        self._check_arguments()
        super()._setup_model()
        make_maskable(self.policy)
        is_dict = isinstance(self.observation_space, spaces.Dict)
        self.rollout_buffer = (EpisodeDictRolloutBuffer if is_dict else EpisodeRolloutBuffer)(
            self.n_steps,
            self.observation_space,  # type: ignore[arg-type]
            self.action_space,
            self.device,
            gae_lambda=self.gae_lambda,
            gamma=self.gamma,
            n_envs=self.n_envs,
        )

    def _check_arguments(self) -> None:
        for name in ("n_steps", "n_epochs", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.normalize_advantage and self.n_steps * self.n_envs == 1:
            raise ValueError("a rollout of a single step has no advantages to normalize")
        if isinstance(self.clip_range_vf, float | int) and self.clip_range_vf <= 0:
            raise ValueError(f"clip_range_vf must be positive or None, got {self.clip_range_vf}")
        if not issubclass(self.policy_class, RecurrentActorCriticPolicy):
            raise ValueError(f"{self.policy_class.__name__} is no RecurrentActorCriticPolicy")

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Fill the buffer with steps of the environments: see the parent.

        If the callback asks to stop or raises an exception, the next rollout begins where the
        environments are; the steps of this one are not learnt from.

        :return: whether it is full; False if the callback asked to stop
        :raises ValueError: observations, rewards, values or log-probabilities are NaN or infinite
        """
        assert isinstance(rollout_buffer, EpisodeRolloutBuffer)
        assert self._last_episode_starts is not None, "collect_rollouts() is called by learn()"
        self.policy.set_training_mode(False)
        masked = self.use_masking and has_masks(env)
        n_steps = 0
        rollout_buffer.reset()
        rollout_buffer.lstm_states = lstm_states = self._last_lstm_states
        if self.use_sde:
            self.policy.reset_noise(env.num_envs)
        callback.on_rollout_start()

        while n_steps < n_rollout_steps:
            if self.use_sde and self.sde_sample_freq > 0 and n_steps % self.sde_sample_freq == 0:
                self.policy.reset_noise(env.num_envs)
            action_masks = env_masks(env) if masked else None
            where = f"step {n_steps} of the rollout, at timestep {self.num_timesteps}"
            with th.no_grad(), located(where), masking(self.policy, action_masks):
                check_finite("observations", self._last_obs, "environment")
                obs_tensor: Any = obs_as_tensor(self._last_obs, self.device)
                episode_starts = self._as_starts(self._last_episode_starts)
                actions, values, log_probs, lstm_states = self.policy(
                    obs_tensor, lstm_states, episode_starts
                )
                check_finite("values", values, "environment")
                check_finite("log-probabilities of actions", log_probs, "environment")
            actions = actions.cpu().numpy()
            clipped_actions = self._within_bounds(actions)
            new_obs, rewards, dones, infos = env.step(clipped_actions)

            # All that the step changed is noted before a callback can end the rollout: training
            # can then go on from where the environments are.
            self.num_timesteps += env.num_envs
            last_obs, self._last_obs = self._last_obs, new_obs
            last_starts, self._last_episode_starts = self._last_episode_starts, dones
            self._last_lstm_states = lstm_states
            ended = np.flatnonzero(dones)

            # The names of these variables are what callbacks of other learners read.
            callback.update_locals(locals())
            try:
                going_on = callback.on_step()
            finally:  # of what callbacks left of the infos: they may take episodes out
                self._note_episodes(infos, ended)
            if not going_on:
                return False

            n_steps += 1
            with located(where):
                check_finite("rewards", rewards, "environment")
                self._bootstrap_timeouts(rewards, infos, ended, lstm_states)
            rollout_buffer.add(
                last_obs,
                actions,
                rewards,
                last_starts,
                values,
                log_probs,
                action_masks=action_masks,
            )

        with th.no_grad(), located(f"the end of the rollout, at timestep {self.num_timesteps}"):
            check_finite("observations", self._last_obs, "environment")
            obs_tensor = obs_as_tensor(self._last_obs, self.device)
            critic_states: Any = lstm_states.vf
            values = self.policy.predict_values(obs_tensor, critic_states, self._as_starts(dones))
            check_finite("values", values, "environment")
            rollout_buffer.compute_returns_and_advantage(last_values=values, dones=dones)
            check_finite("returns", rollout_buffer.returns, "step")
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _note_episodes(self, infos: list[dict[str, Any]], ended: npt.NDArray[np.int64]) -> None:
        """Take note of the statistics of episodes: of the last ones, as many as are logged."""
        missing = self._stats_window_size
        last: list[dict[str, Any]] = []
        for row in reversed(ended.tolist()):
            last.append(infos[row])
            missing -= infos[row].get("episode") is not None
            if missing == 0:
                break
        self._update_info_buffer(last[::-1], np.ones(len(last), dtype=np.bool_))

    def _as_starts(self, dones: npt.NDArray[np.bool_]) -> th.Tensor:
        return th.as_tensor(dones, dtype=th.float32, device=self.device)

    def _within_bounds(self, actions: npt.NDArray[Any]) -> Any:
        """Return actions as the environment takes them."""
        if not isinstance(self.action_space, spaces.Box):
            return actions
        if self.policy.squash_output:
            return self.policy.unscale_action(actions)
        return np.clip(actions, self.action_space.low, self.action_space.high)

    def _bootstrap_timeouts(
        self,
        rewards: npt.NDArray[Any],
        infos: list[dict[str, Any]],
        ended: npt.NDArray[np.int64],
        lstm_states: RNNStates,
    ) -> None:
        """Add, where an episode was truncated, the value of its last observation to the reward.

        :param ended: the environments whose episodes ended
        :param lstm_states: states after the step
        """
        rows = [
            i
            for i in ended
            if infos[i].get("TimeLimit.truncated", False)
            and infos[i].get("terminal_observation") is not None
        ]
        if not rows:
            return
        last = [infos[i]["terminal_observation"] for i in rows]
        for i, observation in zip(rows, last, strict=True):
            check_finite(f"the terminal observation of environment {i}", observation, "entry")
        stacked: Any
        if isinstance(last[0], dict):
            stacked = {key: np.stack([obs[key] for obs in last]) for key in last[0]}
        else:
            stacked = np.stack(last)
        obs_tensor: Any = self.policy.obs_to_tensor(stacked)[0]
        states: Any = tuple(state[:, rows].contiguous() for state in lstm_states.vf)
        going_on = th.zeros(len(rows), device=self.device)
        values = np.zeros_like(rewards)
        with th.no_grad():
            values[rows] = self.policy.predict_values(obs_tensor, states, going_on).flatten().cpu()
        check_finite("values of terminal observations", values, "environment")
        rewards += self.gamma * values

    def train(self) -> None:
        """Update the policy with the rollout in the buffer.

        Where this raises an error, the policy and its optimizer are as they were before.

        :raises ValueError: a gradient or a parameter becomes NaN or infinite
        """
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        progress = self._current_progress_remaining
        clip_range: float = self.clip_range(progress)  # type: ignore[operator]
        clip_range_vf: float | None = None
        if self.clip_range_vf is not None:
            clip_range_vf = self.clip_range_vf(progress)  # type: ignore[operator]

        where = f"the update at timestep {self.num_timesteps}"
        with located(where), all_or_nothing(self.policy):
            updates, first_of_last_epoch = self._update(clip_range, clip_range_vf)
            for name, parameter in self.policy.named_parameters():
                check_finite(f"the parameter {name}", parameter)
        self._log(updates, first_of_last_epoch)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/clip_range", clip_range)
        if clip_range_vf is not None:
            self.logger.record("train/clip_range_vf", clip_range_vf)

    def _update(self, clip_range: float, clip_range_vf: float | None) -> tuple[list[_Update], int]:
        """Run all epochs; return what is to be logged, and where the last epoch begins in it."""
        updates: list[_Update] = []
        for epoch in range(self.n_epochs):
            first = len(updates)
            self._n_updates += 1
            for number, batch in enumerate(self.rollout_buffer.get(self.batch_size)):
                with located(f"minibatch {number} of epoch {epoch}"):
                    loss, update = self._loss(batch, clip_range, clip_range_vf)
                    updates.append(update)
                    if self.target_kl is not None and update.approx_kl > 1.5 * self.target_kl:
                        if self.verbose >= 1:
                            print(f"Early stopping at step {epoch}: kl {update.approx_kl:.2f}")
                        return updates, first
                    self._step(loss, update)
        return updates, first

    def _step(self, loss: th.Tensor, update: _Update) -> None:
        """Take a step of the optimizer."""
        self.policy.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = th.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        if not math.isfinite(norm):
            logged = ", ".join(f"{name} {value:.3g}" for name, value in update._asdict().items())
            raise ValueError(f"the gradient must be finite, its norm is {norm:.3g}: {logged}")
        self.policy.optimizer.step()

    def _loss(
        self, batch: EpisodeSamples, clip_range: float, clip_range_vf: float | None
    ) -> tuple[th.Tensor, _Update]:
        """Return the loss of a minibatch, and what to log."""
        values, log_prob, entropy = evaluate_packed(self.policy, batch)
        advantages = batch.advantages
        if self.normalize_advantage and len(advantages) > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        log_ratio = log_prob - batch.old_log_prob
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
        policy_loss = -th.min(advantages * ratio, advantages * clipped).mean()
        if clip_range_vf is not None:
            change = values - batch.old_values
            values = batch.old_values + change.clamp(-clip_range_vf, clip_range_vf)
        value_loss = functional.mse_loss(values, batch.returns)
        # Distributions without an entropy in closed form give None: estimate it.
        entropy_loss = log_prob.mean() if entropy is None else -entropy.mean()
        loss = policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss
        with th.no_grad():
            clip_fraction = ((ratio - 1).abs() > clip_range).float().mean()
            approx_kl = (ratio - 1 - log_ratio).mean()
        logged = (policy_loss, value_loss, entropy_loss, clip_fraction, approx_kl, loss)
        return loss, _Update(*(value.detach() for value in logged))

    def _log(self, updates: list[_Update], first_of_last_epoch: int) -> None:
        """Log the means of the minibatches under the names that RecurrentPPO gives them."""
        logged = _Update(*(th.stack(column).cpu() for column in zip(*updates, strict=True)))
        buffer = self.rollout_buffer
        record = self.logger.record
        record("train/entropy_loss", logged.entropy_loss.mean().item())
        record("train/policy_gradient_loss", logged.policy_loss.mean().item())
        record("train/value_loss", logged.value_loss.mean().item())
        record("train/approx_kl", logged.approx_kl[first_of_last_epoch:].mean().item())
        record("train/clip_fraction", logged.clip_fraction.mean().item())
        record("train/loss", logged.loss[-1].item())
        variance = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        record("train/explained_variance", variance)
        if isinstance(self.action_space, spaces.Box):
            record("train/std", self.policy.log_std.exp().mean().item())

    def predict(
        self,
        observation: npt.NDArray[Any] | dict[str, npt.NDArray[Any]],
        state: tuple[npt.NDArray[Any], ...] | None = None,
        episode_start: npt.NDArray[Any] | None = None,
        deterministic: bool = False,
        action_masks: npt.ArrayLike | None = None,
    ) -> tuple[npt.NDArray[Any], tuple[npt.NDArray[Any], ...] | None]:
        """Return actions and the next state: see the parent.

        :param action_masks: nonzero where an action is admitted, shape (batch, actions) or, for a
            single observation, (actions,); all are admitted without it
        :raises ValueError: observations are NaN, infinite or a tuple, or the logits become NaN
        """
        if isinstance(observation, tuple):
            raise ValueError(
                "observations must be an array or a dict of arrays, got a tuple: you are probably "
                "mixing Gym API and VecEnv API, of which the former's reset() returns "
                "(observation, info) and the latter's observations only"
            )
        check_finite("observations", self.policy.obs_to_tensor(observation)[0])
        masks = None if action_masks is None else check_masks(action_masks, self.action_space)
        with masking(self.policy, masks):
            prediction = super().predict(observation, state, episode_start, deterministic)
        check_logits(self.policy)
        return prediction

    def learn(
        self: Self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "MaskableRecurrentPPO",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train for at least that many steps of the environments: see the parent."""
        return super().learn(
            total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar
        )

    def save(
        self,
        path: str | Path | io.BufferedIOBase,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> None:
        """Save the model: see the parent.

        The recurrent and random states are saved too, so that training can go on from them. Of a
        rollout that is not complete only what it changed in these is saved, not its steps: a
        callback that saves within a rollout gives what the model is if it stops there.
        """
        self._interrupted = {
            "lstm_states": [[s.cpu().numpy() for s in pair] for pair in self._last_lstm_states],
            "random": random_states(self.device),
        }
        try:
            super().save(path, exclude, include)
        finally:
            self._interrupted = None

    @classmethod
    def load(
        cls: type[Self],
        path: str | Path | io.BufferedIOBase,
        env: GymEnv | None = None,
        device: th.device | str = "auto",
        custom_objects: dict[str, Any] | None = None,
        print_system_info: bool = False,
        force_reset: bool = True,
        **kwargs: Any,
    ) -> Self:
        """Load a model: see the parent.

        :param force_reset: whether training begins new episodes in ``env``. If not, it goes on
            where the model was saved, which sets the random states of torch, NumPy and Python too.
            ``env`` must then be as it was left.
        """
        model = super().load(
            path, env, device, custom_objects, print_system_info, force_reset, **kwargs
        )
        interrupted, model._interrupted = model._interrupted, None
        if interrupted is not None and not force_reset:
            model._go_on(interrupted)
        return model

    def _go_on(self, interrupted: dict[str, Any]) -> None:
        """Restore what :meth:`save` noted."""
        states = RNNStates(
            *(
                tuple(th.as_tensor(state, device=self.device) for state in pair)
                for pair in interrupted["lstm_states"]
            )
        )
        if states.pi[0].shape[1] != self.n_envs:
            raise ValueError(
                f"the model was saved within episodes of {states.pi[0].shape[1]} environments, "
                f"got {self.n_envs}: load it with force_reset=True"
            )
        self._last_lstm_states = states
        set_random_states(interrupted["random"], self.device)
