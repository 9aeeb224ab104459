"""A sparse Fourier expansion: which products of units to use is proposed by trees, how much of each by a lasso.

Boosted trees find where units act together, and are an expansion themselves; refitted sparsely, a few hundred masks
give games of three and more units nearly without error (ProxySPEX, arXiv 2505.17495). A product is penalised less the
larger the trees' coefficient of it is (adaptive lasso: Zou 2006, JASA 101:1418-1429). METHODS A2.
Why, and what was tried: docs/decisions/0011-higher-orders.md.

Trees, search and lasso see the same rows. What they say of rows they did not see judges them: each of several fits
leaves out a fold, and the folds of the others choose its penalty. No fit is chosen by rows that it is to be judged on.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, log2
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects
from whygen.prompt.surrogates.base import Linear, Support, Terms, columns, merged, normalised
from whygen.prompt.surrogates.kernel import distinct
from whygen.prompt.surrogates.linear import lasso_along, weights_of
from whygen.prompt.surrogates.products import most_of, pursue_in_step, triples
from whygen.prompt.surrogates.rules import conjoin
from whygen.prompt.surrogates.trees import DEPTH, Forest, fourier_of, grow_forests, of_others
from whygen.types import Floats

CENTRE = 0.5
"""Units count as -1 and 1 whatever ``keep`` is: a product of centred units would be large where units are rare, and
nothing that is known of the other masks would hold it there."""

MOST_TERMS = 300
"""Terms of the forest that the lasso may choose among, the largest."""

FAVOUR = 0.5
"""A term's penalty is divided by its proposed coefficient to this power."""

PENALTIES = np.logspace(0.0, -3.0, 20)
"""Penalties tried, as shares of the least that leaves no term."""

FEW_EQUATIONS = 2
"""With fewer equations (rows, or pairs of complements) a unit than this the lasso is tried beside ridge."""

NEGLIGIBLE = 1e-4
"""Under this weight a penalty is left out of the average."""

EXACT = 1e-6
"""What an unpenalised fit of the chosen terms meets to this share of the range of effects is taken for the game."""

DEPENDENT = 1e-7
"""A column whose part outside those before it is under this share of the longest is their sum."""

NEARLY = 0.2
"""An unpenalised fit is tried where the lasso's left-out error is under this share of the variance."""


class Candidate(NamedTuple):
    """A fit of one part of a game, and its mean squared left-out error."""

    terms: Terms
    error: float


Expanded = dict[int, list[Candidate]]
"""The candidates of the odd part (-1) and the even part (1) of complement pairs, or of the whole (0)."""


class Board(NamedTuple):
    """The distinct masks of a design, as each of ``s`` fits sees them: fit k leaves out fold k, the last one nothing.

    Attributes:
        masks: shape ``(d, n)``; of two complements one.
        units: the same, normalised.
        weights: of each mask in each fit, shape ``(s, d)``.
        held: of each mask that a fit leaves out wholly, shape ``(s, d)``.
        targets: the mean of a part over the rows of a fit, or over those it leaves out, shape ``(s, d)``, by its sign.
        slopes: the main effects of each fit, of normalised units, shape ``(s, n)``.
        rarest: chance of the rarest way in which three units are present or absent in a mask.
        level: what was taken off the effects first.
        scale: what they were divided by then; 0 where they do not vary.
    """

    masks: NDArray[np.bool_]
    units: Floats
    weights: Floats
    held: Floats
    targets: dict[int, Floats]
    slopes: Floats
    rarest: float
    level: float
    scale: float

    @property
    def n(self) -> int:
        return int(self.units.shape[1])

    def left(self, sign: int) -> Floats:
        """What main effects leave over of a part in each fit, ``(s, d)``; the even part has none."""
        return self.targets[sign] - (self.slopes @ self.units.T if sign <= 0 else 0.0)

    def terms(self, sign: int, support: Support, coefficients: Floats, level: float) -> Terms:
        """Terms in the unit of the effects; the odd part has no level."""
        level = 0.0 if sign < 0 else self.level + self.scale * level
        return Terms(support, self.scale * coefficients, CENTRE, level, self.n)


