"""The worlds a second time, written from their description alone, to compare with.

Nothing is imported from the package: token ids, targets and weights are spelled out, registers are
``None`` when empty, and the digits left are a list that shrinks.
"""

import itertools
import math

MUL, ADD, SUB, ANS, STO, RCL = 11, 12, 13, 14, 15, 16


def published(stage, digits, tokens, shaping=0.2, max_steps=7):
    """Return (return, steps, register) of an episode under the published rules."""
    a, b, c, d, e = digits
    last, flag = None, False
    for step, token in enumerate(tokens[:max_steps], start=1):
        if token == ANS:
            graded = [a * b, a * b + c, a * b + c - d][stage]
            return _score(stage, digits, last, graded, shaping), step, last
        if token == STO:
            flag = True
        elif token == RCL and flag:
            if stage == 2:
                last = d * e
            elif last is None:
                last = 0
        elif token == MUL and last is None:
            last = a * b
        elif token == MUL and stage > 0:
            last *= d
        elif token == ADD and last is not None:
            last += c
        elif token == SUB and last is not None:
            if stage == 1 or (stage == 2 and not flag):
                last -= d
            elif stage == 2:
                last -= e
    return 0.0, min(len(tokens), max_steps), last


def described(stage, digits, tokens, shaping=0.2, max_steps=7):
    """Return (return, steps, accumulator) of an episode under the described rules."""
    left = list(digits[: 3 + stage])
    acc = mem = None
    for step, token in enumerate(tokens[:max_steps], start=1):
        if token == ANS:
            a, b, c, d, e = digits
            graded = [a * b + c, a * b + c - d, a * b + c - d * e][stage]
            return _score(stage, digits, acc, graded, shaping), step, acc
        if token == STO and acc is not None:
            acc, mem = None, acc
        elif token == RCL and mem is not None:
            acc, mem = mem, acc
        elif token == MUL and acc is None:
            if len(left) >= 2:
                acc = left.pop(0) * left.pop(0)
        elif token in (MUL, ADD, SUB) and acc is not None:
            if mem is not None:
                operand, mem = mem, None
            elif left:
                operand = left.pop(0)
            else:
                continue
            acc = {MUL: acc * operand, ADD: acc + operand, SUB: acc - operand}[token]
    return 0.0, min(len(tokens), max_steps), acc


def _score(stage, digits, answer, graded, shaping):
    if answer is None:
        return 0.0
    a, b, c, d, e = digits
    weights = [
        [(a * b, 0.25), (a * b + c, 0.5)],
        [(a * b, 0.25), (a * b + c, 0.5), (a * b + c - d, 0.75)],
        [(a * b, 0.2), (a * b + c, 0.4), (a * b + c - d * e, 0.6), (d * e, 0.6)],
    ][stage]
    shaped = 0.0
    for milestone, weight in weights:
        if answer == milestone:
            shaped += weight
    return float(answer == graded) + shaping * shaped


EVALUATORS = {"ToolArith-v0": published, "ToolArithMemory-v0": described}


def digits_of(stage, number):
    """Return the digits of a problem by its number: that, in front of zeros for those not shown."""
    return tuple(int(digit) for digit in f"{number:0{3 + stage}}".ljust(5, "0"))


def number_of(stage, digits):
    """Return the number of the problem with these digits: those shown, read as one."""
    return int("".join(str(digit) for digit in digits[: 3 + stage]))


def templates_of(stage):
    """Return the operators of an expression's templates as texts, in the order of their numbers."""
    return ["".join(operators) for operators in itertools.product("*+-", repeat=stage + 1)]


def expression_value(digits, operators):
    """Return the value of an expression, the sum of the products that it splits into.

    :param operators: a text such as ``"+*-"``
    """
    terms = [[digits[0]]]
    for symbol, digit in zip(operators, digits[1:], strict=True):
        if symbol == "*":
            terms[-1].append(digit)
        else:
            terms.append([1 if symbol == "+" else -1, digit])
    return sum(math.prod(term) for term in terms)


def expression(digits, operators, tokens, max_steps=12):
    """Return (return, steps, acc, mem, digits left) of an episode of the expression world."""
    left = list(digits)
    acc = mem = None
    for step, token in enumerate(tokens[:max_steps], start=1):
        if token == ANS:
            return float(acc == expression_value(digits, operators)), step, acc, mem, left
        if token == ADD and left:
            acc = (acc or 0) + left.pop(0)
        elif token == SUB and left:
            acc = (acc or 0) - left.pop(0)
        elif token == MUL and acc is None and len(left) >= 2:
            acc = left.pop(0) * left.pop(0)
        elif token == MUL and acc is not None and left:
            acc *= left.pop(0)
        elif token == STO and acc is not None:
            acc, mem = None, acc + (mem or 0)
        elif token == RCL and mem is not None:
            acc, mem = mem + (acc or 0), None
    return 0.0, min(len(tokens), max_steps), acc, mem, left


def expression_plan(operators):
    """Return the plan for operators in a text, term by term; products store what was before."""
    terms = ("+" + operators).replace("+", " +").replace("-", " -").split()
    plan = []
    for place, (sign, *factors) in enumerate(terms):  # a sign, and a * for each further factor
        if place > 0 and factors:
            plan.append(STO)
        if sign == "-" or not factors:
            plan.append({"+": ADD, "-": SUB}[sign])
        plan += [MUL] * len(factors)
    return [*plan, RCL, ANS] if STO in plan else [*plan, ANS]
