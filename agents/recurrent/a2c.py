"""A2C for recurrent policies, with action masks."""

from typing import Any, TypeVar

import torch as th
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule

from agents.recurrent.ppo import MaskableRecurrentPPO

Self = TypeVar("Self", bound="RecurrentA2C")


class RecurrentA2C(MaskableRecurrentPPO):
    """Advantage Actor Critic for recurrent policies, with optional action masks.

    A2C is PPO with one epoch over one batch (Huang et al. 2022, "A2C is a special case of PPO",
    arXiv:2205.09123): the ratio of new to old probabilities is then 1, so nothing is ever clipped
    and the gradient is that of advantage times log-probability. So this is
    :class:`MaskableRecurrentPPO` with the settings of Stable-Baselines3's A2C: neither advantages
    are normalized nor values clipped, and the optimiser is RMSprop.

    It differs from Stable-Baselines3's A2C in what recurrence and :class:`MaskableRecurrentPPO`
    bring with them, and in this:

    - ``n_steps`` is 16 by default, not 5. A rollout cuts the episodes that it begins and ends in,
      and gradients do not reach over a cut: rollouts of 5 steps would cut nearly every episode of 7
      steps, 16 hold one uncut at least;
    - the buffer cannot be exchanged: there is no ``rollout_buffer_class``;
    - what is logged has PPO's names: ``train/policy_gradient_loss``, and ``clip_fraction`` too;
    - ``tb_log_name`` is "RecurrentA2C" by default.

    :param policy: see MaskableRecurrentPPO
    :param env: the environment to learn from, or its id
    :param learning_rate: a number, or a function of the remaining progress, 1 to 0
    :param n_steps: steps of each environment before every update
    :param gamma: discount factor
    :param gae_lambda: 1 for the classic advantage, return minus value
    :param ent_coef: weight of the entropy in the loss
    :param vf_coef: weight of the value loss
    :param max_grad_norm: greatest norm of the gradient
    :param rms_prop_eps: epsilon of RMSprop
    :param use_rms_prop: whether the optimiser is RMSprop instead of the policy's own; one named
        in ``policy_kwargs`` goes before both
    :param use_sde: whether to explore with state-dependent noise (Box actions)
    :param sde_sample_freq: steps between draws of that noise; -1 to draw once a rollout
    :param normalize_advantage: whether to normalize the advantages
    :param stats_window_size: of how many last episodes the statistics are logged
    :param tensorboard_log: folder of TensorBoard's logs; None for none
    :param policy_kwargs: further arguments of the policy
    :param verbose: 0 for no output, 1 for information, 2 for debugging
    :param seed: of all random numbers; None for any
    :param device: where the policy runs, such as "cpu" or "cuda"; "auto" for a GPU if there is one
    :param _init_setup_model: whether to build the policy at once
    :param use_masking: whether to use the masks of environments that have them
    """

    def __init__(
        self,
        policy: str | type[RecurrentActorCriticPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 7e-4,
        n_steps: int = 16,
        gamma: float = 0.99,
        gae_lambda: float = 1.0,
        ent_coef: float = 0.0,
        vf_coef: float = 0.5,
        max_grad_norm: float = 0.5,
        rms_prop_eps: float = 1e-5,
        use_rms_prop: bool = True,
        use_sde: bool = False,
        sde_sample_freq: int = -1,
        normalize_advantage: bool = False,
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
        self.rms_prop_eps = rms_prop_eps
        self.use_rms_prop = use_rms_prop
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            n_steps=n_steps,
            batch_size=None,
            n_epochs=1,
            gamma=gamma,
            gae_lambda=gae_lambda,
            normalize_advantage=normalize_advantage,
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            use_sde=use_sde,
            sde_sample_freq=sde_sample_freq,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
            use_masking=use_masking,
        )

    def _setup_model(self) -> None:
        given = self.policy_kwargs
        if self.use_rms_prop and "optimizer_class" not in given:
            rms_prop = {"alpha": 0.99, "eps": self.rms_prop_eps, "weight_decay": 0}
            self.policy_kwargs = {
                "optimizer_class": th.optim.RMSprop,
                "optimizer_kwargs": rms_prop,
            } | given
        super()._setup_model()
        self.policy_kwargs = given  # what is saved: load() refuses others than these

    def learn(
        self: Self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 100,
        tb_log_name: str = "RecurrentA2C",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train for at least that many steps of the environments: see the parent."""
        return super().learn(
            total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar
        )
