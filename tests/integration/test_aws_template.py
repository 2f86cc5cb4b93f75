"""What the AWS template says of security, read from the template: moto drops half of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from components.containers import ROOT
from stacks.environments import FOLDER, Environment, names
from stacks.errors import WrongUse
from stacks.template import Template

TEMPLATE = Template.read(FOLDER / "stack.yaml")
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE.content["Resources"]
WORLD = "0.0.0.0/0"
IN_PRODUCTION = {"Fn::If": ["IsProduction", True, False]}


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    found = {k: v.get("Properties", {}) for k, v in RESOURCES.items() if v["Type"] == kind}
    assert found, kind
    return found


def properties(name: str) -> dict[str, Any]:
    return dict(RESOURCES[name]["Properties"])


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of every policy, with where it stands."""

    def walk(name: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        if isinstance(value, dict):
            for each in value.get("Statement", []):
                yield name, each
            for each in value.values():
                yield from walk(name, each)
        elif isinstance(value, list):
            for each in value:
                yield from walk(name, each)

    for name, resource in RESOURCES.items():
        yield from walk(name, resource.get("Properties"))


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_nothing_is_open_to_anybody_until_a_range_is_given() -> None:
    assert all(
        "SecurityGroupIngress" not in group for group in of_type("AWS::EC2::SecurityGroup").values()
    )
    rules = of_type("AWS::EC2::SecurityGroupIngress")
    from_ranges = {name for name, rule in rules.items() if "SourceSecurityGroupId" not in rule}
    assert from_ranges == {"HostFromAdmin", "HostFromClients"}
    assert rules["DbFromHost"]["SourceSecurityGroupId"] == {
        "Fn::GetAtt": ["HostSecurityGroup", "GroupId"]
    }
    for rule, parameter in ("HostFromAdmin", "AdminCidr"), ("HostFromClients", "ClientCidr"):
        assert rules[rule]["CidrIp"] == {"Ref": parameter}
        condition = TEMPLATE.content["Conditions"][RESOURCES[rule]["Condition"]]
        assert condition == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]}
        assert TEMPLATE.parameters[parameter]["Default"] == ""
    assert not any(
        subnet.get("MapPublicIpOnLaunch") for subnet in of_type("AWS::EC2::Subnet").values()
    )


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("AdminCidr", WORLD),
        ("AdminCidr", "::/0"),
        ("AdminCidr", "10.0.0.0/15"),
        ("AdminCidr", "203.0.113.7"),
        ("ClientCidr", WORLD),
        ("ClientCidr", "128.0.0.0/1"),
        ("ClientCidr", "10.0.0.0/7"),
        ("VpcCidr", "8.8.0.0/16"),
        ("DbEngine", "sqlserver-ex"),
        ("BackupDays", "0"),
    ],
)
def test_a_parameter_that_would_weaken_it_is_refused(parameter: str, value: str) -> None:
    wanted = Environment.read("test").parameters | {"Environment": "test", parameter: value}
    with pytest.raises(WrongUse, match=parameter):
        TEMPLATE.complete(wanted)


def test_the_host_calls_only_the_web_and_sql_server_and_sql_server_calls_nobody() -> None:
    groups = of_type("AWS::EC2::SecurityGroup")
    host = [
        (r["FromPort"], r["ToPort"], r["CidrIp"])
        for r in groups["HostSecurityGroup"]["SecurityGroupEgress"]
    ]
    assert host == [(443, 443, WORLD), (80, 80, WORLD)]
    assert [r["CidrIp"] for r in groups["DbSecurityGroup"]["SecurityGroupEgress"]] == [
        "127.0.0.1/32"
    ]
    to_db = of_type("AWS::EC2::SecurityGroupEgress")
    assert [(r["FromPort"], r["DestinationSecurityGroupId"]) for r in to_db.values()] == [
        (1433, {"Fn::GetAtt": ["DbSecurityGroup", "GroupId"]})
    ]
    assert [r["RouteTableId"] for r in of_type("AWS::EC2::Route").values()] == [
        {"Ref": "PublicRoutes"}
    ]
    assert properties("S3Endpoint")["RouteTableIds"] == [
        {"Ref": "PublicRoutes"},
        {"Ref": "PrivateRoutes"},
    ]
    assert properties("FlowLog")["TrafficType"] == "ALL"


