# SPDX-License-Identifier: Apache-2.0
"""The one base class of every error that a person is meant to read."""


class PlimsollError(Exception):
    """A failure that names the culprit and the next step.

    The command line prints it as a single line and exits with code 2; every
    room derives its own typed errors from it.
    """
