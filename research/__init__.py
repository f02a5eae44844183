# SPDX-License-Identifier: Apache-2.0
"""Studies that the documents report: each runs from one command and writes what it found."""