def expansions(observed: Effects, fold_of: NDArray[np.int64], mains: Sequence[Linear]) -> list[Expanded]:
    """The expansion without each fold, and of all rows.

    Args:
        observed: masks with their effects.
        fold_of: fold of each row, shape ``(m,)``; whole groups in one fold.
        mains: the main effects without each fold, and of all rows.

    Returns:
        One for each of ``mains``; empty where effects do not vary, or no mask is left out.
    """
    board = board_of(observed, fold_of, mains)
    nothing: Expanded = {sign: [] for sign in board.targets}
    if not board.scale or not board.held.any():
        return [nothing for _ in mains]
    whole = _whole(board)
    grown = grow_forests(*whole)
    trees = [] if grown is None else [_trees(board, grown, fit) for fit in range(len(mains))]
    rival = np.inf if grown is None else of_others(whole.held, whole.effects - grown.predicted)
    ruled = _ruled(board, whole, rival)
    parts = {sign: _part(board, sign, grown, trees, ruled[sign]) for sign in board.targets}
    return [{sign: parts[sign][fit] for sign in parts} for fit in range(len(mains))]


def board_of(observed: Effects, fold_of: NDArray[np.int64], mains: Sequence[Linear]) -> Board:
    """Masks and targets as the fits see them. A mask that was drawn again is one fact, and left out only as a whole."""
    once = distinct(observed)
    level = float(np.average(observed.values, weights=observed.importance()))
    scale = float(np.abs(observed.values - level).max())
    left = (observed.values - level) / (scale or 1.0)
    one = left[once.first]
    two = None if once.second is None else left[once.second]
    # The complement of a mask flips the sign of products of oddly many units and of no others: where both are known,
    # the half difference holds the odd terms alone and the half sum the even ones; each part is a smaller problem.
    parts = {0: one} if two is None else {sign: (one + sign * two) / 2.0 for sign in (-1, 1)}
    importance, fold = observed.importance()[once.first], fold_of[once.first]
    folds, size = int(fold_of.max()) + 1, len(once.centres)

    def summed(values: Floats) -> Floats:
        return np.bincount(once.place, values, minlength=size).astype(np.float64)

    # A mask that was drawn in two folds is seen by the fit that leaves out one of them, and is not left out there.
    inside = np.stack([summed(importance * (fold != k)) for k in range(folds + 1)])
    outside = np.where(inside > 0.0, 0.0, np.stack([summed(importance * (fold == k)) for k in range(folds + 1)]))
    targets: dict[int, Floats] = {}
    for sign, part in parts.items():
        seen = np.stack([summed(importance * part * (fold != k)) for k in range(folds + 1)])
        unseen = np.stack([summed(importance * part * (fold == k)) for k in range(folds + 1)])
        targets[sign] = np.where(inside > 0.0, seen, unseen) / np.maximum(inside + outside, 1e-300)
    # Of masks of all sizes alike two units are present and one is absent with chance mean of u^2 (1 - u), a twelfth.
    rarest = min(observed.keep, 1.0 - observed.keep) ** 3 if observed.sizes is None else 1.0 / 12.0
    # Units as -1 and 1 are twice as far apart as 0 and 1: their slopes are half the main effects.
    slopes = np.stack([main.coefficients for main in mains]) / (2.0 * (scale or 1.0))
    return Board(
        once.centres,
        normalised(once.centres, CENTRE),
        inside,
        outside,
        targets,
        slopes,
        rarest,
        level,
        scale,
    )


class Whole(NamedTuple):
    """What a board is taken from, both halves of complement pairs: masks ``(m, n)``, and of all fits ``(s, m)``."""

    masks: NDArray[np.bool_]
    effects: Floats
    weights: Floats
    held: Floats


def _whole(board: Board) -> Whole:
    if 0 in board.targets:
        return Whole(board.masks, board.targets[0], board.weights, board.held)
    odd, even = board.targets[-1], board.targets[1]
    return Whole(
        np.vstack([board.masks, ~board.masks]),
        np.hstack([even + odd, even - odd]),
        np.hstack([board.weights, board.weights]),
        np.hstack([board.held, board.held]),
    )


