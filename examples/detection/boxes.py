"""From raw maps to boxes, and how good the boxes are: the host's part, in plain NumPy.

The network ends in raw maps ``[15, 8, 8]``: tx, ty, tw, th, objectness and ten classes per cell. A
spiking network gives them in the same units as its source network, so that both are read alike:
centre (column + sigmoid(tx), row + sigmoid(ty)) cells, size ANCHOR * exp(tw), ANCHOR * exp(th)
pixels, score sigmoid(objectness) * softmax(classes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ANCHOR = 20.0
CELL = 8
CHANNELS = 5 + 10
MIN_SCORE = 0.01
NMS_IOU = 0.45
# exp() of a wrong map must not overflow; e^3 anchors are wider than any canvas.
LARGEST_LOG = 3.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Boxes of many images: image and class int64 ``[M]``, score ``[M]``, corners ``[M, 4]``."""

    image: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    score: Floats
    corners: Floats


def detect(maps: npt.ArrayLike) -> Detections:
    """Boxes of raw maps ``[N, 15, 8, 8]``, suppressed per image and class."""
    raw = np.asarray(maps, np.float64)
    n, _, rows, columns = raw.shape
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    x = (column + _sigmoid(raw[:, 0])) * CELL
    y = (row + _sigmoid(raw[:, 1])) * CELL
    half = ANCHOR / 2 * np.exp(np.clip(raw[:, 2:4], -LARGEST_LOG, LARGEST_LOG))
    corners = np.stack([x - half[:, 0], y - half[:, 1], x + half[:, 0], y + half[:, 1]], axis=-1)
    classes = raw[:, 5:]
    weight = np.exp(classes - classes.max(axis=1, keepdims=True))
    score = _sigmoid(raw[:, 4]) * (weight / weight.sum(axis=1, keepdims=True)).max(axis=1)
    label = classes.argmax(axis=1)
    kept: list[tuple[int, int, int]] = []
    for image in range(n):
        found = np.argwhere(score[image] >= MIN_SCORE)
        own_labels = label[image][tuple(found.T)]
        for one in np.unique(own_labels):
            cells = found[own_labels == one]
            at = tuple(cells.T)
            for best in suppress(corners[image][at], score[image][at]):
                kept.append((image, int(cells[best][0]), int(cells[best][1])))
    index = tuple(np.array(kept, np.int64).reshape(-1, 3).T)
    return Detections(index[0], label[index].astype(np.int64), score[index], corners[index])


def suppress(corners: Floats, score: Floats, limit: float = NMS_IOU) -> list[int]:
    """Non-maximum suppression: the places kept, best first."""
    order = list(np.argsort(-score, kind="stable"))
    kept: list[int] = []
    while order:
        best = int(order.pop(0))
        kept.append(best)
        order = [i for i in order if iou(corners[best], corners[i][None])[0] <= limit]
    return kept


def iou(box: npt.ArrayLike, others: npt.ArrayLike) -> Floats:
    """Intersection over union of corners ``[4]`` with corners ``[M, 4]``."""
    a, b = np.asarray(box, np.float64), np.asarray(others, np.float64)
    sides = np.minimum(a[2:], b[:, 2:]) - np.maximum(a[:2], b[:, :2])
    common = np.clip(sides, 0, None).prod(axis=1)
    union = (a[2:] - a[:2]).prod() + (b[:, 2:] - b[:, :2]).prod(axis=1) - common
    return np.asarray(common / union)


def mean_average_precision(found: Detections, truth: npt.ArrayLike, limit: float = 0.5) -> float:
    """Mean over the classes that occur of the average precision, all points interpolated.

    Parameters
    ----------
    found : Detections
    truth : array ``[M, 6]``
        Rows of (image, class, x0, y0, x1, y1).
    limit : float
        Least intersection over union of a hit.

    References
    ----------
    M. Everingham et al. 2015, "The Pascal Visual Object Classes Challenge: A Retrospective",
    section 2.2: the best-overlapping box counts, a second hit of one box is a false one.
    """
    boxes = np.asarray(truth, np.float64)
    precisions = [
        _average_precision(found, boxes[boxes[:, 1] == label], int(label), limit)
        for label in np.unique(boxes[:, 1])
    ]
    return float(np.mean(precisions))


def _average_precision(found: Detections, truth: Floats, label: int, limit: float) -> float:
    places = np.flatnonzero(found.label == label)
    places = places[np.argsort(-found.score[places], kind="stable")]
    taken = np.zeros(len(truth), bool)
    hit = np.zeros(len(places), bool)
    for rank, place in enumerate(places):
        candidates = np.flatnonzero(truth[:, 0] == found.image[place])
        if not candidates.size:
            continue
        overlap = iou(found.corners[place], truth[candidates, 2:])
        best = candidates[overlap.argmax()]
        if overlap.max() >= limit and not taken[best]:
            taken[best] = hit[rank] = True
    hits = np.cumsum(hit)
    precision = hits / np.arange(1, len(hits) + 1)
    # At every recall the best precision at that recall or a larger one.
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hit].sum() / len(truth))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))
