# SPDX-License-Identifier: Apache-2.0
"""The keeper's own line over history: what a mandate would have done, and what it would have cost."""