def _ruled(board: Board, whole: Whole, rival: Floats | float) -> dict[int, list[FitPath]]:
    """The rules of all fits as paths, by the sign of the part; ``rival`` as for `conjoin`."""
    found: dict[int, list[FitPath]] = {sign: [] for sign in board.targets}
    for rules in conjoin(*whole, rival=rival):
        support, coefficients, levels = rules.terms(board.n)
        for sign, paths in found.items():
            own = _belongs(support, sign, board.n)
            paths.append(FitPath(support[own], coefficients[own], levels if sign >= 0 else np.zeros_like(levels)))
    return found


def _belongs(support: Support, sign: int, n: int) -> NDArray[np.bool_]:
    """Which terms belong to a part: products of oddly (-1) or evenly (1) many units, or all (0)."""
    if sign == 0:
        return np.ones(len(support), dtype=bool)
    return (support < n).sum(axis=1) % 2 == (sign < 0)


class Trees(NamedTuple):
    """The expansion of one forest: terms ``(k, d)`` with coefficients ``(k,)``, and its constant."""

    support: Support
    coefficients: Floats
    level: float

    def part(self, sign: int, n: int) -> Trees:
        """The terms that belong to a part."""
        own = _belongs(self.support, sign, n)
        return Trees(self.support[own], self.coefficients[own], self.level)


def _trees(board: Board, grown: Forest, fit: int) -> Trees:
    support, coefficients, level = fourier_of(grown.units[fit], grown.values[fit], board.n, CENTRE)
    return Trees(support, coefficients, level + float(grown.level[fit]))


class FitPath(NamedTuple):
    """Fits of growing size ``p``: coefficients ``(k, p)`` of terms ``(k, d)``, and levels ``(p,)``."""

    support: Support
    coefficients: Floats
    levels: Floats


def _part(
    board: Board, sign: int, grown: Forest | None, trees: list[Trees], ruled: list[FitPath]
) -> list[list[Candidate]]:
    """The candidates of one part in every fit."""
    fits = range(len(board.slopes))
    own = [each.part(sign, board.n) for each in trees]
    pairs = _pairs(board, sign) if sign >= 0 else []
    found: list[list[Candidate]] = [[] for _ in fits]
    for paths in (pairs, _singles(board, sign), _lassos(board, sign, own), ruled):
        errors = _left_out(board, sign, paths) if paths else np.zeros((0, 0))
        for fit, each in enumerate(errors):
            if np.isfinite(each).all():  # a fit that could not be judged by any fold is no candidate
                beside = pairs[fit].support if pairs else np.zeros((0, 2), dtype=np.int64)
                found[fit].append(_averaged(board, sign, fit, paths[fit], each, beside))
    if grown is not None:
        predicted, size = grown.predicted, len(board.masks)
        if sign != 0:  # the second half are complements: the even part is the mean of both
            predicted = (predicted[:, :size] + sign * predicted[:, size:]) / 2.0
        squares: Floats = board.held * (board.targets[sign] - predicted) ** 2
        errors = _by_others(squares[:-1].sum(axis=1)[:, None], board.held)
        for fit in fits:
            if np.isfinite(errors[fit]).all():
                terms = board.terms(sign, *own[fit])
                found[fit].append(Candidate(terms, board.scale**2 * float(errors[fit, 0])))
    return found


