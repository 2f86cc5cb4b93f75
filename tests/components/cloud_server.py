"""A script: moto's server (5.2) on PORT, mended where AWS does more, or something else.

Not mended, and so proven by nothing here: bucket policies, Secrets Manager, Glue, alarms' effects,
versioning, launch templates and who may do what are dropped or not enforced.
"""

from __future__ import annotations

import sys
from typing import Any

from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult
from moto.ec2.models.route_tables import RouteTable
from moto.rds.models import DBParameterGroup
from moto.server import main


def _update_termination_protection(self: Any) -> ActionResult:
    stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
    stack.enable_termination_protection = self._get_bool_param("EnableTerminationProtection")
    return ActionResult({"StackId": stack.stack_id})


_execute_change_set = CloudFormationBackend.execute_change_set


def _execute_and_tell(self: Any, change_set_name: str, stack_name: str | None = None) -> None:
    _execute_change_set(self, change_set_name, stack_name)
    done = self.change_sets[change_set_name]
    done.stack.parameters = done.parameters
    done.stack.template_dict = done.template_dict
    done.stack.output_map = done.stack._create_output_map()


def _delete_route_table(self: Any, account_id: str, region_name: str) -> None:
    self._associations.clear()
    self.ec2_backend.delete_route_table(self.id)


# An executed change set shows in the stack's parameters, template and outputs.
CloudFormationBackend.execute_change_set = _execute_and_tell  # type: ignore[method-assign]
# A stack's route tables go with it; they were forgotten, and the VPC could not be removed.
RouteTable.delete = _delete_route_table  # type: ignore[attr-defined]
# A parameter group is referred to by its name.
DBParameterGroup.physical_resource_id = property(  # type: ignore[attr-defined]
    lambda self: self.name
)
# Without a change AWS makes a change set that FAILED; so does moto, behind this check.
CloudFormationResponse._validate_different_update = (  # type: ignore[method-assign]
    lambda *_: None
)
CloudFormationResponse.update_termination_protection = (  # type: ignore[attr-defined]
    _update_termination_protection
)

if __name__ == "__main__":
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
