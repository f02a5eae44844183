# SPDX-License-Identifier: Apache-2.0
"""Matrices made symmetric, positive semidefinite, positive definite; correlations and back."""

from __future__ import annotations

import numpy as np

from offchain.risk.arrays import FloatArray

FLOOR = 1e-10
"""Smallest eigenvalue of a covariance, as a fraction of the largest."""


def nearest_psd(matrix: FloatArray) -> FloatArray:
    """Symmetrise, and raise what rounding left negative among the eigenvalues to zero.

    Returns the symmetrised matrix itself where it already is positive semidefinite.
    """
    return _raise_eigenvalues(matrix, 0.0)


def positive_definite(matrix: FloatArray, floor: float = FLOOR) -> FloatArray:
    """Symmetrise, and raise the eigenvalues to at least `floor` times the largest.

    Returns the symmetrised matrix itself where they are that large already. An asset that did not move, or two that
    moved as one, make a covariance singular; it can then be factorised and inverted all the same.
    """
    return _raise_eigenvalues(matrix, floor)


def _raise_eigenvalues(matrix: FloatArray, floor: float) -> FloatArray:
    symmetric: FloatArray = (matrix + matrix.T) / 2.0
    values, vectors = np.linalg.eigh(symmetric)
    least = floor * max(float(values[-1]), 0.0)
    if values[0] >= least:
        return symmetric
    # Twice the floor, so that rounding below does not undo it.
    clipped: FloatArray = (vectors * np.maximum(values, 2.0 * least)) @ vectors.T
    return (clipped + clipped.T) / 2.0


def correlation_of(covariance: FloatArray) -> FloatArray:
    """Correlations of a covariance, ones on the diagonal; zero for an asset without variance."""
    deviations = np.sqrt(np.diag(covariance))
    inverse = np.divide(1.0, deviations, out=np.zeros_like(deviations), where=deviations > 0.0)
    correlation: FloatArray = np.clip(covariance * inverse[:, None] * inverse[None, :], -1.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def covariance_of(correlation: FloatArray, deviations: FloatArray) -> FloatArray:
    """Covariance from correlations and standard deviations."""
    covariance: FloatArray = correlation * deviations[:, None] * deviations[None, :]
    return covariance
