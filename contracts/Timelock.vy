# SPDX-License-Identifier: AGPL-3.0-only
# pragma version ==0.4.3
# pragma nonreentrancy on
"""
@title The owner of a mandate
@license GNU Affero General Public License v3.0 only
@author Plimsoll
@notice snekmate's timelock controller with a delay that nobody can change: `update_delay` is not
        exported. Proposers schedule what the owner shall do, everybody sees it for the delay,
        executors do it then. Proposers and the canceller withdraw what waits. Roles are administered
        by the timelock itself, that is by what was scheduled and waited.
@custom:kill Its proposers or the canceller cancel what is scheduled. Nothing stops it as a whole; a
             mandate takes another owner by what this one schedules.
"""


from snekmate.auth import access_control
from snekmate.governance import timelock_controller

initializes: access_control
initializes: timelock_controller[access_control := access_control]

exports: (
    access_control.DEFAULT_ADMIN_ROLE,
    access_control.hasRole,
    access_control.getRoleAdmin,
    access_control.grantRole,
    access_control.revokeRole,
    access_control.renounceRole,
    timelock_controller.PROPOSER_ROLE,
    timelock_controller.EXECUTOR_ROLE,
    timelock_controller.CANCELLER_ROLE,
    timelock_controller.get_timestamp,
    timelock_controller.get_minimum_delay,
    timelock_controller.is_operation,
    timelock_controller.is_operation_pending,
    timelock_controller.is_operation_ready,
    timelock_controller.is_operation_done,
    timelock_controller.get_operation_state,
    timelock_controller.hash_operation,
    timelock_controller.hash_operation_batch,
    timelock_controller.schedule,
    timelock_controller.schedule_batch,
    timelock_controller.cancel,
    timelock_controller.execute,
    timelock_controller.execute_batch,
)


@deploy
def __init__(
    delay: uint256, proposers: DynArray[address, 8], executors: DynArray[address, 8], canceller: address
):
    """
    @param delay Seconds between scheduling and executing.
    @param proposers Schedule and cancel.
    @param executors Execute what has waited; the zero address for anyone.
    @param canceller Only cancels; zero for none.
    """
    access_control.__init__()
    timelock_controller.__init__(delay, proposers, executors, empty(address))
    if canceller != empty(address):
        access_control._grant_role(timelock_controller.CANCELLER_ROLE, canceller)
