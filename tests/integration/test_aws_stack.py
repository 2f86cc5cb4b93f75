"""deploy/aws run as a person runs it, against moto (what moto cannot prove: cloud_server.py)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from builders.predictions import NOON
from components.containers import ROOT, free_port
from components.processes import wait_for
from stacks import change_sets
from stacks.errors import StackError

AWS = ROOT / "deploy" / "aws"
Deploy = Callable[..., subprocess.CompletedProcess[str]]


def today() -> date:
    return datetime.now(UTC).date()


class Cloud:
    """moto's server: any credentials will do."""

    def __init__(self, endpoint: str) -> None:
        self.environment = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One account and region, with an image to start hosts from."""
    port = free_port()
    command = [sys.executable, str(ROOT / "tests/components/cloud_server.py"), str(port)]
    with (tmp_path_factory.mktemp("cloud") / "moto.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}/moto-api/data.json", alive=process)
        cloud = Cloud(f"http://127.0.0.1:{port}")
        image = cloud.client("ec2").describe_images()["Images"][0]["ImageId"]
        cloud.client("ssm").put_parameter(Name="/images/debian", Value=image, Type="String")
        yield cloud
    finally:
        process.kill()
        process.wait()


def run(
    script: str, *arguments: str, settings: dict[str, str], cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [str(AWS / script), *arguments],
        cwd=cwd,
        env=inherited | settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def deploy(cloud: Cloud) -> Deploy:
    """Run deploy.sh; the command must succeed."""

    def deploy(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        done = run("deploy.sh", *arguments, settings=cloud.environment, **options)
        assert done.returncode == 0, done.stderr
        return done

    return deploy


def test_cfn_lint_and_checkov_find_nothing() -> None:
    done = run("check.sh", settings={})
    assert done.returncode == 0, done.stdout + done.stderr
    # Three skips, each with its reason beside the resource.
    assert re.search(
        r"Passed checks: \d{3}, Failed checks: 0, Skipped checks: 3$", done.stdout, re.MULTILINE
    )


def test_a_stack_is_planned_applied_updated_and_removed(
    cloud: Cloud, deploy: Deploy, tmp_path: Path
) -> None:
    stack = ("--environment", "test", "--stack-name", "walk")
    image = ("--parameter", "ImageId=/images/debian")
    cloudformation, ec2 = cloud.client("cloudformation"), cloud.client("ec2")

    plan = deploy("plan", *stack, *image, "--parameter", "AdminCidr=203.0.113.7/32").stdout
    assert re.search(r"^  Add +AWS::RDS::DBInstance +Db$", plan, re.MULTILINE)
    assert not ec2.describe_instances()["Reservations"], "a plan makes nothing"
    deploy("plan", *stack, *image, "--parameter", "AdminCidr=203.0.113.8/32")  # another thought
    assert "resources change" in deploy("apply", *stack, "--dry-run").stdout
    assert not ec2.describe_instances()["Reservations"], "a dry run makes nothing"
    assert "walk is CREATE_COMPLETE" in deploy("apply", *stack, "--yes").stdout

    outputs = json.loads(deploy("outputs", *stack, "--json").stdout)
    the_host_and_its_neighbours(cloud, outputs)
    (made,) = cloudformation.describe_stacks(StackName="walk")["Stacks"]
    tags = {tag["Key"]: tag["Value"] for tag in made["Tags"]}
    expires = (today() + timedelta(days=14)).isoformat()
    assert tags == {
        "Project": "stroke",
        "Stack": "walk",
        "Environment": "test",
        "ExpiresAt": expires,
    }
    policy = cloudformation.get_stack_policy(StackName="walk")["StackPolicyBody"]
    assert policy == (AWS / "stack-policy.json").read_text()

    # A newer image does not replace the host, and what nobody names stays: nothing to change.
    cloud.client("ssm").put_parameter(
        Name="/images/debian", Value="ami-00000000", Type="String", Overwrite=True
    )
    assert "walk: nothing to change" in deploy("plan", *stack, *image).stdout
    assert "walk: nothing to change" in deploy("apply", *stack, "--yes").stdout

    # An update, here to another version of the template.
    other = (AWS / "stack.yaml").read_text().replace("SSH of the administrators", "SSH of others")
    (tmp_path / "other.yaml").write_text(other)
    plan = deploy("plan", *stack, *image, "--template", "other.yaml", cwd=tmp_path).stdout
    assert re.findall(r"^  (\w+) +AWS::\S+ +(\w+)$", plan, re.MULTILINE) == [
        ("Modify", "HostFromAdmin")
    ]
    (name,) = re.findall(r"--change-set (plan-\S+)$", plan, re.MULTILINE)
    assert (
        "walk is UPDATE_COMPLETE" in deploy("apply", *stack, "--change-set", name, "--yes").stdout
    )
    after = json.loads(deploy("outputs", *stack, "--json").stdout)
    assert after == outputs

    dry = deploy("destroy", *stack, "--dry-run").stdout
    assert re.findall(r"^  (\w+) \(.*\): as (?:it is|a last snapshot)$", dry, re.MULTILINE) == [
        "Key",
        "LakeBucket",
        "LogBucket",
        "Db",
    ]
    assert cloudformation.describe_stacks(StackName="walk")["Stacks"]
    assert "walk is removed" in deploy("destroy", *stack, "--yes").stdout
    assert outputs["BucketName"] in [
        b["Name"] for b in cloud.client("s3").list_buckets()["Buckets"]
    ]
    assert outputs["VpcId"] not in [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]]
    assert "there is no stack walk" in deploy("destroy", *stack, "--yes").stdout


def test_two_plans_of_one_second_are_not_taken_for_each_other(cloud: Cloud) -> None:
    client = cloud.client("cloudformation")

    def planned_at_noon(topic: str) -> change_sets.ChangeSet:
        body = json.dumps({"Resources": {topic: {"Type": "AWS::SNS::Topic"}}})
        return change_sets.plan(client, "twice", body=body, parameters={}, tags={}, now=NOON)

    approved = planned_at_noon("Approved")
    newer = planned_at_noon("Newer")

    with pytest.raises(StackError, match="has no change set plan-"):
        change_sets.planned(client, "twice", approved.name)
    assert change_sets.planned(client, "twice", newer.name) == newer
    client.delete_stack(StackName="twice")


def the_host_and_its_neighbours(cloud: Cloud, outputs: dict[str, str]) -> None:
    """As moto's EC2, RDS and S3 report them."""
    ec2 = cloud.client("ec2")
    (host,) = ec2.describe_instances(InstanceIds=[outputs["HostId"]])["Reservations"][0][
        "Instances"
    ]
    assert host["VpcId"] == outputs["VpcId"]
    assert host["PublicIpAddress"] == outputs["HostAddress"]
    rules = ec2.describe_security_groups(GroupIds=[outputs["HostSecurityGroupId"]])
    opened = [
        (rule["FromPort"], each["CidrIp"])
        for rule in rules["SecurityGroups"][0]["IpPermissions"]
        for each in rule["IpRanges"]
    ]
    assert opened == [(22, "203.0.113.8/32")]
    (database,) = cloud.client("rds").describe_db_instances()["DBInstances"]
    assert database["Endpoint"]["Address"] == outputs["DbHost"]
    assert database["StorageEncrypted"] is True
    assert database["PubliclyAccessible"] is False
    bucket = cloud.client("s3").get_bucket_encryption(Bucket=outputs["BucketName"])
    (rule,) = bucket["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_outputs_are_lines_for_the_env_file(cloud: Cloud, deploy: Deploy) -> None:
    stack = ("--environment", "production", "--stack-name", "lines")
    image = cloud.client("ec2").describe_images()["Images"][1]["ImageId"]
    ssm = cloud.client("ssm")
    ssm.put_parameter(Name="/images/other", Value=image, Type="String", Overwrite=True)
    deploy("plan", *stack, "--parameter", "ImageId=/images/other")
    deploy("apply", *stack, "--yes")

    lines = dict(
        line.split("=", 1) for line in deploy("outputs", *stack, "--env").stdout.splitlines()
    )
    known = re.findall(
        r"^#?([A-Z0-9_]+)=", (ROOT / "deploy/.env.example").read_text(), re.MULTILINE
    )
    assert set(lines) <= set(known)
    assert lines["MSSQL_HOST"].endswith(".rds.amazonaws.com")
    assert lines["STROKE_LAKE_CATALOG"] == "glue"
    assert lines["AWS_ACCESS_KEY_ID"] == "", "the host's role gives access"

    # This was production: nobody removes it by accident.
    (made,) = cloud.client("cloudformation").describe_stacks(StackName="lines")["Stacks"]
    assert {"Key": "ExpiresAt", "Value": "never"} in made["Tags"]
    refused = run("deploy.sh", "destroy", *stack, "--yes", settings=cloud.environment)
    assert refused.returncode == 1
    assert "lines is protected from termination" in refused.stderr


def test_clean_up_removes_what_has_expired_and_nothing_else(cloud: Cloud) -> None:
    cloudformation = cloud.client("cloudformation")
    body = (
        "Resources: {Topic: {Type: 'AWS::SNS::Topic'},"
        " Kept: {Type: 'AWS::SNS::Topic', DeletionPolicy: Retain}}"
    )
    yesterday, tomorrow = today() - timedelta(days=1), today() + timedelta(days=1)
    for name, project, expires, protected in (
        ("old", "stroke", yesterday, False),
        ("old-protected", "stroke", yesterday, True),
        ("of-others", "other", yesterday, False),
        ("young", "stroke", today(), False),
        ("younger", "stroke", tomorrow, False),
        ("for-ever", "stroke", "never", False),
    ):
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=body,
            EnableTerminationProtection=protected,
            Tags=[
                {"Key": "Project", "Value": project},
                {"Key": "ExpiresAt", "Value": str(expires)},
            ],
        )

    def living() -> set[str]:
        found = cloudformation.describe_stacks()["Stacks"]
        return {stack["StackName"] for stack in found}

    before = living()
    listed = run("clean-up.sh", settings=cloud.environment)
    assert listed.returncode == 0, listed.stderr
    assert re.findall(r"^(\S+) expired on", listed.stdout, re.MULTILINE) == ["old"]
    assert "  Kept (" in listed.stdout
    assert living() == before
    assert "old is removed" in run("clean-up.sh", "--delete", settings=cloud.environment).stdout
    assert living() == before - {"old"}
    again = run("clean-up.sh", "--delete", settings=cloud.environment)
    assert again.stdout == "no stack has expired\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("plan", "--environment"),
        ("plan --environment staging", "invalid choice: 'staging'"),
        ("plan --environment test --stack-name 1st", "stack name (letters, digits and -)"),
        ("plan --environment test --parameter AdminCidr", "write NAME=VALUE"),
        ("plan --environment test --parameter AdminCIDR=10.0.0.0/24", "AdminCIDR"),
        ("plan --environment test --parameter AdminCidr=0.0.0.0/0", "AdminCidr: 0.0.0.0/0 is not"),
        ("plan --environment test --expires soon", "date (YYYY-MM-DD or never)"),
        ("plan --environment test --parameter ImageId=/no/image", "GetParameter"),
        ("apply --environment test --stack-name none --yes", "there is no stack none"),
        ("outputs --environment test --stack-name none", "there is no stack none"),
        ("explode", "invalid choice: 'explode'"),
    ],
)
def test_wrong_input_gets_one_line(cloud: Cloud, arguments: str, message: str) -> None:
    done = run("deploy.sh", *arguments.split(), settings=cloud.environment)
    assert done.returncode in {1, 2}
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_missing_access_gets_one_line(tmp_path: Path) -> None:
    nobody = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    outputs = ("outputs", "--environment", "test")
    for settings, message in (
        ({}, "no region"),
        ({"AWS_REGION": "us-east-1"}, "no AWS credentials"),
    ):
        done = run("deploy.sh", *outputs, settings=nobody | settings)
        assert done.returncode == 1
        assert message in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
