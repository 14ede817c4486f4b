"""A checker of recurrent and masked learners, of any library.

Such learners go wrong silently: a state reset one step early, masks lost in the update, a time
limit taken for an end. In environments that are tiny and exactly solvable each slip moves a number
whose right value is known. An adapter (:class:`Learner`) lets the kit ask a learner what it played,
what its update makes of that, and what it does in a single step; what is right the kit computes
itself, from the records of the environments. Three devices make numbers exact: all logits zero, so
that each log-probability is minus the logarithm of the number of admitted tokens; a critic that is
a known function of the previous token; and environments that play a script.
"""