def _pairs(board: Board, sign: int) -> list[FitPath]:
    """Interactions of two that were pursued; beside main effects, where the part has any."""
    most = most_of(int((board.weights[-1] > 0.0).sum()) // (2 if sign == 0 else 1))
    found: list[FitPath] = []
    joint = sign == 0 and 2 * (board.n + 1) <= int((board.weights[-1] > 0.0).sum())
    beside = board.units if joint else board.units[:, :0]
    pursued = pursue_in_step(board.units, board.left(sign), board.weights, most=most, beside=beside)
    if sign > 0:
        return [FitPath(each.support, each.coefficients, each.levels) for each in pursued]
    for slopes, each in zip(board.slopes, pursued, strict=True):
        singles = np.stack([np.arange(board.n), np.full(board.n, board.n)], axis=1)
        main = slopes[:, None] + (each.mains if joint else np.zeros((board.n, each.coefficients.shape[1])))
        found.append(FitPath(np.vstack([singles, each.support]), np.vstack([main, each.coefficients]), each.levels))
    return found


def _singles(board: Board, sign: int) -> list[FitPath]:
    """The lasso of main effects alone, where equations are few: of a real prompt most units matter little."""
    if sign > 0 or int((board.weights[-1] > 0.0).sum()) >= FEW_EQUATIONS * board.n:
        return []
    units = np.arange(board.n)[:, None]
    return [_path(board, sign, fit, units, np.ones(board.n)) for fit in range(len(board.slopes))]


def _lassos(board: Board, sign: int, trees: list[Trees]) -> list[FitPath]:
    """The lasso over what trees and the search of three propose; nothing where they propose nothing."""
    left = board.left(sign)
    if sign == 0:
        left = left - ((board.weights * left).sum(axis=1) / board.weights.sum(axis=1))[:, None]
    found = triples(board.units, left, board.weights) if sign <= 0 else []
    if not trees and not any(len(each.support) for each in found):
        return []
    paths: list[FitPath] = []
    for fit, slopes in enumerate(board.slopes):
        sources: list[tuple[Support, Floats]] = []
        if sign <= 0:
            sources += [(found[fit].support, found[fit].coefficients), (np.arange(board.n)[:, None], slopes)]
        # Each source proposes what others miss: trees what single splits lead to, the search parities of three.
        if trees:
            largest = np.argsort(-np.abs(trees[fit].coefficients), kind="stable")[:MOST_TERMS]
            sources.append((trees[fit].support[largest], trees[fit].coefficients[largest]))
        paths.append(_path(board, sign, fit, *merged(board.n, *sources)))
    return paths


def _path(board: Board, sign: int, fit: int, support: Support, size: Floats) -> FitPath:
    """The lasso along its path, by coordinate descent; the odd part goes through zero."""
    rows = board.weights[fit] > 0.0
    y, root = board.targets[sign][fit, rows], np.sqrt(board.weights[fit, rows])
    share = root**2 / (root @ root)
    level = 0.0 if sign < 0 else float(share @ y)
    alive = size > 0.0
    support, size = support[alive], size[alive]
    if not len(support):
        return FitPath(support, np.zeros((0, len(PENALTIES))), np.full(len(PENALTIES), level))
    # A column that is scaled down needs a larger coefficient, and pays more: the same as a penalty of its own.
    favour = (size / size.max()) ** FAVOUR
    x = columns(board.units[rows], support) * favour
    centre = np.zeros(len(support)) if sign < 0 else share @ x
    weighted, target = root[:, None] * (x - centre), root * (y - level)
    found = favour[:, None] * lasso_along(weighted, target, PENALTIES)
    return FitPath(support, found, level - (centre / favour) @ found)


def _left_out(board: Board, sign: int, paths: Sequence[FitPath]) -> Floats:
    """Mean squared left-out error of every fit at each place of its path, shape ``(s, p)``; inf where none is known."""
    most = max(len(path.levels) for path in paths)
    missed = np.zeros((len(paths) - 1, most))
    for fold, path in enumerate(paths[:-1]):
        rows = board.held[fold] > 0.0
        predicted = path.levels + columns(board.units[rows], path.support) @ path.coefficients
        squares: Floats = board.held[fold, rows] @ (board.targets[sign][fold, rows, None] - predicted) ** 2
        missed[fold] = np.pad(squares, (0, most - len(squares)), mode="edge")  # one that ended early stays there
    return _by_others(missed, board.held)


def _by_others(missed: Floats, held: Floats) -> Floats:
    """The error of each fit on the folds that others leave out: weighted squares ``(folds, p)`` to means ``(s, p)``."""
    weight = held[:-1].sum(axis=1)
    # Row k has a zero at fold k: no fit is chosen by the fold that is to judge it; the last, of all rows, goes by all.
    # The other fits have seen fold k, so a few weights depend on it: nesting takes six times as long and covers alike.
    others = 1.0 - np.eye(len(held))[:, :-1]
    seen: Floats = others @ weight
    squares: Floats = others @ missed
    return np.where(seen[:, None] > 0.0, squares / np.maximum(seen, 1e-300)[:, None], np.inf)


def _averaged(board: Board, sign: int, fit: int, path: FitPath, errors: Floats, beside: Support) -> Candidate:
    """A path averaged over its places by their left-out errors ``(p,)``; what meets the game is taken as it is.

    Interactions that were pursued, ``beside`` ``(k, 2)``, may be missing among the terms of the path.
    """
    errors = errors[: len(path.levels)]
    weights = weights_of(errors, int((board.weights[fit] > 0.0).sum()))
    weights = np.where(weights < NEGLIGIBLE, 0.0, weights)
    weights = weights / weights.sum()
    error, coefficients = float(weights @ errors), path.coefficients @ weights
    share, y = board.weights[fit] / board.weights[fit].sum(), board.targets[sign][fit]
    variance = float(share @ (y - (0.0 if sign < 0 else share @ y)) ** 2)  # the odd part has mean zero by itself
    # A lasso shrinks even what it has right. Where it all but meets the game its terms are tried without a penalty, if
    # masks are enough to tell them from all others: on fewer, some wrong set of terms meets every mask as well.
    if error <= NEARLY * variance and _enough(board, sign, fit):
        exact = _exact(board, sign, fit, path, beside)
        if exact is not None:
            return exact
    chosen = coefficients != 0.0
    terms = board.terms(sign, path.support[chosen], coefficients[chosen], float(path.levels @ weights))
    return Candidate(terms, board.scale**2 * error)


def _enough(board: Board, sign: int, fit: int) -> bool:
    """Whether masks are enough to tell any product of some units from all others.

    The rarest way in which three units are present or absent is then seen but for a chance of 1 in 1,000, and no two
    products are alike but for the same chance: they agree in a mask with probability one half.
    """
    rarest = board.rarest * (1.0 if sign == 0 else 2.0)
    products = sum(comb(board.n, size) for size in range(DEPTH + 1))
    return int((board.weights[fit] > 0.0).sum()) >= max(7.0 / rarest, 2.0 * log2(products) + 10.0)


def _exact(board: Board, sign: int, fit: int, path: FitPath, beside: Support) -> Candidate | None:
    """Least squares on no more terms than half of the masks, if that meets the game: the path's, or with ``beside``."""
    most = int((board.weights[fit] > 0.0).sum()) // 2 - 1
    own = _largest(path, most)
    found = _met(board, sign, fit, own)
    if found is None and len(beside) and len(own):
        fewer = _largest(path, most - min(len(beside), most // 2))
        both = [(each, np.ones(len(each))) for each in (fewer, beside[: most - len(fewer)])]
        found = _met(board, sign, fit, merged(board.n, *both)[0])
    return found


def _largest(path: FitPath, most: int) -> Support:
    """The terms of the smallest penalty that has no more than so many."""
    counts = np.count_nonzero(path.coefficients, axis=0)
    few = np.flatnonzero(counts <= most)
    return path.support[path.coefficients[:, few[-1]] != 0.0] if len(few) else path.support[:0]


def _met(board: Board, sign: int, fit: int, support: Support) -> Candidate | None:
    """Least squares on given terms where it meets the game.

    What these masks cannot tell from products of fewer units is left out: where two units are never absent together,
    their product is a sum of the two.
    """
    rows = board.weights[fit] > 0.0
    units, y, root = board.units[rows], board.targets[sign][fit, rows], np.sqrt(board.weights[fit, rows])[:, None]
    support = support[np.argsort((support < board.n).sum(axis=1), kind="stable")]
    level = np.zeros((0 if sign < 0 else 1, support.shape[1]), dtype=np.int64) + board.n  # the product of no unit
    support = np.vstack([level, support])
    if not len(support):
        return None
    # Terms of fewer units come first, so that of two that these masks cannot tell apart the simpler one stays. The
    # corner of a QR decomposition is the length of each column outside those before it.
    corner = np.abs(np.diag(np.linalg.qr(root * columns(units, support), mode="r")))
    support = support[corner > DEPENDENT * corner.max()]
    x = columns(units, support)
    solved: Floats = np.asarray(np.linalg.lstsq(root * x, root[:, 0] * y, rcond=None)[0], dtype=np.float64)
    left: Floats = y - x @ solved
    if float(np.abs(left).max()) > EXACT * float(np.ptp(y)):
        return None
    error = board.scale**2 * float(np.mean(left**2))
    if sign < 0:
        return Candidate(board.terms(sign, support, solved, 0.0), error)
    return Candidate(board.terms(sign, support[1:], solved[1:], float(solved[0])), error)
