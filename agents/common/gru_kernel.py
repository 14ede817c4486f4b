"""A layer of ``nn.GRU``, step by step, with the gradient through time written out by hand.

:func:`gru_step` goes one step forwards, whatever the inputs come from, and :func:`gru_gradients`
back through all of them; :func:`gru_sequences` does both for inputs that are known beforehand.

On one core of a CPU, where torch has no fused kernel for a GRU, that takes less time than
``nn.GRU`` on the same packed sequences, down to a twentieth: docs/performance.md. In all
functions the rows of a tensor of all steps lie as in torch's ``PackedSequence``: the first steps of
all sequences, longest sequence first, then the second steps of those that have one, and so on.
"""

from typing import Any

import torch as th

BatchSizes = list[int]

# The derivatives by what went into a sigmoid or tanh, given what came out, in one pass.
_through_sigmoid: Any = th.ops.aten.sigmoid_backward
_through_tanh: Any = th.ops.aten.tanh_backward


def gru_step(
    gates: th.Tensor,
    hidden: th.Tensor,
    weight: th.Tensor,
    bias: th.Tensor,
    recurrent: th.Tensor,
    new: th.Tensor,
    output: th.Tensor,
) -> None:
    """Take a step of n sequences.

    :param gates: inputs times the input weights, with their bias, shape (n, 3 * hidden_size), in
        the order of ``nn.GRU``: reset, update, new
    :param hidden: the states before, shape (n, hidden_size)
    :param weight: recurrent weights, shape (3 * hidden_size, hidden_size)
    :param bias: shape (3 * hidden_size,)
    :param recurrent: is set to reset gate, update gate, and what the states add to the new one
    :param new: is set to the new gate
    :param output: is set to the states after the step
    """
    sizes = [2 * hidden.shape[1], hidden.shape[1]]
    from_both, from_new = th.split_with_sizes(gates, sizes, 1)
    both, new_h = th.split_with_sizes(recurrent, sizes, 1)
    th.addmm(bias, hidden, weight.T, out=recurrent)
    reset, update = both.add_(from_both).sigmoid_().chunk(2, 1)
    th.addcmul(from_new, reset, new_h, out=new).tanh_()
    th.lerp(new, hidden, update, out=output)


def gru_gradients(
    d_outputs: th.Tensor,
    hiddens: th.Tensor,
    recurrent: th.Tensor,
    new: th.Tensor,
    weight: th.Tensor,
    batch_sizes: BatchSizes,
) -> tuple[th.Tensor, th.Tensor, th.Tensor, th.Tensor]:
    """Return the gradients of all steps' gates, of the first states, of the weight and the bias.

    :param d_outputs: the gradient of the states after each step, shape (n_steps, hidden_size)
    :param hiddens: the states before each step, likewise
    :param recurrent: what :func:`gru_step` set, of all steps
    :param new: likewise
    :param batch_sizes: how many sequences have a first step, a second step, and so on
    """
    reset, update, new_h = recurrent.chunk(3, dim=1)
    # A step's gradients are those of its state times these slopes, worked out for all steps at
    # once: only the states' gradients must be worked out one after the other.
    d_new = _through_tanh(1 - update, new)
    slopes = recurrent.new_empty(len(recurrent), 3, new.shape[1])
    _through_sigmoid.grad_input(d_new * new_h, reset, grad_input=slopes[:, 0])
    _through_sigmoid.grad_input(hiddens - new, update, grad_input=slopes[:, 1])
    th.mul(d_new, reset, out=slopes[:, 2])
    d_hiddens = d_outputs.clone()
    d_recurrent = th.empty_like(slopes)
    columns = (d_hiddens, update, slopes, d_recurrent)
    steps = zip(*(th.split(column, batch_sizes) for column in columns), strict=True)
    carried = d_outputs.new_empty(0, new.shape[1])
    for d_hidden, keep, slope, d_added in reversed(list(steps)):
        d_hidden[: len(carried)] += carried
        th.mul(d_hidden.unsqueeze(1), slope, out=d_added)
        carried = (d_hidden * keep).addmm_(d_added.flatten(1), weight)
    d_gates = d_recurrent.flatten(1)
    d_weight, d_bias = d_gates.T @ hiddens, d_gates.sum(dim=0)
    th.mul(d_hiddens, d_new, out=d_recurrent[:, 2])  # the new gate adds the inputs undamped
    return d_gates, carried, d_weight, d_bias


def gru_sequences(
    gates: th.Tensor,
    hidden: th.Tensor,
    weight: th.Tensor,
    bias: th.Tensor,
    batch_sizes: BatchSizes,
) -> th.Tensor:
    """Return the states after each step of packed sequences, shape (n_steps, hidden_size).

    :param gates: of all steps, shape (n_steps, 3 * hidden_size): see :func:`gru_step`
    :param hidden: the states before, longest sequence first, shape (n_seq, hidden_size)
    :param weight: see :func:`gru_step`
    :param bias: see :func:`gru_step`
    :param batch_sizes: how many sequences have a first step, a second step, and so on
    """
    if not th.is_grad_enabled():  # of a single step the graph would take half of the time
        return _all_steps(gates, hidden, weight, bias, batch_sizes)[0]
    outputs: th.Tensor = GruSequence.apply(  # type: ignore[no-untyped-call]
        gates, hidden, weight, bias, batch_sizes
    )
    return outputs


class GruSequence(th.autograd.Function):
    """:func:`gru_sequences` with its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        gates: th.Tensor,
        hidden: th.Tensor,
        weight: th.Tensor,
        bias: th.Tensor,
        batch_sizes: BatchSizes,
    ) -> th.Tensor:
        """Return the states after each step."""
        outputs, recurrent, new = _all_steps(gates, hidden, weight, bias, batch_sizes)
        ctx.batch_sizes = batch_sizes
        ctx.save_for_backward(hidden, outputs, recurrent, new, weight)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: th.Tensor) -> tuple[th.Tensor | None, ...]:
        """Return the gradients of the arguments of :meth:`forward`."""
        before, outputs, recurrent, new, weight = ctx.saved_tensors
        sizes = ctx.batch_sizes
        # The state before each step: that after the step before it, of the sequences that go on.
        earlier = [before, *outputs.split(sizes)]
        hiddens = th.cat([state[:n] for state, n in zip(earlier, sizes, strict=False)])
        return *gru_gradients(gradients[0], hiddens, recurrent, new, weight, sizes), None


def _all_steps(
    gates: th.Tensor,
    hidden: th.Tensor,
    weight: th.Tensor,
    bias: th.Tensor,
    batch_sizes: BatchSizes,
) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
    """Return what :func:`gru_step` sets at each step: output, recurrent, new."""
    outputs = gates.new_empty(len(gates), hidden.shape[1])
    recurrent, new = th.empty_like(gates), th.empty_like(outputs)
    columns = (gates, recurrent, new, outputs)
    by_step = zip(*(th.split(column, batch_sizes) for column in columns), strict=True)
    for step_gates, step_recurrent, step_new, output in by_step:
        before = hidden[: len(output)]
        gru_step(step_gates, before, weight, bias, step_recurrent, step_new, output)
        hidden = output
    return outputs, recurrent, new
