"""The section of a source in AWS: Cost Explorer, exports in S3, CloudWatch."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from workbench.errors import did_you_mean
from workbench.settings.section import Section
from workbench.settings.types import Number, Text, Whole, fault

DIMENSIONS = ("SERVICE", "LINKED_ACCOUNT", "REGION", "AZ", "INSTANCE_TYPE", "USAGE_TYPE", "OPERATION", "RECORD_TYPE",
              "LEGAL_ENTITY_NAME", "INVOICING_ENTITY", "PLATFORM", "PURCHASE_TYPE", "TENANCY")  # fmt: skip
"""What Cost Explorer groups by, beside tags and cost categories."""

LABELLED = ("TAG", "COST_CATEGORY")
MOST_GROUPS = 2


def _groups(given: list[str]) -> list[str]:
    if len(given) > MOST_GROUPS:
        raise fault(f"Cost Explorer groups by {MOST_GROUPS} keys at most, and {len(given)} are given; for more detail "
                    "take an export")  # fmt: skip
    for group in given:
        kind, colon, label = group.partition(":")
        if (kind in LABELLED and colon and label) or (group in DIMENSIONS):
            continue
        near = did_you_mean(group, DIMENSIONS)
        raise fault(f"'{group}' is nothing to group by{near}; allowed: TAG:name, COST_CATEGORY:name, "
                    f"{', '.join(DIMENSIONS)}")  # fmt: skip
    if len(set(given)) < len(given):
        raise fault(f"'{given[0]}' is given twice; keep one")
    return given


class AwsMetric(Section):
    """A CloudWatch metric that says how much of a resource is used."""

    namespace: Text = Field(description="CloudWatch's namespace, e.g. AWS/EC2")
    metric: Text = Field(description="The metric's name, e.g. CPUUtilization")
    dimension: Text = Field(description="The dimension whose value is the resource's id, e.g. InstanceId")
    statistic: Literal["Average", "Maximum", "Minimum", "p50", "p90", "p95", "p99"] = Field(
        "Average", description="What to take of an hour"
    )
    full: Number = Field(100, gt=0, description="The value that means fully used: 100 for percents")
    resource_type: Text = Field(description="What the resource is called in events, e.g. instance")
    service: Text | None = Field(None, description="The service as the bill calls it; without it the namespace's")
    tagged_as: Text | None = Field(
        None, description="Resource type of the tagging API (ec2:instance) to look up owners; without it: unallocated"
    )


EC2 = AwsMetric(
    namespace="AWS/EC2", metric="CPUUtilization", dimension="InstanceId", resource_type="instance",
    service="Amazon Elastic Compute Cloud - Compute", tagged_as="ec2:instance",
)  # fmt: skip
RDS = AwsMetric(
    namespace="AWS/RDS", metric="CPUUtilization", dimension="DBInstanceIdentifier", resource_type="database",
    service="Amazon Relational Database Service", tagged_as="rds:db",
)  # fmt: skip


class AwsExport(Section):
    """A data export (CUR 2.0 or FOCUS) that AWS writes into a bucket."""

    bucket: Text = Field(description="The bucket that the export is delivered to")
    prefix: Text = Field(description="Prefix and name of the export: its metadata/ and data/ lie below")
    region: Text = Field("us-east-1", description="The bucket's region")


class AwsSource(Section):
    """An AWS account, read by `workbench produce`; who may read it is said in AWS's own files or variables."""

    name: Text = Field(description="How the source is called on pages; unique in the profile")
    kind: Literal["aws"] = Field("aws", description="An AWS account, asked by `workbench produce`")
    aws_profile: Text | None = Field(
        None, description="A profile of AWS's own config files; without it what AWS's tools find: variables, roles"
    )
    endpoint_url: Text | None = Field(None, description="Another address for all AWS calls, e.g. a local stand-in")
    group_by: Annotated[list[Text], AfterValidator(_groups)] = Field(
        default_factory=lambda: ["TAG:business_unit", "SERVICE"], min_length=1,
        description="At most two of TAG:name, COST_CATEGORY:name (they name the business unit) and dimensions",
    )  # fmt: skip
    cost_metric: Literal["UnblendedCost", "NetUnblendedCost", "AmortizedCost", "NetAmortizedCost", "BlendedCost"] = (
        Field("UnblendedCost", description="Which cost; UnblendedCost is what the invoice says")
    )
    granularity: Literal["daily", "hourly"] = Field(
        "daily", description="hourly has to be switched on in AWS and is kept for 14 days; before them it is daily"
    )
    trailing_days: Whole = Field(3, ge=0, le=60, description="So many days are read again, because bills are restated")
    history_days: Whole = Field(30, ge=1, le=360, description="So many days are read at the first time")
    export: AwsExport | None = Field(None, description="A CUR 2.0 or FOCUS export in a bucket")
    regions: list[Text] = Field(default_factory=list, description="Regions whose CloudWatch is asked for utilisation")
    metrics: list[AwsMetric] = Field(
        default_factory=lambda: [EC2, RDS], description="The metrics that are utilisation; without it EC2's and RDS's"
    )
    trailing_hours: Whole = Field(3, ge=0, le=336, description="So many hours are read again, for late samples")
    history_hours: Whole = Field(24, ge=1, le=10_800, description="So many hours are read at the first time")
    interval_minutes: Number = Field(60, gt=0, description="How long `workbench produce` waits between two rounds")
