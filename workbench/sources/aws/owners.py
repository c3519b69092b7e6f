"""Whose resource is it: the tagging API, in the user's own words."""

from collections.abc import Mapping, Sequence

from workbench.settings import Names
from workbench.sources.aws.calls import Aws

Owners = Mapping[str, tuple[str | None, str | None, str | None]]
"""Resource id → business unit, project, environment."""

PROVIDER = "AWS"


def owners_of(aws: Aws, region: str, kinds: Sequence[str], names: Names) -> Owners:
    """Look up the owners of all tagged resources of these kinds (`ec2:instance`).

    Raises
    ------
    SourceError
        AWS refuses.
    """
    client = aws.client("resourcegroupstaggingapi", region)
    wanted = [_keys(tags) for tags in (names.unit_tags, names.project_tags, names.environment_tags)]
    found = {}
    for page in aws.pages(client, "get_resources", "PaginationToken", ResourceTypeFilters=list(kinds)):
        for resource in page.get("ResourceTagMappingList", []):
            tags = {tag["Key"].strip().casefold(): tag["Value"].strip() for tag in resource.get("Tags", [])}
            unit, project, environment = (next((tags[key] for key in keys if tags.get(key)), None) for keys in wanted)
            shown = names.units.get(unit, unit) if unit else None
            found[resource_id(resource["ResourceARN"])] = (shown, project, environment)
    return found


def resource_id(arn: str) -> str:
    """`arn:aws:ec2:eu-west-1:1:instance/i-1` → `i-1`, as CloudWatch calls it."""
    return arn.rpartition("/")[2] if "/" in arn else arn.rpartition(":")[2]


def _keys(tags: Mapping[str, list[str]]) -> list[str]:
    return [key.strip().casefold() for key in tags.get(PROVIDER, tags.get("default", []))]