def test_the_host_has_imdsv2_an_encrypted_disk_and_a_role() -> None:
    data = properties("HostTemplate")["LaunchTemplateData"]
    assert data["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 2,
    }
    (disk,) = data["BlockDeviceMappings"]
    assert disk["Ebs"]["Encrypted"] is True
    assert disk["Ebs"]["VolumeType"] == "gp3"
    assert disk["Ebs"]["KmsKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}
    assert disk["Ebs"]["DeleteOnTermination"] == {"Fn::If": ["IsProduction", False, True]}
    assert data["IamInstanceProfile"] == {"Arn": {"Fn::GetAtt": ["HostProfile", "Arn"]}}
    assert data["Monitoring"] == {"Enabled": True}
    assert data["DisableApiTermination"] == IN_PRODUCTION
    assert data["SecurityGroupIds"] == [{"Fn::GetAtt": ["HostSecurityGroup", "GroupId"]}]
    tagged = {tag["Key"] for tag in data["TagSpecifications"][0]["Tags"]}
    assert tagged >= {"Project", "Stack", "Environment"}
    assert (
        TEMPLATE.parameters["ImageId"]["Type"] == "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"
    )
    # Nothing of that is overridden by the instance itself, and no later version replaces it.
    host = properties("Host")
    assert set(host) == {"LaunchTemplate", "ImageId", "InstanceType", "SubnetId", "Tags"}
    assert host["LaunchTemplate"] == {"LaunchTemplateId": {"Ref": "HostTemplate"}, "Version": "1"}


def test_sql_server_is_private_encrypted_backed_up_and_speaks_only_tls() -> None:
    database = properties("Db")
    expected = {
        "PubliclyAccessible": False,
        "StorageEncrypted": True,
        "KmsKeyId": {"Fn::GetAtt": ["Key", "Arn"]},
        "DBSubnetGroupName": {"Ref": "DbSubnets"},
        "VPCSecurityGroups": [{"Fn::GetAtt": ["DbSecurityGroup", "GroupId"]}],
        "DBParameterGroupName": {"Ref": "DbParameters"},
        "BackupRetentionPeriod": {"Ref": "BackupDays"},
        "DeleteAutomatedBackups": False,
        "DeletionProtection": IN_PRODUCTION,
        "MultiAZ": IN_PRODUCTION,
        "ManageMasterUserPassword": True,
    }
    assert {name: database[name] for name in expected} == expected
    assert "MasterUserPassword" not in database
    assert RESOURCES["Db"]["DeletionPolicy"] == "Snapshot"
    assert RESOURCES["Db"]["UpdateReplacePolicy"] == "Snapshot"
    assert properties("DbParameters")["Parameters"] == {"rds.force_ssl": "1"}
    subnets = properties("DbSubnets")["SubnetIds"]
    assert subnets == [{"Ref": "PrivateSubnetA"}, {"Ref": "PrivateSubnetB"}]
    zones = [properties(each["Ref"])["AvailabilityZone"]["Fn::Select"][0] for each in subnets]
    assert zones == [0, 1]


@pytest.mark.parametrize("bucket", ["LakeBucket", "LogBucket"])
def test_a_bucket_is_private_encrypted_versioned_kept_and_speaks_only_tls(bucket: str) -> None:
    said = properties(bucket)
    assert set(said["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(said["PublicAccessBlockConfiguration"]) == 4
    assert said["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert said["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = said["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    algorithm = {"LakeBucket": "aws:kms", "LogBucket": "AES256"}[bucket]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == algorithm
    assert all(each["Status"] == "Enabled" for each in said["LifecycleConfiguration"]["Rules"])
    assert (
        RESOURCES[bucket]["DeletionPolicy"] == RESOURCES[bucket]["UpdateReplacePolicy"] == "Retain"
    )
    policy = properties(f"{bucket}Policy")
    assert policy["Bucket"] == {"Ref": bucket}
    only_tls = policy["PolicyDocument"]["Statement"][0]
    assert only_tls == {
        "Sid": "OnlyTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [{"Fn::GetAtt": [bucket, "Arn"]}, {"Fn::Sub": f"${{{bucket}.Arn}}/*"}],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    if bucket == "LakeBucket":
        assert said["LoggingConfiguration"]["DestinationBucketName"] == {"Ref": "LogBucket"}


def test_no_role_may_more_than_it_needs() -> None:
    allowed = [(name, each) for name, each in statements() if each["Effect"] == "Allow"]
    for name, statement in allowed:
        actions = as_list(statement["Action"])
        if name == "Key" and statement["Sid"] == "Account":
            continue  # a key whose account may not everything cannot be managed by anybody
        assert not [action for action in actions if "*" in action], name
        if statement.get("Principal") == "*":  # the endpoint: the host, or what everybody may read
            assert name == "S3Endpoint"
            host = {"ArnEquals": {"aws:PrincipalArn": {"Fn::GetAtt": ["HostRole", "Arn"]}}}
            assert statement.get("Condition") == host or actions == ["s3:GetObject"]
        if "Resource" in statement and "*" in as_list(statement["Resource"]):
            assert "Condition" in statement, name
    managed = [
        arn["Fn::Sub"]
        for role in of_type("AWS::IAM::Role").values()
        for arn in role.get("ManagedPolicyArns", [])
    ]
    assert [arn.rpartition("/")[2] for arn in managed] == [
        "AmazonSSMManagedInstanceCore",
        "AmazonRDSEnhancedMonitoringRole",
    ]


def test_the_host_reaches_its_own_bucket_database_and_secrets_only() -> None:
    resources = {
        resource.get("Fn::Sub") or resource.get("Ref") or ".".join(resource["Fn::GetAtt"])
        for name in ("LakePolicy", "BackupPolicy", "SecretsPolicy")
        for statement in properties(name)["PolicyDocument"]["Statement"]
        for resource in as_list(statement["Resource"])
    }
    glue = "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}:"
    assert resources == {
        "LakeBucket.Arn",
        "${LakeBucket.Arn}/warehouse/*",
        "${LakeBucket.Arn}/backups/*",
        f"{glue}catalog",
        f"{glue}database/${{GlueDatabase}}",
        f"{glue}table/${{GlueDatabase}}/*",
        "Key.Arn",
        *of_type("AWS::SecretsManager::Secret"),
    }
    assert properties("LakeDatabase")["DatabaseInput"]["LocationUri"] == {
        "Fn::Sub": "s3://${LakeBucket}/warehouse/${GlueDatabase}"
    }


def test_secrets_manager_makes_what_env_keeps_secret() -> None:
    example = (ROOT / "deploy/.env.example").read_text()
    secret = set(re.findall(r"^#?([A-Z_]*(?:PASSWORD|SALT))=$", example, re.MULTILINE))
    of_the_stand_in = {"STROKE_SINK_PASSWORD"}
    # Of a profile that who wants it gives a password, and of an account of SQL Server.
    of_monitoring = {"STROKE_GRAFANA_PASSWORD", "STROKE_GRAFANA_SQL_PASSWORD"}
    # Of an account that a server has from its first start on, or that its operator makes: a stack
    # that is updated would name it to a server that has none (decision 0102).
    of_new_servers = {"STROKE_SCHEMA_PASSWORD"}
    made = of_type("AWS::SecretsManager::Secret").values()
    prefix = TEMPLATE.content["Outputs"]["SecretsPrefix"]["Value"]["Fn::Sub"]
    assert {
        each["Name"]["Fn::Sub"].removeprefix(prefix) for each in made
    } == secret - of_the_stand_in - of_monitoring - of_new_servers
    for each in made:
        # Letters and digits only: they become part of URLs.
        assert each["GenerateSecretString"] == {"PasswordLength": 32, "ExcludePunctuation": True}
        assert each["KmsKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}


def test_alarms_watch_the_host_and_sql_server_and_tell_the_topic() -> None:
    alarms = of_type("AWS::CloudWatch::Alarm")
    assert {(name[:2], alarm["MetricName"]) for name, alarm in alarms.items()} == {
        ("Ho", "StatusCheckFailed_Instance"),
        ("Ho", "StatusCheckFailed_System"),
        ("Ho", "CPUUtilization"),
        ("Ho", "disk_used_percent"),
        ("Ho", "mem_used_percent"),
        ("Db", "CPUUtilization"),
        ("Db", "FreeStorageSpace"),
        ("Db", "DatabaseConnections"),
    }
    assert all({"Ref": "AlarmTopic"} in alarm["AlarmActions"] for alarm in alarms.values())
    assert properties("AlarmTopic")["KmsMasterKeyId"] == {"Ref": "Key"}
    # What the agent on the host sends, may send, and what the alarms look at.
    namespace = "stroke/${AWS::StackName}"
    user_data = properties("HostTemplate")["LaunchTemplateData"]["UserData"]["Fn::Base64"][
        "Fn::Sub"
    ]
    assert f'"namespace": "{namespace}"' in user_data
    assert (
        alarms["HostDisk"]["Namespace"]
        == alarms["HostMemory"]["Namespace"]
        == {"Fn::Sub": namespace}
    )
    (metrics,) = properties("MetricsPolicy")["PolicyDocument"]["Statement"]
    assert metrics["Condition"] == {
        "StringEquals": {"cloudwatch:namespace": {"Fn::Sub": namespace}}
    }


def test_an_update_can_neither_replace_nor_remove_what_holds_data() -> None:
    policy = json.loads((FOLDER / "stack-policy.json").read_text())
    (denied,) = [each for each in policy["Statement"] if each["Effect"] == "Deny"]
    assert set(denied["Action"]) == {"Update:Replace", "Update:Delete"}
    guarded = {each.removeprefix("LogicalResourceId/") for each in denied["Resource"]}
    assert guarded == {*TEMPLATE.kept(), "Host"}
    assert guarded <= set(RESOURCES)


@pytest.mark.parametrize("name", names())
def test_an_environment_gives_every_parameter_and_no_secret(name: str) -> None:
    environment = Environment.read(name)
    values = TEMPLATE.complete(environment.parameters | {"Environment": name})
    assert set(values) == set(TEMPLATE.parameters)
    assert not any(word in key.lower() for key in values for word in ("password", "secret", "salt"))


def test_the_readme_tells_every_parameter_as_the_template_does() -> None:
    table = {}
    for line in (FOLDER / "README.md").read_text().splitlines():
        if match := re.fullmatch(r"\| `(\w+)` \| (.*?) \| (.*) \|", line):
            table[match[1]] = (match[2], match[3])
    expected = {
        name: ("" if rule.get("Default", "") == "" else f"`{rule['Default']}`", rule["Description"])
        for name, rule in TEMPLATE.parameters.items()
    }
    assert table == expected
    assert len(TEMPLATE.body.encode()) < 51_200, "more than CloudFormation takes in a request"
