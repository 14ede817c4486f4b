"""Many NumPy random generators side by side, drawn from in compiled code.

A scalar environment draws from a ``numpy.random.Generator`` on PCG64. Here the state of n of them
is a row each of an array, and :func:`draw_below` is ``Generator.integers(n)`` on a row, bit for
bit: PCG64 is the XSL-RR 128/64 generator of O'Neill (2014, "PCG: A Family of Simple Fast
Space-Efficient Statistically Good Algorithms for Random Number Generation"), the bound is applied
as Lemire does (2019, arXiv:1805.10941). NumPy guarantees PCG64's stream.

A row holds, as uint64: the state's high and low half, the increment's high and low half, and a
buffer: each output gives two 32-bit numbers, of which the second waits in the high half of the
buffer, marked by a 1 in the low half.
"""

import numpy as np
import numpy.typing as npt

from toolenv_gym.compiled import kernel

Streams = npt.NDArray[np.uint64]

WIDTH = 5  # of a row

_HIGHEST_HALF = 2**32  # bounds above it take 64 bits

_MASK_64 = 2**64 - 1
_HALF = np.uint64(32)
_LOW = np.uint64(2**32 - 1)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_ROTATION = np.uint64(58)
_WORD = np.uint64(64)
# PCG's multiplier of 128 bits
_FACTOR_HIGH = np.uint64(0x2360ED051FC65DA4)
_FACTOR_LOW = np.uint64(0x4385DF649FCCF645)


def to_row(generator: np.random.Generator) -> list[int]:
    """Return the row of a generator on PCG64 that has not been drawn from."""
    state = generator.bit_generator.state["state"]
    number, increment = state["state"], state["inc"]
    return [number >> 64, number & _MASK_64, increment >> 64, increment & _MASK_64, 0]


def to_generator(row: npt.NDArray[np.uint64]) -> np.random.Generator:
    """Return a generator that goes on where a row stands."""
    high, low, increment_high, increment_low, buffer = (int(word) for word in row)
    bits = np.random.PCG64()
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": high << 64 | low, "inc": increment_high << 64 | increment_low},
        "has_uint32": buffer & 1,
        "uinteger": buffer >> 32,
    }
    return np.random.Generator(bits)


@kernel
def _high_product(x: np.uint64, y: np.uint64) -> np.uint64:
    """Return the high 64 bits of the product, by halves."""
    x_low, x_high, y_low, y_high = x & _LOW, x >> _HALF, y & _LOW, y >> _HALF
    middle = x_high * y_low + (x_low * y_low >> _HALF)
    carry = (middle & _LOW) + x_low * y_high >> _HALF
    return x_high * y_high + (middle >> _HALF) + carry


@kernel
def _next_word(streams: Streams, i: int) -> np.uint64:
    """Advance stream i and return 64 random bits."""
    high, low = streams[i, 0], streams[i, 1]
    new_low = low * _FACTOR_LOW + streams[i, 3]
    carry = _ONE if new_low < streams[i, 3] else _ZERO
    product = _high_product(low, _FACTOR_LOW) + high * _FACTOR_LOW + low * _FACTOR_HIGH
    new_high = product + streams[i, 2] + carry
    streams[i, 0], streams[i, 1] = new_high, new_low
    bits = new_high ^ new_low
    rotation = new_high >> _ROTATION
    return bits >> rotation | bits << (_WORD - rotation & _WORD - _ONE)


@kernel
def _next_half(streams: Streams, i: int) -> np.uint64:
    """Return 32 random bits of stream i."""
    buffer = streams[i, 4]
    if buffer & _LOW:
        streams[i, 4] = buffer & ~_LOW
        return buffer >> _HALF
    word = _next_word(streams, i)
    streams[i, 4] = word & ~_LOW | _ONE
    return word & _LOW


@kernel
def _draw_wide(streams: Streams, i: int, limit: np.uint64) -> np.uint64:
    """Draw an integer below a limit that takes 64 random bits."""
    word = _next_word(streams, i)
    threshold = (_ZERO - limit) % limit
    while word * limit < threshold:
        word = _next_word(streams, i)
    return _high_product(word, limit)


@kernel
def _draw_narrow(streams: Streams, i: int, limit: np.uint64) -> np.uint64:
    """Draw an integer below a limit that takes 32 random bits."""
    product = _next_half(streams, i) * limit
    if product & _LOW < limit:  # the draws below this threshold would favour some values
        threshold = (_LOW - limit + _ONE) % limit
        while product & _LOW < threshold:
            product = _next_half(streams, i) * limit
    return product >> _HALF


@kernel
def draw_below(streams: Streams, chosen: npt.NDArray[np.int64], bound: int) -> Streams:
    """Draw an integer from 0 to ``bound - 1`` from each of the streams chosen by index.

    :param bound: at most 2**63 - 1
    """
    drawn = np.empty(len(chosen), dtype=np.uint64)
    limit = np.uint64(bound)
    if bound > _HIGHEST_HALF:
        for j in range(len(chosen)):
            drawn[j] = _draw_wide(streams, chosen[j], limit)
    else:
        for j in range(len(chosen)):
            drawn[j] = _draw_narrow(streams, chosen[j], limit)
    return drawn
